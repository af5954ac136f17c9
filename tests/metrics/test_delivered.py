"""What a client is shown, on films small enough to work out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from coco_reference import offsets_of, random_found

from testbed.metrics.boxes import Found, Truth
from testbed.metrics.delivered import Watched, delivered, gathered, takes
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision
from testbed.metrics.shown import NOTHING

MS = 1_000_000
NEVER = int(np.iinfo(np.int64).max)


def film(frames: int = 24) -> Evaluator:
    """Return a film of four objects that drift, found by a good detector and by a bad one."""
    rng = np.random.default_rng(21)
    start = np.array([[0, 0, 60, 60], [80, 0, 30, 50], [0, 90, 120, 80], [150, 150, 20, 20]])
    pace = np.array([[3, 0, 0, 0], [0, 2, 0, 0], [2, 2, 0, 0], [0, -1, 0, 0]])
    truth = Truth(
        np.arange(frames + 1) * 4,
        (start + np.arange(frames)[:, None, None] * pace).reshape(-1, 4).astype(float),
        np.tile([1, 2, 1, 2], frames),
        np.tile(start[:, 2] * start[:, 3], frames).astype(float),
        np.zeros(4 * frames, bool),
        np.tile(np.arange(4), frames),
        np.zeros(frames, np.int64),
        ("a", "b"),
    )
    return Evaluator(truth, [random_found(rng, truth, noise=n) for n in (0.03, 0.2)])


def watch(frames: int = 24, wait_ms: int | None = 0, **more) -> Watched:
    """Return a camera of ten frames a second whose answers all take as long."""
    captured = np.arange(frames) * 100 * MS
    watched = Watched(
        captured_ns=captured,
        answered_ns=np.full(frames, NEVER) if wait_ms is None else captured + wait_ms * MS,
        never_ns=NEVER,
        decided=np.ones(frames, bool),
        source=np.zeros(frames, np.int64),
        picture=np.arange(frames),
    )
    return dataclasses.replace(watched, **more)


def score(evaluator: Evaluator, watched: Watched, **more):
    return delivered(evaluator, watched, **({"deadline_ns": 150 * MS, "threshold": 0.5} | more))


def test_without_latency_streaming_is_offline_accuracy():
    out = score(film(), watch())

    figures = [average_precision(m) for m in (out.streaming, out.offline, out.on_time)]
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["map"] > 0


@pytest.mark.parametrize("wait_ms", [1, 50, 100])
def test_one_frame_of_delay_shows_the_boxes_of_the_frame_before(wait_ms):
    evaluator, frames = film(), np.arange(24)
    out = score(evaluator, watch(wait_ms=wait_ms))

    before = evaluator.matches(frames, np.where(frames > 0, 0, NOTHING), frames - 1)
    assert out.seen.tolist() == [NOTHING, *range(23)]
    assert average_precision(out.streaming) == average_precision(before)
    assert 0 < average_precision(out.streaming)["map"] < average_precision(out.offline)["map"]
    assert average_precision(out.on_time) == average_precision(out.offline)


def test_late_answers_are_shown_but_not_on_time():
    out = score(film(), watch(wait_ms=151))

    assert set(average_precision(out.on_time).values()) == {0.0}
    assert out.correct == 0
    assert average_precision(out.streaming)["map"] > 0
    assert score(film(), watch(wait_ms=150)).correct > 0


def test_nothing_delivered_is_0_and_offline_is_not():
    out = score(film(), watch(wait_ms=None))

    assert average_precision(out.streaming)["map"] == 0
    assert average_precision(out.on_time)["map"] == 0
    assert average_precision(out.offline)["map"] > 0
    assert not out.right.any()
    assert len(out.boxes.score) == 0


def test_a_skipped_frame_keeps_what_was_shown_and_costs_its_objects_offline():
    evaluator = film(3)
    source, answered = np.array([0, NOTHING, 1]), np.array([0, NEVER, 200 * MS])
    out = score(evaluator, watch(3, source=source, answered_ns=answered))

    frames = np.arange(3)
    assert out.seen.tolist() == [0, 0, 2]
    assert average_precision(out.streaming) == average_precision(
        evaluator.matches(frames, np.array([0, 0, 1]), np.array([0, 0, 2]))
    )
    assert average_precision(out.offline) == average_precision(
        evaluator.matches(frames, source, frames)
    )


def test_frames_nobody_decided_about_count_on_time_but_not_offline():
    evaluator = film()
    decided = np.arange(24) % 2 == 0
    out = score(
        evaluator,
        watch(
            decided=decided,
            source=np.where(decided, 0, NOTHING),
            answered_ns=np.where(decided, np.arange(24) * 100 * MS, NEVER),
        ),
    )

    assert (len(out.offline), len(out.on_time)) == (12, 24)
    assert average_precision(out.offline)["map"] > average_precision(out.on_time)["map"] > 0


def test_a_clip_and_a_film_played_again_start_with_nothing():
    evaluator = film(6)
    sequence = np.array([0, 0, 0, 1, 1, 1])
    evaluator.truth = dataclasses.replace(evaluator.truth, sequence=sequence)
    picture = np.array([4, 5, 0, 1, 2, 3])

    out = score(evaluator, watch(6, wait_ms=100, picture=picture))

    assert takes(sequence, picture).tolist() == [0, 0, 1, 1, 1, 2]
    assert takes(np.zeros(6, int), np.array([4, 5, 0, 1, 2, 3])).tolist() == [0, 0, 1, 1, 1, 1]
    assert out.seen.tolist() == [NOTHING, 0, NOTHING, 2, 3, NOTHING]
    assert out.clip.tolist() == [1, 1, 0, 0, 0, 1]


def test_what_is_counted_as_right_by_hand():
    box, far = [0.0, 0.0, 40.0, 40.0], [90.0, 90.0, 40.0, 40.0]
    truth = Truth(
        offsets_of(np.array([2, 2])),
        np.array([box, far, box, far]),
        np.ones(4, np.int64),
        np.full(4, 1600.0),
        np.zeros(4, bool),
        np.full(4, -1),
        np.zeros(2, np.int64),
        ("a",),
    )
    found = Found(
        offsets_of(np.array([2, 1])),
        np.array([box, far, [200.0, 0.0, 5.0, 5.0]]),
        np.ones(3, np.int64),
        np.array([0.9, 0.4, 0.9]),
    )
    evaluator = Evaluator(truth, [found])

    out = score(evaluator, watch(2))
    assert out.correct == 1  # the other is below the threshold
    assert out.right.tolist() == [True, False]  # F1 of 2/3, and of 0
    assert score(evaluator, watch(2), threshold=0.3).correct == 2


def test_boxes_may_be_redrawn_before_they_are_shown():
    evaluator, asked = film(), []

    def still(watched: Watched, seen: np.ndarray) -> Found:
        asked.append(seen.tolist())
        return gathered(evaluator.found, np.where(seen != NOTHING, 0, NOTHING), np.maximum(seen, 0))

    plain = score(evaluator, watch(wait_ms=100))
    drawn = score(evaluator, watch(wait_ms=100), redraw=still)

    assert asked == [plain.seen.tolist()]
    assert average_precision(drawn.streaming) == average_precision(plain.streaming)
    for name in ("offsets", "xywh", "label", "score"):
        np.testing.assert_array_equal(getattr(drawn.boxes, name), getattr(plain.boxes, name))
