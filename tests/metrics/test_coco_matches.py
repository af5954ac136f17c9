"""The remembered evaluator gives COCO's own figures, to the last digit."""

from __future__ import annotations

import math

import numpy as np
from coco_reference import coco_eval, offsets_of, random_found, random_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.metrics.boxes import Found, Truth
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.matching import overlaps
from testbed.metrics.precision import STATS, Matches, accumulate, average_precision


def assert_same(matches: Matches, judge) -> None:
    for place, most in enumerate((1, 10, 100)):
        precision, recall = accumulate(matches, most)
        np.testing.assert_array_equal(precision, judge.eval["precision"][..., place])
        np.testing.assert_array_equal(recall, judge.eval["recall"][..., place])
    ours = average_precision(matches)
    theirs = [math.nan if value == -1 else value for value in judge.stats[:6]]
    np.testing.assert_array_equal([ours[name] for name in STATS], theirs)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    frames=st.integers(1, 25),
    categories=st.integers(1, 5),
    noise=st.sampled_from([0.0, 0.05, 0.2]),
)
def test_every_precision_and_recall_is_coco_s_own(seed, frames, categories, noise):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng, frames, categories)
    found = [random_found(rng, truth, noise=noise) for _ in range(2)]
    if not all(len(f.label) for f in found):
        return  # COCO's evaluator takes no empty list of results
    picture = rng.integers(0, frames, 30)
    source, frame = rng.integers(-1, 2, 30), rng.integers(0, frames, 30)
    if not any(
        s >= 0 and found[s].offsets[f + 1] > found[s].offsets[f]
        for s, f in zip(source, frame, strict=True)
    ):
        return

    matches = Evaluator(truth, found).matches(picture, source, frame)

    assert_same(matches, coco_eval(truth, picture, found, source, frame))


def test_more_than_a_hundred_boxes_of_a_category_and_objects_on_each_other():
    rng = np.random.default_rng(3)
    truth = random_truth(rng, 6, 2, most=40)
    found = random_found(rng, truth, extra=300, noise=0.02)
    frames = np.arange(6)
    matches = Evaluator(truth, [found]).matches(frames, np.zeros(6, np.int64), frames)

    assert np.diff(found.offsets).max() > 100
    assert_same(matches, coco_eval(truth, frames, [found], np.zeros(6, np.int64), frames))


def test_of_equal_overlaps_the_last_object_is_taken_and_crowds_again_and_again():
    box = [10.0, 10.0, 40.0, 40.0]
    truth = Truth(
        offsets=offsets_of(np.array([4])),
        xywh=np.array([box, box, [10.0, 10.0, 40.0, 41.0], [0.0, 0.0, 200.0, 200.0]]),
        label=np.ones(4, np.int64),
        area=np.array([900.0, 1600.0, 1e9, 40000.0]),  # medium or small, beyond all ranges
        crowd=np.array([False, False, False, True]),
        track=np.full(4, -1),
        sequence=np.zeros(1, np.int64),
        categories=("c",),
    )
    found = Found(
        offsets_of(np.array([5])),
        np.array([box] * 4 + [[150.0, 150.0, 20.0, 20.0]]),
        np.ones(5, np.int64),
        np.array([0.9, 0.8, 0.8, 0.3, 0.2]),
    )
    zero = np.zeros(1, np.int64)

    assert_same(
        Evaluator(truth, [found]).matches(zero, zero, zero),
        coco_eval(truth, zero, [found], zero, zero),
    )


def test_of_two_objects_equally_near_the_last_is_taken_and_its_neighbour_goes_without():
    truth = Truth(
        offsets=offsets_of(np.array([2])),
        xywh=np.array([[10.0, 10.0, 40.0, 40.0], [14.0, 10.0, 40.0, 40.0]]),
        label=np.ones(2, np.int64),
        area=np.full(2, 1600.0),
        crowd=np.zeros(2, bool),
        track=np.full(2, -1),
        sequence=np.zeros(1, np.int64),
        categories=("c",),
    )
    boxes = np.array([[12.0, 10.0, 40.0, 40.0], [16.0, 10.0, 40.0, 40.0]])
    found = Found(offsets_of(np.array([2])), boxes, np.ones(2, np.int64), np.array([0.9, 0.8]))
    zero = np.zeros(1, np.int64)

    matches = Evaluator(truth, [found]).matches(zero, zero, zero)

    second = int(
        matches.rows["hit"][1]
    )  # overlaps: 38/42 with the last object, 34/46 with the first
    assert [bool(second >> t & 1) for t in range(10)] == [True] * 5 + [False] * 5
    assert_same(matches, coco_eval(truth, zero, [found], zero, zero))


def test_overlaps_are_those_of_the_reference_to_the_bit():
    from pycocotools import mask

    rng = np.random.default_rng(1)
    a, b = (
        np.concatenate((rng.uniform(0, 50, (400, 2)), rng.uniform(0.1, 60, (400, 2))), 1)
        for _ in "ab"
    )
    crowd = rng.random(400) < 0.5
    expected = [mask.iou(a[i : i + 1], b[i : i + 1], [int(crowd[i])])[0, 0] for i in range(len(a))]

    np.testing.assert_array_equal(overlaps(a, b, crowd), expected)
