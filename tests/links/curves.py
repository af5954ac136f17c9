"""Traces made in memory, and slow and simple versions of what the links compute cleverly."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from testbed.links.capacity import ConstantRate, Opportunities, RateSteps
from testbed.traces.trace import Trace

MS = 1_000_000
S = 1_000_000_000


def opportunities(*stamps_ms):
    """Return a Mahimahi trace."""
    stamps = np.array(stamps_ms, dtype=np.int64) * MS
    return Trace(kind="opportunities", stamps_ns=stamps, period_ns=int(stamps[-1]))


def rates(period_ms, *steps):
    """Return a trace of (start in ms, rate in bit/s)."""
    starts, values = zip(*steps, strict=True)
    return Trace(
        kind="rate",
        stamps_ns=np.array(starts, dtype=np.int64) * MS,
        period_ns=period_ms * MS,
        rates_bps=np.array(values, dtype=np.int64),
    )


@st.composite
def opportunity_traces(draw):
    stamps = sorted(draw(st.lists(st.integers(0, 40), min_size=1, max_size=25)))
    return opportunities(*stamps[:-1], max(stamps[-1], 1))


@st.composite
def rate_traces(draw):
    starts = sorted({0, *draw(st.lists(st.integers(0, 999), max_size=8))})
    values = [draw(st.sampled_from([0, 1, 7, 1_000, 999_999, 10**7, 10**9])) for _ in starts]
    values[draw(st.integers(0, len(values) - 1))] += 1
    return rates(1000, *zip(starts, values, strict=True))


@st.composite
def capacities(draw):
    """Any curve, beginning anywhere in its trace."""
    start_ns = draw(st.integers(0, 2 * S))
    match draw(st.sampled_from(["constant", "rate", "opportunities"])):
        case "constant":
            return ConstantRate(draw(st.integers(1, 10**10)))
        case "rate":
            return RateSteps(draw(rate_traces()), start_ns)
        case _:
            return Opportunities(draw(opportunity_traces()), start_ns)


def stepped_mahimahi(stamps_ms, arrivals, *, opportunity_bytes=1500):
    """Mahimahi's `LinkQueue` with a clock that ticks every millisecond.

    Args:
        stamps_ms: The trace.
        arrivals: (time in ms, bytes) in order.

    Returns:
        For each arrival the millisecond at which its last byte leaves.
    """
    left, queue, pending = {}, deque(), deque(enumerate(arrivals))
    base, following, now = 0, 0, 0
    while len(left) < len(arrivals):
        while base + stamps_ms[following] <= now:  # burn the opportunities of this millisecond
            room = opportunity_bytes
            while room and queue:
                used = min(room, queue[0][1])
                room -= used
                queue[0][1] -= used
                if queue[0][1] == 0:
                    left[queue.popleft()[0]] = now
            following += 1
            if following == len(stamps_ms):
                base, following = base + stamps_ms[-1], 0
        while pending and pending[0][1][0] == now:
            index, (_, size) = pending.popleft()
            queue.append([index, size])
        now += 1
    return [left[i] for i in range(len(arrivals))]


def integrated_bits(period_ms, steps, until_ns):
    """Integrate a rate trace exactly, a step at a time."""
    total, at, period = Fraction(0), 0, period_ms * MS
    while at < until_ns:
        for i, (start_ms, bps) in enumerate(steps):
            end_ms = steps[i + 1][0] if i + 1 < len(steps) else period_ms
            begin, end = at + start_ms * MS, at + end_ms * MS
            total += Fraction(max(0, min(end, until_ns) - begin) * bps, S)
        at += period
    return total
