"""From samples as formats state them to rates that hold from one stamp to the next.

Nothing here treats a span without a sample as zero. Where a trace has such a span its last rate is
held, because a replay needs one, and the span is listed in `Trace.gaps_ns` and in the notes.
"""

from __future__ import annotations

from array import array
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.traces.source import Source, check_period
from testbed.traces.trace import MAX_PERIOD_NS, Trace

Ints = NDArray[np.int64]


def check_holds(holds: str) -> None:
    """Raise a `ValueError` unless `holds` is `before` or `after`."""
    if holds not in ("before", "after"):
        raise ValueError(f"holds must be 'before' or 'after', not '{holds}'")


def check_end(end_ns: int) -> None:
    """Raise a `ValueError` if a sum of durations is longer than any trace may be."""
    if end_ns > MAX_PERIOD_NS:
        raise ValueError("the trace lasts more than a year here; is the unit of time right?")


def rises(
    source: Source, line: int, stamps: array[int], stamp: int, text: str, *, strictly: bool = True
) -> bool:
    """Return whether `stamp` comes after the last of `stamps`; if not, note a fault.

    With `strictly=False` an equal stamp will do.
    """
    if not stamps or stamp > stamps[-1] or (stamp == stamps[-1] and not strictly):
        return True
    how = "equal to" if stamp == stamps[-1] else "before"
    allowed = "increasing" if strictly else "non-decreasing"
    where = "the time of the line above"
    source.fault(line, f"time {text.strip()[:40]} is {how} {where}; allowed: {allowed}")
    return False


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
    if not samples:
        raise source.error("has no line of values; allowed: at least one")
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


def sampled(
    source: Source,
    stamps_ns: Ints,
    rates_bps: Ints,
    *,
    holds: Literal["before", "after"],
    step_ns: int = 10**9,
    notes: tuple[str, ...] = (),
    **fields: Any,
) -> Trace:
    """Return the trace of a logger that writes a value every `step_ns`, more or less.

    Up to one and a half steps between two stamps are jitter. Beyond that a value stands for one
    step, and what is left is a gap. Values with equal stamps are averaged.

    Args:
        source: For path and checksum.
        stamps_ns: Non-decreasing; the first value begins at zero.
        rates_bps: One for each stamp.
        holds: Whether a value stands for the step `before` or `after` its stamp.
        step_ns: Nominal period of the logger.
        notes: What the reader assumed.
        fields: Passed on to `Trace`.
    """
    samples = len(stamps_ns)
    if not samples:
        raise source.error("has no line of values; allowed: at least one")
    first = np.flatnonzero(np.concatenate(([True], stamps_ns[1:] != stamps_ns[:-1])))
    if len(first) < samples:
        counts = np.diff(np.append(first, samples))
        rates_bps = np.add.reduceat(rates_bps, first) // counts
        stamps_ns = stamps_ns[first]
        notes = (*notes, f"{samples - len(first)} values with the stamp of another, averaged")
    wide = np.flatnonzero(np.diff(stamps_ns) > step_ns + step_ns // 2)
    gaps = np.empty((len(wide), 2), np.int64)
    gaps[:, 0] = stamps_ns[wide]
    gaps[:, 1] = stamps_ns[wide + 1]
    if holds == "after":
        gaps[:, 0] += step_ns
        starts, end = stamps_ns, int(stamps_ns[-1]) + step_ns
    else:
        gaps[:, 1] -= step_ns
        starts, end = np.empty_like(stamps_ns), int(stamps_ns[-1])
        starts[1:] = stamps_ns[:-1]
        starts[0] = stamps_ns[0] - step_ns
        starts[wide + 1] = gaps[:, 1]
    origin = int(starts[0])
    starts = starts - origin
    gaps -= origin
    return finish(
        source,
        starts,
        rates_bps,
        end - origin,
        gaps_ns=gaps,
        samples=samples,
        holds=holds,
        notes=(*notes, *_about(gaps, "hold")),
        **fields,
    )


def intervals(
    source: Source,
    starts_ns: Ints,
    ends_ns: Ints,
    rates_bps: Ints,
    *,
    fill: Literal["hold", "mean"] = "hold",
    slack_ns: int = 0,
    samples: int | None = None,
    notes: tuple[str, ...] = (),
    **fields: Any,
) -> Trace:
    """Return the trace of values that state where they begin and end.

    Args:
        source: For path and checksum.
        starts_ns: Increasing; the first becomes zero.
        ends_ns: Each after its start; one that reaches into the next interval is cut there.
        rates_bps: One for each interval.
        fill: What a gap gets: the rate before it (`hold`), or the `mean` of both sides.
        slack_ns: A gap up to this long is rounding, and belongs to the interval before it.
        samples: Values in the file; None for the number of intervals.
        notes: What the reader assumed.
        fields: Passed on to `Trace`.
    """
    if not len(starts_ns):
        raise source.error("has no line of values; allowed: at least one")
    origin = int(starts_ns[0])
    starts, ends = starts_ns - origin, ends_ns - origin
    wide = np.flatnonzero(starts[1:] - ends[:-1] > slack_ns)
    gaps = np.stack([ends[wide], starts[wide + 1]], axis=1)
    if len(wide) and fill == "mean":
        filler = (rates_bps[wide] + rates_bps[wide + 1]) // 2
        starts = np.insert(starts, wide + 1, ends[wide])
        rates_bps = np.insert(rates_bps, wide + 1, filler)
    count = len(starts_ns) if samples is None else samples
    return finish(
        source,
        starts,
        rates_bps,
        int(ends[-1]),
        gaps_ns=gaps,
        samples=count,
        notes=(*notes, *_about(gaps, fill)),
        **fields,
    )


def _about(gaps: Ints, fill: Literal["hold", "mean"]) -> tuple[str, ...]:
    if not len(gaps):
        return ()
    lost_s = float((gaps[:, 1] - gaps[:, 0]).sum()) / 1e9
    how = "the rate before them is held" if fill == "hold" else "filled with the mean around"
    noun = "gap" if len(gaps) == 1 else "gaps"
    return (f"{len(gaps)} {noun} without a sample, {lost_s:.1f} s in all; {how}",)


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


def per_second(source: Source, rates_bps: Ints, **fields: Any) -> Trace:
    """Return the trace of a file with one value a second and no stamps."""
    if not len(rates_bps):
        raise source.error("has no line of values; allowed: at least one")
    starts = np.arange(len(rates_bps), dtype=np.int64) * 10**9
    return finish(
        source,
        starts,
        rates_bps,
        len(rates_bps) * 10**9,
        samples=len(rates_bps),
        measures="goodput",
        **fields,
    )


def delays(source: Source, stamps: array[int], delays_ns: array[int], **fields: Any) -> Trace:
    """Return a series of round trips, the first at time zero; one period ends a step after it.

    Raise a `TraceError` for the faults noted so far, or if there is no sample.
    """
    source.check()
    if not stamps:
        raise source.error("has no line of values; allowed: at least one")
    sent = np.frombuffer(stamps, np.int64) - stamps[0]
    step = int(np.median(np.diff(sent))) if len(sent) > 1 else 0
    try:
        period = check_period(int(sent[-1]) + (step or 10**9))
    except ValueError as error:
        raise source.error(str(error)) from None
    return Trace(
        kind="delay",
        stamps_ns=sent,
        period_ns=period,
        delays_ns=np.frombuffer(delays_ns, np.int64),
        path=source.path,
        sha256=source.sha256,
        samples=len(sent),
        **fields,
    )
