"""What a channel offers, as a cumulative curve of time.

A curve answers two questions in whole numbers: how much has been offered by an instant, and when
a given amount has been. A transfer's end is found from it by bisection; nothing is stepped.

Amounts are counted in the curve's own unit, `units_per_byte` to a byte, fine enough that sums
stay exact: bytes for opportunities, millionths of a bit for rates.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from testbed.traces.trace import OPPORTUNITY_BYTES, Trace

MICROBITS_PER_BYTE = 8_000_000
MAX_BPS = 10**12
_INT64_MAX = 2**63 - 1


class Capacity(Protocol):
    """A non-decreasing curve of offered capacity; immutable, so any number of runs may share it."""

    @property
    def units_per_byte(self) -> int:
        """How many units of this curve make a byte."""

    def offered(self, at_ns: int) -> int:
        """Return the units offered up to and at `at_ns`, from 0 at time zero.

        What arrives at `at_ns` comes too late for them.
        """

    def when(self, units: int) -> int:
        """Return the earliest instant at which `units` > 0 have been offered, in ns."""


class ConstantRate:
    """The same rate for ever.

    Args:
        bps: Rate in bit/s, 1 to 10¹².
    """

    units_per_byte = MICROBITS_PER_BYTE

    def __init__(self, bps: int) -> None:
        if not 0 < bps <= MAX_BPS:
            raise ValueError(f"a rate must be between 1 bit/s and 1 Tbit/s, not {bps}")
        self.bps = bps

    def offered(self, at_ns: int) -> int:
        """Return microbits offered by `at_ns`."""
        return at_ns * self.bps // 1000

    def when(self, units: int) -> int:
        """Return the instant by which `units` microbits have been offered."""
        return -(-units * 1000 // self.bps)


class RateSteps:
    """A rate that is constant between stamps, repeated with the period of its trace.

    Stamps are taken to the microsecond, so that every sum is a whole number of microbits.

    Args:
        trace: A trace of kind `rate`.
        start_ns: Where in the trace time zero is.
    """

    units_per_byte = MICROBITS_PER_BYTE

    def __init__(self, trace: Trace, start_ns: int = 0) -> None:
        assert trace.rates_bps is not None
        starts_us = trace.stamps_ns // 1000
        period_us = int(trace.period_ns) // 1000
        if len(starts_us) == 0 or starts_us[0] != 0:
            raise ValueError("the first stamp of a rate trace must be zero")
        spans_us = np.diff(np.append(starts_us, period_us))
        self._offered = _running_total(trace.rates_bps, spans_us)  # at each start, and the end
        self._total = self._offered[-1]
        if self._total <= 0:
            raise ValueError("a rate trace must offer something in its period")
        self._starts_ns = array("q", (starts_us * 1000).tobytes())
        self._rates = array("q", trace.rates_bps.astype(np.int64).tobytes())
        self._period_ns = period_us * 1000
        self._start_ns = start_ns % self._period_ns
        self._base = self._from_trace_start(self._start_ns)

    def _from_trace_start(self, at_ns: int) -> int:
        rounds, within = divmod(at_ns, self._period_ns)
        i = bisect_right(self._starts_ns, within) - 1
        partial = self._rates[i] * (within - self._starts_ns[i]) // 1000
        return rounds * self._total + self._offered[i] + partial

    def offered(self, at_ns: int) -> int:
        """Return microbits offered by `at_ns`."""
        return self._from_trace_start(at_ns + self._start_ns) - self._base

    def when(self, units: int) -> int:
        """Return the instant by which `units` microbits have been offered."""
        rounds, within = divmod(units + self._base - 1, self._total)
        within += 1  # in (0, total]
        i = bisect_left(self._offered, within) - 1  # offered[i] < within <= offered[i + 1]
        waited = -(-(within - self._offered[i]) * 1000 // self._rates[i])
        return rounds * self._period_ns + self._starts_ns[i] + waited - self._start_ns


def _running_total(rates_bps: np.ndarray, spans_us: np.ndarray) -> Sequence[int]:
    """Return 0 and the running total of rate times span, microbits, whatever its size."""
    if float(np.dot(rates_bps.astype(float), spans_us.astype(float))) < _INT64_MAX / 2:
        return array("q", [0]) + array("q", np.cumsum(rates_bps * spans_us).tobytes())
    products = map(int.__mul__, rates_bps.tolist(), spans_us.tolist())
    return list(accumulate(products, initial=0))


class Opportunities:
    """Instants at which one packet may leave, repeated with the period of the trace.

    The semantics are Mahimahi's (`src/frontend/link_queue.cc`): an opportunity nobody waits for is
    lost, and so is one at the very instant of an arrival; one that is used in part goes on with
    the next byte in the queue; the period is the last stamp, so that the last opportunity of a
    round and one at 0 of the next fall on the same instant, and one at 0 of the first is lost.

    Args:
        trace: A trace of kind `opportunities`.
        start_ns: Where in the trace time zero is.
        opportunity_bytes: Size of an opportunity.
    """

    units_per_byte = 1

    def __init__(
        self, trace: Trace, start_ns: int = 0, opportunity_bytes: int = OPPORTUNITY_BYTES
    ) -> None:
        if len(trace.stamps_ns) == 0 or trace.period_ns <= 0:
            raise ValueError("a trace of opportunities needs at least one after time zero")
        # A view: a million opportunities are held once, however many links replay them.
        self._stamps = np.ascontiguousarray(trace.stamps_ns, dtype=np.int64).data
        self._count = len(self._stamps)
        self._period_ns = int(trace.period_ns)
        self._bytes = opportunity_bytes
        self._start_ns = start_ns % self._period_ns
        # Where the stamps of each 2^shift ns begin: a bisection among some dozens, not among all,
        # at an eighth of a byte per stamp.
        self._shift = max(0, (self._period_ns // max(1, self._count // 32)).bit_length() - 1)
        edges = np.arange((self._period_ns >> self._shift) + 2, dtype=np.int64) << self._shift
        first = np.searchsorted(trace.stamps_ns, edges, "left").astype(np.uint32)
        self._first = array("I", first.tobytes())
        self._base = self._passed(self._start_ns)

    def _passed(self, within: int) -> int:
        """Count the opportunities of one round up to an instant of it, that instant included."""
        bucket = within >> self._shift
        first = self._first
        return bisect_right(self._stamps, within, first[bucket], first[bucket + 1])

    def offered(self, at_ns: int) -> int:
        """Return bytes offered by `at_ns`, those of that instant included."""
        rounds, within = divmod(at_ns + self._start_ns, self._period_ns)
        return (rounds * self._count + self._passed(within) - self._base) * self._bytes

    def when(self, units: int) -> int:
        """Return the instant by which `units` bytes have been offered."""
        index = -(-units // self._bytes) - 1 + self._base
        rounds, within = divmod(index, self._count)
        return rounds * self._period_ns + self._stamps[within] - self._start_ns


def of_trace(
    trace: Trace, start_ns: int = 0, opportunity_bytes: int = OPPORTUNITY_BYTES
) -> Capacity:
    """Return the curve of a trace of either kind, beginning `start_ns` into it."""
    if trace.kind == "opportunities":
        return Opportunities(trace, start_ns, opportunity_bytes)
    if trace.kind == "rate":
        return RateSteps(trace, start_ns)
    raise ValueError(f"a trace of kind '{trace.kind}' carries no traffic")


def mbps_per_bin(capacity: Capacity, duration_ns: int, bin_ns: int) -> list[float]:
    """Return the mean rate offered in each bin of `bin_ns`, Mbit/s, for plots."""
    edges = [capacity.offered(t) for t in range(0, duration_ns + bin_ns, bin_ns)]
    scale = 8000 / (capacity.units_per_byte * bin_ns)
    return [(b - a) * scale for a, b in pairwise(edges)]
