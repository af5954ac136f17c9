"""Figures of a trace: rates in equal bins, and what they say.

Rates are in consecutive bins from the start of the trace, weighted by time where a value covers a
part of a bin. Bins that no sample covers are left out, never counted as zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.traces.trace import OPPORTUNITY_BYTES, Trace

Floats = NDArray[np.float64]
_MAX_BINS = 1_000_000
_NS = 10**9


@dataclass(frozen=True)
class Binned:
    """Rates of a trace in equal bins.

    Args:
        mbps: One for each bin, Mbit/s; NaN where no sample covers any of the bin.
        width_ns: Length of a bin.
    """

    mbps: Floats
    width_ns: int

    @property
    def covered(self) -> Floats:
        """The rates of the bins that have one."""
        return self.mbps[~np.isnan(self.mbps)]

    @property
    def uncovered(self) -> int:
        """Number of bins without a sample."""
        return int(np.isnan(self.mbps).sum())


def binned(trace: Trace, width_ns: int = _NS) -> Binned:
    """Return the rates of the whole bins of one period.

    A trace shorter than a bin gives one bin of its own length; one with more than a million bins
    gets wider ones. Raise a `ValueError` for a trace of delays.
    """
    width_ns = max(width_ns, -(-trace.period_ns // _MAX_BINS))
    width_ns = min(width_ns, trace.period_ns)
    count = trace.period_ns // width_ns
    if trace.kind == "opportunities":
        packets = np.bincount(trace.stamps_ns // width_ns, minlength=count)[:count]
        per_packet = 8.0 * OPPORTUNITY_BYTES * 1e3 / width_ns
        return Binned(packets.astype(np.float64) * per_packet, width_ns)
    if trace.rates_bps is None:
        raise ValueError(f"a trace of kind '{trace.kind}' has no rate")
    edges_ns = np.arange(count + 1, dtype=np.int64) * width_ns
    points = np.unique(np.concatenate([trace.stamps_ns, trace.gaps_ns.ravel(), [trace.period_ns]]))
    spans = np.diff(points).astype(float)
    rates = trace.rates_bps[np.searchsorted(trace.stamps_ns, points[:-1], "right") - 1]
    # A point lies in a gap when more gaps began than ended up to it.
    begun = np.searchsorted(trace.gaps_ns[:, 0], points[:-1], "right")
    ended = np.searchsorted(trace.gaps_ns[:, 1], points[:-1], "right")
    spans[begun > ended] = 0.0
    known = _between(edges_ns, points, spans)
    bits = _between(edges_ns, points, spans * rates / 1e9)
    with np.errstate(invalid="ignore", divide="ignore"):
        mbps: Floats = np.where(known > 0, bits * 1e3 / known, np.nan)
    return Binned(mbps, width_ns)


def _between(edges: NDArray[np.int64], stamps: NDArray[np.int64], amounts: Floats) -> Floats:
    """Return what of the amounts, each spread evenly over its step, falls between the edges."""
    total = np.concatenate(([0.0], np.cumsum(amounts)))
    return np.diff(np.interp(edges, stamps, total))


@dataclass(frozen=True)
class Figures:
    """What the bins of one trace say. Rates in Mbit/s."""

    mean_mbps: float
    p5_mbps: float
    p50_mbps: float
    p95_mbps: float
    cv: float
    below_1_mbps: float
    lag1: float
    bins: int
    uncovered_bins: int


def figures(trace: Trace) -> Figures:
    """Return the figures over bins of 1 s."""
    bins = binned(trace)
    rates = bins.covered
    p5, p50, p95 = (float(p) for p in np.percentile(rates, [5, 50, 95]))
    mean = float(rates.mean())
    return Figures(
        mean_mbps=mean,
        p5_mbps=p5,
        p50_mbps=p50,
        p95_mbps=p95,
        cv=float(rates.std() / mean) if mean > 0 else 0.0,
        below_1_mbps=float((rates < 1.0).mean()),
        lag1=autocorrelation(bins.mbps, 1),
        bins=len(bins.mbps),
        uncovered_bins=bins.uncovered,
    )


def autocorrelation(values: Floats, lag: int) -> float:
    """Return the plain autocorrelation at `lag`, over the pairs of which both are known.

    NaN where there are fewer than three pairs or no variance.
    """
    early, late = values[:-lag], values[lag:]
    both = ~(np.isnan(early) | np.isnan(late))
    known = values[~np.isnan(values)]
    variance = float(known.var()) if len(known) else 0.0
    if both.sum() < 3 or variance == 0.0:
        return float("nan")
    mean = known.mean()
    return float(((early[both] - mean) * (late[both] - mean)).mean() / variance)
