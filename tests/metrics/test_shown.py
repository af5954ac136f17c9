"""What is shown at an instant: the toy schedules of the literature, and answers that overtake."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.metrics.shown import NOTHING, of_the_same_clip, shown

NEVER = int(np.iinfo(np.int64).max)


def array(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one_worker(runtime: Fraction, frames: int, *, may_wait: bool) -> list[tuple[Fraction, int]]:
    """Return end and frame of what one worker does that always takes the newest frame.

    With `may_wait` it waits for the next frame where that makes the tail shorter (Li et al. 2020).
    """
    now, last, done = Fraction(0), -1, []
    while now < frames:
        newest = floor(now)
        into = now - newest
        if newest == last or (may_wait and runtime < floor(into + runtime)):
            now = Fraction(newest + 1)
            continue
        done.append((now + runtime, newest))
        last, now = newest, now + runtime
    return done


def behind(runtime: Fraction, frames: int, *, may_wait: bool, earlier: int) -> int:
    """Return by how many frames the worker is behind, summed over the frames that show any."""
    done = one_worker(runtime, frames, may_wait=may_wait)
    tick = runtime.denominator  # time in whole ticks, `tick` of them to a frame
    captured = np.array([frame for _, frame in done]) * 2 * tick
    answered = np.array([int(end * 2 * tick) for end, _ in done])
    instants = np.arange(frames) * 2 * tick
    seen = shown(instants - earlier, captured, answered)
    some = seen != NOTHING
    return int((instants[some] - captured[seen[some]]).sum()) // (2 * tick)


@pytest.mark.parametrize(
    ("runtime", "frames", "always", "waiting"),
    [(Fraction(3, 2), 13, 29, 27), (Fraction(7, 5), 200, 508, 462)],
)
def test_sitting_idle_helps_as_the_published_schedules_say(runtime, frames, always, waiting):
    # The published figures look just before an instant: what ends with a frame counts for the next.
    assert behind(runtime, frames, may_wait=False, earlier=1) == always
    assert behind(runtime, frames, may_wait=True, earlier=1) == waiting


@pytest.mark.parametrize(
    ("runtime", "frames", "always", "waiting"),
    [(Fraction(3, 2), 13, 25, 27), (Fraction(7, 5), 200, 480, 462)],
)
def test_an_answer_counts_from_its_very_instant_on(runtime, frames, always, waiting):
    assert behind(runtime, frames, may_wait=False, earlier=0) == always
    assert behind(runtime, frames, may_wait=True, earlier=0) == waiting


def test_the_boundary_belongs_to_the_answer():
    seen = shown(array(9, 10, 11), captured_ns=array(0), answered_ns=array(10))
    assert seen.tolist() == [NOTHING, 0, 0]


def test_an_answer_that_was_overtaken_is_never_shown():
    captured, answered = array(0, 10, 20), array(15, 40, 30)
    assert shown(array(0, 14, 20, 35, 40, 50), captured, answered).tolist() == [-1, -1, 0, 2, 2, 2]


def test_frames_without_an_answer_leave_the_last_one_standing():
    captured, answered = array(0, 10, 20), array(5, NEVER, 25)
    assert shown(array(0, 10, 20, 30), captured, answered).tolist() == [NOTHING, 0, 0, 2]
    assert shown(array(0, 10), captured, array(NEVER, NEVER, NEVER)).tolist() == [NOTHING, NOTHING]


def test_each_clip_starts_with_nothing_to_show():
    seen = array(NOTHING, 0, 1, 1, 3)
    assert of_the_same_clip(seen, array(0, 0, 0, 1, 1)).tolist() == [NOTHING, 0, 1, NOTHING, 3]


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 60) | st.none()), min_size=1, max_size=12
    ),
    st.lists(st.integers(-5, 120), min_size=1, max_size=10),
)
def test_it_is_the_newest_frame_among_those_answered(frames, instants):
    frames = list(dict(frames).items())
    captured = array(*(c for c, _ in frames))
    answered = array(*(NEVER if w is None else c + w for c, w in frames))

    seen = shown(array(*instants), captured, answered)

    for t, place in zip(instants, seen.tolist(), strict=True):
        there = [i for i in range(len(frames)) if answered[i] <= t]
        assert place == max(there, key=lambda i: captured[i], default=NOTHING)
