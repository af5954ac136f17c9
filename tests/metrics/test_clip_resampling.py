"""Whole clips drawn again give the AP of the frames they hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from coco_reference import random_found, random_truth

from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision
from testbed.metrics.resample import draws, resampled_map


def test_a_draw_is_the_average_precision_of_its_frames():
    rng = np.random.default_rng(11)
    truth = random_truth(rng, 40, clips=6)
    found = random_found(rng, truth)
    distinct = rng.permutation(len(found.score)) / len(found.score)  # no two scores are equal
    found = dataclasses.replace(found, score=distinct)
    frames = np.arange(40)
    matches = Evaluator(truth, [found]).matches(frames, np.zeros(40, np.int64), frames)
    weights = draws(6, rng, 8)
    weights[0] = 1

    got = resampled_map(matches, truth.sequence, weights)

    for value, weight in zip(got, weights, strict=True):
        some = np.concatenate(
            [np.tile(np.flatnonzero(truth.sequence == c), n) for c, n in enumerate(weight)]
        )
        assert value == pytest.approx(average_precision(matches.of(some))["map"], abs=1e-12)
    assert got[0] == pytest.approx(average_precision(matches)["map"], abs=1e-12)
    assert len(set(got.tolist())) > 4


def test_a_draw_without_objects_has_no_map():
    rng = np.random.default_rng(4)
    truth = random_truth(rng, 10, clips=2)
    truth = dataclasses.replace(truth, crowd=np.ones(len(truth.label), bool))
    frames = np.arange(10)
    matches = Evaluator(truth, [random_found(rng, truth)]).matches(frames, frames * 0, frames)

    assert np.isnan(resampled_map(matches, truth.sequence, np.ones((3, 2), np.int64))).all()


def test_as_many_clips_are_drawn_as_there_are():
    weights = draws(5, np.random.default_rng(0), 50)

    assert weights.shape == (50, 5)
    assert (weights.sum(axis=1) == 5).all()
    assert (draws(5, np.random.default_rng(0), 50) == weights).all()
