"""Estimators on samples worked by hand, and what all of them promise."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.estimators import estimators
from testbed.estimators.conformal import Conformal
from testbed.estimators.ewma import Ewma
from testbed.estimators.ewma_pair import EwmaPair
from testbed.estimators.harmonic import Harmonic
from testbed.estimators.holt_winters import HoltWinters
from testbed.estimators.kalman import Kalman
from testbed.estimators.quantile import Quantile
from testbed.estimators.regression import Regression
from testbed.estimators.robust import Robust

S = 1_000_000_000


def fed(estimator, *mbps):
    """Return an estimator that has seen an upload of a second at each rate, a second apart."""
    estimator.reset()
    for i, rate in enumerate(mbps, start=1):
        estimator.add(i * S, round(rate * 125_000), S)
    return estimator


def mbps(estimator, now_ns=0):
    return estimator.bps(now_ns) / 1e6


SAMPLES = st.lists(st.floats(0.01, 1000), min_size=1, max_size=60)


@pytest.mark.parametrize("name", list(estimators))
class TestEveryEstimator:
    def test_knows_nothing_before_the_first_sample_and_after_reset(self, name):
        estimator = fed(estimators.load(name)(), 5, 6, 4)
        estimator.reset()

        assert estimator.bps(0) is None
        assert estimator.overhead_ns == 0

    def test_finds_a_constant_rate(self, name):
        estimator = fed(estimators.load(name)(), *[8] * 50)

        assert mbps(estimator, 50 * S) == pytest.approx(8, rel=0.05)  # a step of the quantile's

    @given(rates=SAMPLES)
    def test_is_positive_and_finite_whatever_comes(self, name, rates):
        estimator = fed(estimators.load(name)(), *rates)

        assert 0 < estimator.bps(100 * S) < math.inf

    @given(rates=SAMPLES)
    def test_gives_the_same_for_the_same(self, name, rates):
        first, second = (fed(estimators.load(name)(), *rates) for _ in range(2))

        assert first.bps(100 * S) == second.bps(100 * S)


def test_an_ewma_goes_half_way():
    assert mbps(fed(Ewma(gain=0.5), 8, 4, 2)) == 4
    assert mbps(fed(Ewma(gain=1), 8, 4)) == 4


def test_the_pair_falls_with_the_fast_mean_and_rises_with_the_slow_one():
    """After a second at 8 and one at 4 Mbit/s, and the other way round."""

    def mean(half_life_s, old, new):
        keep = 0.5 ** (1 / half_life_s)
        return (keep * old + new) / (keep + 1)

    assert mbps(fed(EwmaPair(), 8, 4)) == pytest.approx(mean(3, 8, 4))
    assert mbps(fed(EwmaPair(), 4, 8)) == pytest.approx(mean(8, 4, 8))


def test_the_harmonic_mean_is_the_rate_of_equal_payloads_in_a_row():
    assert mbps(fed(Harmonic(window=2), 99, 6, 3)) == pytest.approx(4)


def test_holt_winters_goes_on_with_the_trend():
    """1, 2: level 0.8·2 + 0.2·1 = 1.8, trend 0.2·0.8 = 0.16. Then 3: level 2.792, trend 0.3264."""
    assert mbps(fed(HoltWinters(), 1, 2)) == pytest.approx(1.96)
    assert mbps(fed(HoltWinters(), 1, 2, 3)) == pytest.approx(2.792 + 0.2 * 0.992 + 0.8 * 0.16)


def test_holt_winters_never_foretells_a_link_without_capacity():
    assert mbps(fed(HoltWinters(level_gain=1, trend_gain=1), 9, 1)) == pytest.approx(0.1)


class TestKalman:
    def test_weighs_two_samples_by_what_it_knew(self):
        """P = 0.05, then 0.06 a second later: the second sample weighs 0.06 / 0.11."""
        gain = 0.06 / 0.11
        got = fed(Kalman(), 8, 2)

        assert mbps(got) == pytest.approx(8 ** (1 - gain) * 2**gain)

    def test_a_low_quantile_sinks_as_its_samples_age(self):
        got = fed(Kalman(quantile=0.1), 8)
        deviation = math.sqrt(0.05 + 0.01 * 9 + 0.05)

        assert mbps(got, 10 * S) == pytest.approx(
            8 * math.exp(NormalDist().inv_cdf(0.1) * deviation)
        )
        assert got.bps(10 * S) < got.bps(S)

    def test_the_median_does_not(self):
        got = fed(Kalman(), 8)

        assert got.bps(S) == got.bps(1000 * S)


def test_the_quantile_takes_small_steps_up_and_large_ones_down():
    assert mbps(fed(Quantile(quantile=0.2, step=0.05), 10, 20)) == pytest.approx(10.1)
    assert mbps(fed(Quantile(quantile=0.2, step=0.05), 10, 5)) == pytest.approx(9.6)


def test_the_quantile_rests_where_its_share_lies_below():
    rates = np.random.default_rng(1).lognormal(1, 0.5, 6000).tolist()
    estimator = Quantile(quantile=0.2, step=0.01)
    estimator.reset()
    below = 0
    for rate in rates:
        bound = estimator.bps(0)
        below += bound is not None and rate * 1e6 < bound
        estimator.add(0, round(rate * 125_000), S)

    assert below / len(rates) == pytest.approx(0.2, abs=0.02)


def test_robust_divides_by_the_largest_error_of_late():
    """Expected 8 when 4 came, an error of 1: the harmonic mean 16/3 is halved."""
    assert mbps(fed(Robust(), 8, 4)) == pytest.approx(16 / 3 / 2)


def test_robust_forgets_old_errors():
    assert mbps(fed(Robust(of=Harmonic(window=1), window=2), 8, 4, 4, 4)) == pytest.approx(4)


class TestConformal:
    def test_holds_its_share_on_a_link_that_its_estimator_knows_nothing_of(self):
        """Lognormal rates that jump to a tenth half way, under a mean of one sample."""
        rng = np.random.default_rng(2)
        rates = rng.lognormal(1, 0.6, 4000) * np.repeat([1.0, 0.1], 2000)
        estimator = Conformal(of=Ewma(gain=1), miss=0.1)
        estimator.reset()
        below = 0
        for rate in rates.tolist():
            bound = estimator.bps(0)
            below += bound is not None and rate * 1e6 < bound
            estimator.add(0, round(rate * 125_000), S)

        assert below / len(rates) == pytest.approx(0.1, abs=0.01)

    def test_the_interval_is_that_of_the_ratios_seen(self):
        """Last-sample estimates on 4, 8, 4, 8, …: half of the ratios are 2 and half 1/2."""
        got = fed(Conformal(of=Ewma(gain=1), miss=0.2), *[4, 8] * 20)
        low, high = got.interval(0)

        assert (low / 1e6, high / 1e6) == pytest.approx((4, 16))

    def test_is_careful_while_it_has_seen_little(self):
        """One ratio, 1/2, is too few for a tenth: the bound is a quarter of the estimate."""
        assert mbps(fed(Conformal(of=Ewma(gain=1)), 8, 4)) == pytest.approx(1)


class TestRegression:
    def test_takes_a_fixed_overhead_out(self):
        """50 ms and 1 µs a byte, so 8 Mbit/s, whatever the payloads."""
        estimator = Regression()
        estimator.reset()
        for size in (1_000, 20_000, 5_000):
            estimator.add(0, size, 50_000_000 + 1_000 * size)

        assert estimator.bps(0) == pytest.approx(8e6)
        assert estimator.overhead_ns == pytest.approx(50e6)

    def test_equal_payloads_say_nothing_about_an_overhead(self):
        got = fed(Regression(), 4, 4, 4)

        assert (mbps(got), got.overhead_ns) == (4, 0)

    def test_a_line_that_makes_no_sense_is_not_used(self):
        """The larger payload was the quicker one: 30 kB in 20 ms together."""
        estimator = Regression()
        estimator.reset()
        estimator.add(0, 10_000, 15_000_000)
        estimator.add(0, 20_000, 5_000_000)

        assert estimator.bps(0) == pytest.approx(12e6)
        assert estimator.overhead_ns == 0
