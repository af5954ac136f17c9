"""Capacity curves against slow and simple ones."""

from __future__ import annotations

import numpy as np
import pytest
from curves import (
    MS,
    S,
    capacities,
    integrated_bits,
    opportunities,
    opportunity_traces,
    rate_traces,
    rates,
    stepped_mahimahi,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from testbed.links.capacity import (
    ConstantRate,
    Opportunities,
    RateSteps,
    mbps_per_bin,
    of_trace,
)
from testbed.links.fifo import FifoLink
from testbed.traces.trace import Trace

TIMES = st.integers(0, 10 * S)


@given(capacities(), TIMES, TIMES)
def test_a_curve_never_falls(curve, a, b):
    a, b = sorted((a, b))
    assert 0 <= curve.offered(a) <= curve.offered(b)


@given(capacities(), st.integers(1, 10**9))
def test_when_is_the_first_instant_at_which_so_much_has_been_offered(curve, units):
    at_ns = curve.when(units)
    assert curve.offered(at_ns) >= units > curve.offered(at_ns - 1)


@given(capacities())
def test_nothing_has_been_offered_at_time_zero(curve):
    assert curve.offered(0) == 0


@given(capacities(), st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_takes_at_least_as_long(curve, a, b):
    a, b = sorted((a, b))
    assert curve.when(a) <= curve.when(b)


@given(rate_traces(), st.integers(0, 2500 * MS), st.integers(0, 2500 * MS))
def test_rate_steps_agree_with_integration_step_by_step(trace, start_ns, at_ns):
    steps = list(zip((trace.stamps_ns // MS).tolist(), trace.rates_bps.tolist(), strict=True))
    bits = integrated_bits(1000, steps, start_ns + at_ns) - integrated_bits(1000, steps, start_ns)
    # Both ends are rounded down to a microbit.
    assert abs(RateSteps(trace, start_ns).offered(at_ns) - bits * 10**6) < 1


@given(
    opportunity_traces(),
    st.lists(st.tuples(st.integers(0, 120), st.integers(1, 5000)), min_size=1, max_size=12),
)
def test_opportunities_agree_with_mahimahi_stepped_by_milliseconds(trace, arrivals):
    arrivals.sort(key=lambda arrival: arrival[0])
    link = FifoLink(Opportunities(trace))
    got = [link.send(at_ms * MS, size) for at_ms, size in arrivals]
    stamps_ms = (trace.stamps_ns // MS).tolist()
    assert got == [at_ms * MS for at_ms in stepped_mahimahi(stamps_ms, arrivals)]


@given(opportunity_traces(), st.integers(0, 100), TIMES)
def test_an_offset_only_moves_the_origin(trace, offset_ms, at_ns):
    whole, shifted = Opportunities(trace), Opportunities(trace, offset_ms * MS)
    offset_ns = offset_ms * MS % trace.period_ns
    assert shifted.offered(at_ns) == whole.offered(offset_ns + at_ns) - whole.offered(offset_ns)


def test_the_last_opportunity_of_a_round_and_one_at_zero_of_the_next_coincide():
    """Stamps 0 and 10: after the first 0, which is lost, two packets leave every 10 ms."""
    curve = Opportunities(opportunities(0, 10))
    assert [curve.when(1500 * n) // MS for n in (1, 2, 3, 4, 5)] == [10, 10, 20, 20, 30]


def test_a_rate_holds_until_the_next_stamp_and_begins_again_after_the_period():
    """8 Mbit/s for 1 s, nothing for 1 s: a megabyte a round."""
    curve = RateSteps(rates(2000, (0, 8_000_000), (1000, 0)))
    byte = curve.units_per_byte
    assert curve.when(1_000_000 * byte) == S
    assert curve.when(1_000_001 * byte) == 2 * S + 1000
    assert curve.offered(2 * S) == 1_000_000 * byte


def test_sums_beyond_64_bits_stay_exact():
    """A month at 1 Tbit/s is 2.6e24 microbits."""
    month_ms = 30 * 24 * 3600 * 1000
    curve = RateSteps(rates(month_ms, (0, 10**12)))
    bits = 10**12 * 24 * 3600
    assert curve.when(bits * 10**6) == 24 * 3600 * S


def test_a_million_opportunities_are_held_once():
    """Another link over the same trace shares its eight bytes a line."""
    stamps = np.arange(1, 1_000_001, dtype=np.int64) * MS
    trace = Trace(kind="opportunities", stamps_ns=stamps, period_ns=int(stamps[-1]))
    assert np.shares_memory(np.asarray(Opportunities(trace)._stamps), stamps)


@pytest.mark.parametrize("bps", [0, -1, 10**13])
def test_an_impossible_rate_is_refused(bps):
    with pytest.raises(ValueError, match="between 1 bit/s and 1 Tbit/s"):
        ConstantRate(bps)


def test_a_trace_that_never_offers_anything_is_refused():
    with pytest.raises(ValueError, match="must offer something"):
        RateSteps(rates(1000, (0, 0)))


def test_a_trace_of_delays_carries_no_traffic():
    trace = Trace(kind="delay", stamps_ns=np.zeros(1, np.int64), period_ns=S)
    with pytest.raises(ValueError, match="carries no traffic"):
        of_trace(trace)


def test_the_mean_rate_per_bin_is_for_plots():
    assert mbps_per_bin(ConstantRate(3_000_000), S, 250 * MS) == [3.0] * 4


@given(opportunity_traces(), st.integers(0, 100 * MS), st.integers(1, 200 * MS))
def test_credibility_6_trace_integral(trace, from_ns, span_ns):
    """A saturated link delivers, in any window, its opportunities' bytes within one packet."""
    curve = Opportunities(trace)
    link = FifoLink(curve)
    horizon_ns = from_ns + span_ns
    assume(curve.offered(horizon_ns) < 3_000_000)
    delivered = 0
    while (left_ns := link.send(0, 1500)) <= horizon_ns:
        delivered += 1500 * (from_ns < left_ns)
    in_window = curve.offered(horizon_ns) - curve.offered(from_ns)
    assert abs(delivered - in_window) <= 1500
