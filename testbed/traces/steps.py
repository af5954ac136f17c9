"""From samples as formats state them to rates that hold from one stamp to the next.

Nothing here treats a span without a sample as zero. Where a trace has such a span its last rate is
held, because a replay needs one, and the span is listed in `Trace.gaps_ns` and in the notes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.traces.source import Source, check_period
from testbed.traces.trace import Trace

Ints = NDArray[np.int64]


def between_stamps(
    source: Source,
    stamps_ns: Ints,
    rates_bps: Ints,
    *,
    holds: Literal["before", "after"],
    period_ns: int | None = None,
    notes: tuple[str, ...] = (),
    **fields: Any,
) -> Trace:
    """Return a trace whose values hold from stamp to stamp, however far apart these are.

    Args:
        source: For path and checksum.
        stamps_ns: Increasing; the first becomes zero.
        rates_bps: One for each stamp.
        holds: `after`: value i holds to stamp i + 1, the last for one median step. `before`: value
            i holds from stamp i - 1; the first holds from zero, or for no time if it is at zero.
        period_ns: When the trace begins again, counted from the first stamp (`after`) or from
            zero (`before`); None for the end of the last step.
        notes: What the reader assumed.
        fields: Passed on to `Trace`.
    """
    samples = len(stamps_ns)
    if holds == "before":
        if len(stamps_ns) == 1 and stamps_ns[0] == 0:
            raise source.error("its one value holds before time 0; allowed: a later stamp")
        starts = np.concatenate(([0], stamps_ns[:-1]))
        end = int(stamps_ns[-1])
        if stamps_ns[0] == 0:
            starts, rates_bps = starts[1:], rates_bps[1:]
    else:
        starts = stamps_ns - stamps_ns[0]
        step = int(np.median(np.diff(stamps_ns))) if samples > 1 else 10**9
        end = int(starts[-1]) + step
        if samples == 1 and period_ns is None:
            notes = (*notes, "a single value, taken to hold for 1 s")
    if period_ns is not None:
        if period_ns <= int(starts[-1]):
            raise source.error(
                f"period_s is {period_ns / 1e9:g}, but the last value begins at "
                f"{int(starts[-1]) / 1e9:g} s; allowed: more than that"
            )
        end = period_ns
    return finish(
        source, starts, rates_bps, end, samples=samples, holds=holds, notes=notes, **fields
    )


def finish(
    source: Source, starts_ns: Ints, rates_bps: Ints, period_ns: int, **fields: Any
) -> Trace:
    """Return the `rate` trace of contiguous steps. Raise a `TraceError` if it cannot be replayed.

    Args:
        source: For path and checksum.
        starts_ns: Increasing, the first zero.
        rates_bps: Each holds to the next start, the last to `period_ns`.
        period_ns: When the trace begins again.
        fields: Passed on to `Trace`.
    """
    try:
        check_period(period_ns)
    except ValueError as error:
        raise source.error(str(error)) from None
    if not rates_bps.any():
        raise source.error("every rate is 0, so no transfer would end; allowed: one above 0")
    starts = np.ascontiguousarray(starts_ns, np.int64)
    rates = np.ascontiguousarray(rates_bps, np.int64)
    starts.setflags(write=False)
    rates.setflags(write=False)
    return Trace(
        kind="rate",
        stamps_ns=starts,
        period_ns=period_ns,
        rates_bps=rates,
        path=source.path,
        sha256=source.sha256,
        **fields,
    )
