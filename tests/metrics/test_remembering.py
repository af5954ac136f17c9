"""The evaluator remembers what it matched, within bounds, and its answers do not depend on it."""

from __future__ import annotations

import numpy as np
import pytest
from coco_reference import coco_eval, random_found, random_truth

from testbed.metrics.boxes import Found
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision, pooled
from testbed.metrics.shown import NOTHING


def world(frames: int = 30):
    rng = np.random.default_rng(9)
    truth = random_truth(rng, frames)
    return truth, [random_found(rng, truth) for _ in range(2)], np.arange(frames)


def test_a_pair_is_matched_once_whoever_asks():
    truth, found, frames = world()
    evaluator = Evaluator(truth, found)

    first = average_precision(evaluator.matches(frames, frames * 0, frames))
    assert evaluator.matched == 30
    again = average_precision(evaluator.matches(frames, frames * 0, frames))
    assert evaluator.matched == 30
    evaluator.matches(frames, frames * 0 + 1, frames)
    assert evaluator.matched == 60
    assert first == again


def test_forgetting_changes_no_figure_and_bounds_what_is_kept():
    truth, found, frames = world()
    forgetful, mindful = Evaluator(truth, found, most_rows=50), Evaluator(truth, found)
    rng = np.random.default_rng(0)
    for _ in range(5):
        source, frame = rng.integers(-1, 2, 30), rng.integers(0, 30, 30)
        ours, theirs = (e.matches(frames, source, frame) for e in (forgetful, mindful))
        assert average_precision(ours) == average_precision(theirs)
        assert sum(map(len, forgetful._memory.values())) == forgetful._rows <= 50
    assert forgetful.matched > mindful.matched


def test_one_frame_of_delay_is_scoring_frame_i_with_the_boxes_of_the_one_before():
    truth, found, frames = world()
    source = np.where(frames > 0, 0, NOTHING)

    late = average_precision(Evaluator(truth, found).matches(frames, source, frames - 1))

    judge = coco_eval(truth, frames, found, source, frames - 1)
    assert list(late.values()) == judge.stats[:6].tolist()
    assert late != average_precision(Evaluator(truth, found).matches(frames, frames * 0, frames))


def test_nothing_delivered_is_0():
    truth, found, frames = world()
    nothing = np.full(30, NOTHING)

    figures = average_precision(Evaluator(truth, found).matches(frames, nothing, frames))

    assert figures == dict.fromkeys(figures, 0.0)


def test_boxes_of_no_recording_are_scored_alike():
    truth, found, frames = world()
    evaluator = Evaluator(truth, found)

    explicit = evaluator.matches_of(frames, found[1])

    assert average_precision(explicit) == average_precision(
        evaluator.matches(frames, frames * 0 + 1, frames)
    )


def test_runs_are_pooled_as_if_their_frames_were_those_of_one():
    truth, found, frames = world()
    evaluator = Evaluator(truth, found)
    one, other = (evaluator.matches(frames, frames * 0 + s, frames) for s in (0, 1))

    both = evaluator.matches(np.tile(frames, 2), np.repeat([0, 1], 30), np.tile(frames, 2))

    assert average_precision(pooled([one, other])) == average_precision(both)


def test_boxes_of_another_number_of_pictures_are_refused():
    truth, found, _ = world()
    short = Found(found[0].offsets[:5], found[0].xywh, found[0].label, found[0].score)

    with pytest.raises(ValueError, match=r"point 1 has boxes of 4 pictures, .* has 30"):
        Evaluator(truth, [found[0], short])
