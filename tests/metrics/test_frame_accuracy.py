"""F1 of single frames, the threshold that is kept, and whether F1 ranks points as mAP does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from coco_reference import offsets_of, random_found, random_truth

from testbed.metrics.boxes import Found, Truth
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision
from testbed.metrics.proxy import best_threshold, frame_counts, frame_f1, rank_correlation

A, B, FAR = [0.0, 0.0, 40.0, 40.0], [60.0, 0.0, 40.0, 40.0], [200.0, 200.0, 9.0, 9.0]


def world() -> tuple[Truth, Found]:
    """Frame 0: two objects; frame 1: none; frame 2: one, and a crowd; frame 3: none."""
    truth = Truth(
        offsets_of(np.array([2, 0, 2, 0])),
        np.array([A, B, A, B]),
        np.array([1, 2, 1, 1]),
        np.full(4, 1600.0),
        np.array([False, False, False, True]),
        np.full(4, -1),
        np.zeros(4, np.int64),
        ("a", "b"),
    )
    found = Found(
        offsets_of(np.array([3, 1, 3, 0])),
        np.array([A, FAR, B, FAR, A, B, FAR]),
        np.array([1, 1, 2, 2, 1, 1, 1]),
        np.array([0.9, 0.6, 0.3, 0.2, 0.8, 0.7, 0.1]),
    )
    return truth, found


def matches_of(truth, found):
    frames = np.arange(len(truth))
    return Evaluator(truth, [found]).matches(frames, np.zeros_like(frames), frames)


def test_f1_by_hand_with_a_crowd_that_counts_neither_way():
    matches = matches_of(*world())

    counts = frame_counts(matches, 0.25)

    assert [part.tolist() for part in counts] == [[2, 0, 1, 0], [3, 0, 1, 0], [2, 0, 1, 0]]
    assert frame_f1(matches, 0.25).tolist() == [4 / 5, 1.0, 1.0, 1.0]
    assert frame_f1(matches, 0.15).tolist() == [4 / 5, 0.0, 1.0, 1.0]
    assert frame_f1(matches, 0.95).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_the_threshold_is_where_f1_over_all_frames_is_highest():
    # Down to 0.9, 0.8, 0.6, 0.3, 0.2: 2/4, 4/5, 4/6, 6/7, 6/8
    matches = matches_of(*world())

    assert best_threshold(matches) == 0.3
    assert best_threshold(matches.of(np.array([1]))) == 0.2  # nothing is right, whatever the score
    assert best_threshold(matches.of(np.array([3]))) == 1.0


def test_the_threshold_is_the_best_of_all_scores():
    rng = np.random.default_rng(5)
    truth = random_truth(rng, 20)
    matches = matches_of(truth, random_found(rng, truth))

    def f1(threshold: float) -> float:
        found, boxes, objects = (part.sum() for part in frame_counts(matches, threshold))
        return 2 * found / (boxes + objects)

    assert f1(best_threshold(matches)) == max(map(f1, np.unique(matches.rows["score"])))


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == 1.0
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == -1.0
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert math.isnan(rank_correlation([1], [1]))
    assert math.isnan(rank_correlation([], []))
    assert math.isnan(rank_correlation([1, 1], [1, 2]))


def skilled(*noises: float) -> tuple[list[float], list[float]]:
    """Return F1 and mAP of detectors that miss by so much, the threshold being the last one's."""
    truth = random_truth(np.random.default_rng(2), 60)
    found = [random_found(np.random.default_rng(3), truth, noise=noise) for noise in noises]
    matches = [matches_of(truth, boxes) for boxes in found]
    threshold = best_threshold(matches[-1])
    f1 = [float(frame_f1(m, threshold).mean()) for m in matches]
    return f1, [average_precision(m)["map"] for m in matches]


def test_f1_ranks_detectors_of_different_skill_as_map_does():
    assert rank_correlation(*skilled(0.5, 0.3, 0.2, 0.1)) == 1.0


def test_f1_does_not_see_what_is_gained_beyond_an_overlap_of_one_half():
    f1, ap = skilled(0.1, 0.02)

    assert abs(f1[1] - f1[0]) < 0.03
    assert ap[1] > 2 * ap[0]
