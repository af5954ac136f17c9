"""Boxes moved on: against straight motion, and against the filter written with whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.metrics.boxes import Found
from testbed.metrics.forecast import forecast

PERIOD = 100


def found(*frames):
    """Return boxes of frames, each a list of (xywh, label, score)."""
    rows = [row for frame in frames for row in frame]
    offsets = np.cumsum([0, *map(len, frames)])
    return Found(
        offsets.astype(np.int64),
        np.array([row[0] for row in rows], float).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], float),
    )


def moved(answers, seen, *, captured=None, instants=None, **options):
    """Return the boxes shown at every frame's capture; answers are of frames 0, 1, ... ."""
    if captured is None:
        captured = range(len(answers))
    instants = range(len(seen)) if instants is None else instants
    return forecast(
        answers,
        np.array(captured, np.int64) * PERIOD,
        np.array(seen, np.int64),
        np.array(instants, np.int64) * PERIOD,
        period_ns=PERIOD,
        **options,
    )


def in_matrices(boxes, gaps, ahead):
    """Return a box of one object as the published filter moves it, 8 x 8 and step by step."""
    x, p = np.concatenate((boxes[0], np.zeros(4))), 100 * np.eye(8)
    for box, dt in zip(boxes[1:], gaps, strict=True):
        f = np.eye(8)
        f[range(4), range(4, 8)] = dt
        x, p = f @ x, f @ p @ f.T + dt * dt * np.eye(8)
        gain = p[:, :4] @ np.linalg.inv(p[:4, :4] + 10 * np.eye(4))
        x = x + gain @ (box - x[:4])
        p = p - gain @ p[:4]
    return x[:4] + ahead * x[4:]


@given(
    st.lists(st.tuples(*[st.floats(-3, 3)] * 4), min_size=1, max_size=6),
    st.lists(st.integers(1, 4), min_size=6, max_size=6),
    st.integers(0, 5),
)
def test_three_numbers_a_track_do_as_well_as_whole_matrices(steps, gaps, ahead):
    boxes = np.array([50.0, 60.0, 40.0, 30.0]) + np.cumsum(steps, axis=0)
    captured = np.cumsum([0, *gaps[: len(boxes) - 1]])
    shown = [*range(len(boxes)), len(boxes) - 1]
    instants = [*captured, captured[-1] + ahead]
    answers = found(*[[(box, 1, 0.9)] for box in boxes])
    got = moved(answers, shown, captured=captured, instants=instants)

    expected = in_matrices(boxes, gaps[: len(boxes) - 1], ahead)
    assert got.xywh[-1] == pytest.approx(expected, abs=1e-9)


def test_an_object_that_moves_steadily_is_shown_where_it_is():
    """2 pixels a frame to the right; the answer about frame 40 is still shown at frame 45."""
    boxes = [[((10.0 + 2 * k, 20.0, 30.0, 30.0), 1, 0.8)] for k in range(41)]
    got = moved(found(*boxes), [*range(41), 40, 40, 40, 40, 40])

    assert got.xywh[-1] == pytest.approx([100, 20, 30, 30], abs=0.05)
    assert got.xywh[40] == pytest.approx([90, 20, 30, 30], abs=0.05)


def test_the_first_sight_of_an_object_stays_where_it_was():
    got = moved(found([((10, 10, 20, 20), 1, 0.9)]), [0, 0, 0])

    assert got.xywh.tolist() == [[10, 10, 20, 20]] * 3


def test_without_an_answer_nothing_is_shown_and_what_was_known_is_forgotten():
    boxes = [[((10.0 + 4 * k, 20.0, 30.0, 30.0), 1, 0.8)] for k in range(4)]
    got = moved(found(*boxes), [-1, 0, 1, -1, 3, 3])

    assert np.diff(got.offsets).tolist() == [0, 1, 1, 0, 1, 1]
    assert got.xywh[-1].tolist() == [22, 20, 30, 30]  # no velocity: the third is a new beginning


@pytest.mark.parametrize(
    ("second", "moves"),
    [
        (((14, 20, 30, 30), 1), True),
        (((14, 20, 30, 30), 2), False),  # of another category
        (((26, 20, 30, 30), 1), True),  # an overlap of 14 / 46 = 0.304
        (((27, 20, 30, 30), 1), False),  # 13 / 47 = 0.277
    ],
)
def test_a_track_goes_on_in_a_box_of_its_category_that_overlaps_it(second, moves):
    answers = found([((10, 20, 30, 30), 1, 0.9)], [(second[0], second[1], 0.9)])
    got = moved(answers, [0, 1, 1])

    assert (got.xywh[-1] != got.xywh[-2]).any() == moves


def test_of_two_boxes_over_one_track_the_better_goes_on():
    answers = found(
        [((10, 10, 20, 20), 1, 0.9)],
        [((12, 10, 20, 20), 1, 0.9), ((11, 10, 20, 20), 1, 0.5)],
    )
    got = moved(answers, [0, 1, 1])

    assert got.score.tolist() == [0.9, 0.9, 0.5, 0.9, 0.5]
    assert got.xywh[3, 0] > 12
    assert got.xywh[4, 0] == 11


def test_boxes_end_at_the_border_and_vanish_beyond_it():
    boxes = [[((60.0 + 8 * k, 10.0, 20.0, 20.0), 1, 0.8)] for k in range(3)]
    free = moved(found(*boxes), [0, 1, *[2] * 6])
    got = moved(found(*boxes), [0, 1, *[2] * 6], size=(100, 50))
    within = free.xywh[:, 0] < 100

    assert np.diff(got.offsets).tolist() == within.astype(int).tolist() == [1] * 6 + [0] * 2
    assert got.xywh[:, 0].tolist() == free.xywh[within, 0].tolist()
    assert got.xywh[-1, 2] == pytest.approx(100 - got.xywh[-1, 0])


def test_nothing_found_and_nobody_looking_are_no_trouble():
    empty = moved(found([], []), [-1, 0, 1])

    assert len(empty) == 3
    assert len(moved(found([]), [])) == 0
    assert empty.xywh.shape == (0, 4)
