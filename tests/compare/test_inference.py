"""Statistics against theory, against scipy, and against enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from testbed.compare.inference import (
    bca,
    effect_size,
    holm,
    improvement,
    minimum_detectable,
    ratio,
    sign_flip,
    worst_mean,
)


class TestBca:
    @pytest.mark.parametrize("seed", range(3))
    def test_agrees_with_scipy(self, seed):
        values = np.random.default_rng(seed).lognormal(0, 1, 40)
        theirs = stats.bootstrap(
            (values,), np.mean, method="BCa", random_state=np.random.default_rng(1)
        ).confidence_interval
        width = theirs.high - theirs.low

        assert bca(values.tolist()) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)

    def test_leans_the_way_of_skewed_values(self):
        values = np.random.default_rng(7).lognormal(0, 1, 40)
        low, high = bca(values.tolist())

        assert high - values.mean() > 1.2 * (values.mean() - low)

    def test_covers_the_mean_as_often_as_it_says(self):
        rng = np.random.default_rng(5)
        inside = 0
        for _ in range(300):
            low, high = bca((1 + rng.normal(size=30)).tolist(), resamples=999)
            inside += low <= 1 <= high

        assert 0.90 < inside / 300 < 0.98

    def test_equal_values_leave_no_doubt(self):
        assert bca([0.3, 0.3, 0.3]) == (0.3, 0.3)

    def test_one_value_has_no_interval(self):
        with pytest.raises(ValueError, match="two values"):
            bca([1.0])

    def test_is_the_same_each_time(self):
        assert bca([1.0, 2.0, 4.0]) == bca([1.0, 2.0, 4.0])


class TestSignFlip:
    def test_tries_every_pattern_of_few_differences(self):
        """Of the 8 patterns of 1, 2, 3 only +++ and --- are as far as 6; 1, 2, -3 sums to 0."""
        assert sign_flip([1, 2, 3]) == 2 / 8
        assert sign_flip([1, 2, -3]) == 1
        assert sign_flip([1] * 10) == 2 / 1024

    def test_agrees_with_scipy_on_many(self):
        values = np.random.default_rng(2).normal(0.25, 1, 40)
        theirs = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=9999,
            random_state=np.random.default_rng(3),
        ).pvalue  # fmt: skip

        assert sign_flip(values.tolist()) == pytest.approx(theirs, abs=0.02)

    def test_is_never_zero(self):
        assert sign_flip([1.0] * 100) == 1 / 10_000

    def test_nothing_shows_nothing(self):
        assert sign_flip([]) == 1
        assert sign_flip([0.0, 0.0]) == 1

    @given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
    def test_does_not_mind_which_side_is_which(self, values):
        assert sign_flip(values) == sign_flip([-v for v in values])


def test_holm_by_hand():
    """0.01, 0.03, 0.04 times 3, 2, 1, and never less than the one before."""
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx(
        {"a": 0.06, "b": 0.03, "c": 0.06}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_size_of_an_effect_is_its_mean_over_its_deviation():
    assert effect_size([1.0, 2.0, 3.0]) == 2.0
    assert effect_size([1.0]) is None
    assert effect_size([1.0, 1.0]) is None


def test_the_probability_of_improvement_counts_ties_half():
    assert improvement([1.0, -1.0, 0.0, 2.0]) == 2.5 / 4


def test_the_detectable_difference_is_detected_as_often_as_it_says():
    """20 pairs with a deviation of 1: a mean of that size is shown by a t-test 4 times in 5."""
    values = stats.zscore(np.arange(20.0), ddof=1)
    least = minimum_detectable(values.tolist())
    rng = np.random.default_rng(4)
    shown = [stats.ttest_1samp(rng.normal(least, 1, 20), 0).pvalue < 0.05 for _ in range(2000)]

    assert np.mean(shown) == pytest.approx(0.8, abs=0.03)
    assert minimum_detectable([1.0]) is None


def test_the_worst_tenth_is_of_one_value_at_least():
    values = [float(v) for v in range(1, 21)]

    assert worst_mean(values) == 1.5
    assert worst_mean(values, higher=False) == 19.5
    assert worst_mean([3.0, 1.0]) == 1.0
    assert worst_mean(values * 3) == pytest.approx(1.5)
    assert math.isclose(worst_mean([2.0]), 2.0)


def test_a_ratio_is_that_of_the_sums_with_an_interval_over_pairs():
    above, below = [1.0, 2.0, 3.0, 2.0], [2.0, 4.0, 4.0, 2.0]
    value, low, high = ratio(above, below)

    assert value == pytest.approx(8 / 12)
    assert 0.5 <= low < value < high <= 1.0
    assert ratio(above, below) == (value, low, high)
    assert ratio([1.0, 1.0], [2.0, 2.0]) == (0.5, None, None)
    assert ratio([1.0], [0.0]) == (None, None, None)
    assert ratio([1.0] * 3, [3.0, 0.0, 0.0]) == (1.0, None, None)
