"""From one kind of trace to another without losing what it carries.

In every window from the start on, source and result deliver the same to within one packet of 1500
bytes; the period stays the same to the millisecond.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from testbed.errors import TestbedError
from testbed.traces.trace import OPPORTUNITY_BYTES, Trace

_PACKET_BITS = 8 * OPPORTUNITY_BYTES
_NS_PER_MS = 1_000_000
MAX_PACKETS = 10_000_000
"""More opportunities than this are refused: the file would be 80 MB and more."""


def to_rates(trace: Trace, window_ns: int = 100_000_000) -> Trace:
    """Return the trace with the mean rate of each window; a trace of rates as it is.

    Args:
        trace: Of kind `opportunities` or `rate`.
        window_ns: Length of the windows; the last one ends with the period and may be shorter.

    Raises:
        TestbedError: It is a trace of delays, or the window is not within the period.
    """
    if trace.kind == "rate":
        return trace
    _refuse_delays(trace)
    if not 0 < window_ns <= trace.period_ns:
        raise TestbedError(
            f"the window is {window_ns / 1e6:g} ms; allowed: above 0, at most the period of "
            f"{trace.period_ns / 1e6:g} ms"
        )
    count = -(-trace.period_ns // window_ns)
    if count > MAX_PACKETS:
        raise TestbedError(f"{count} windows; at most {MAX_PACKETS}. Choose a longer window")
    # An opportunity at the very end of the period belongs to the last window.
    window = np.minimum(trace.stamps_ns // window_ns, count - 1)
    packets = np.bincount(window, minlength=count)
    starts = np.arange(count, dtype=np.int64) * window_ns
    spans = np.diff(np.append(starts, trace.period_ns))
    rates = np.rint(packets * (_PACKET_BITS * 1e9) / spans).astype(np.int64)
    return dataclasses.replace(
        trace,
        kind="rate",
        stamps_ns=starts,
        rates_bps=rates,
        holds="after",
        notes=(*trace.notes, f"mean rates of {window_ns / 1e6:g} ms"),
    )


def to_opportunities(trace: Trace) -> Trace:
    """Return the trace as opportunities; a trace of opportunities as it is.

    A packet may leave in the millisecond in which the bits that have accumulated since the last one
    suffice for it. The last one leaves at the end of the period, rounded up to a millisecond,
    because in a trace of opportunities that is what the period is.

    Raises:
        TestbedError: It is a trace of delays, or would have more than 10 million packets.
    """
    if trace.kind == "opportunities":
        return trace
    _refuse_delays(trace)
    assert trace.rates_bps is not None
    if trace.mean_bps * trace.period_ns / 1e9 / _PACKET_BITS > MAX_PACKETS:
        raise TestbedError(
            f"the trace would have more than {MAX_PACKETS} opportunities; convert it to csv"
        )
    edges = np.append(trace.stamps_ns, trace.period_ns)
    spans = np.diff(edges)
    # Nanobits in Python integers would be exact but slow; as packets with a float per step the
    # error over a period stays far below one packet.
    total = np.concatenate(([0.0], np.cumsum(spans * (trace.rates_bps / (_PACKET_BITS * 1e9)))))
    count = max(1, int(np.ceil(total[-1] - 1e-6)))
    # Begin with the part of a packet that the period lacks to whole packets: then the last one
    # leaves at its end, and source and result never differ by a packet or more.
    reserve = count - total[-1]
    numbers = np.arange(1, count + 1, dtype=np.float64) - reserve
    instants = _when(total, edges, numbers)
    stamps = np.ceil((instants - 1.0) / _NS_PER_MS).astype(np.int64)
    last = -(-trace.period_ns // _NS_PER_MS)
    stamps = np.minimum(stamps, last)
    stamps[-1] = last
    stamps *= _NS_PER_MS
    return dataclasses.replace(
        trace,
        kind="opportunities",
        stamps_ns=stamps,
        rates_bps=None,
        period_ns=last * _NS_PER_MS,
        gaps_ns=np.empty((0, 2), np.int64),
        holds=None,
        notes=(*trace.notes, "opportunities made from rates"),
    )


def _when(
    total: NDArray[np.float64], edges: NDArray[np.int64], numbers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the instants at which the cumulated packets reach each of `numbers`."""
    step = np.searchsorted(total, numbers - 1e-9, "left") - 1
    step = np.clip(step, 0, len(edges) - 2)
    rise = total[step + 1] - total[step]
    inside = np.where(rise > 0, (numbers - total[step]) / np.where(rise > 0, rise, 1.0), 0.0)
    spans = (edges[step + 1] - edges[step]).astype(np.float64)
    return edges[step].astype(np.float64) + inside * spans


def _refuse_delays(trace: Trace) -> None:
    if trace.kind not in ("opportunities", "rate"):
        raise TestbedError(
            f"{trace.path}: is a series of delays ({trace.format}); only rates and opportunities "
            "can be converted"
        )
