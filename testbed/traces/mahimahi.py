"""Mahimahi packet-delivery opportunities (`.up`, `.down`, `.pps`).

One non-negative integer per line: at that millisecond one packet of 1500 bytes may leave. Equal
stamps are several packets, 0 is legal, and the trace repeats with its last stamp as period.
Source: Mahimahi, `src/frontend/link_queue.cc`; R. Netravali et al., USENIX ATC 2015.
"""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from testbed.traces.detect import SURE, Guess, direction_of_name, technology_of_name
from testbed.traces.source import Source, check_period
from testbed.traces.trace import MAX_PERIOD_NS, Trace

SUFFIXES = (".up", ".down", ".pps")
"""How the names of such files end."""

_ALLOWED = "allowed: whole milliseconds, such as 1250"
_MAX_DIGITS = 12  # 31 years; keeps the products of the fast path inside int64


class Mahimahi:
    """Reader of packet-delivery opportunities."""

    title = "Mahimahi packet-delivery opportunities"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: every line one whole number."""
        whole = [line for line in source.head if line.strip().isascii() and line.strip().isdigit()]
        share = len(whole) / len(source.head)
        if share > 0.5:
            return Guess(0.95 * share, f"{share:.0%} of the first lines are one whole number")
        if source.path.suffix in SUFFIXES:
            return Guess(SURE, f"the name ends in {source.path.suffix}")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps = _parse_fast(source.data)
        if stamps is None:
            stamps = _parse_slow(source)
        source.check()
        if not len(stamps):
            raise source.error("has no line of values; allowed: at least one")
        backwards = np.flatnonzero(stamps[1:] < stamps[:-1])
        for index in backwards.tolist():
            now, before = int(stamps[index + 1]), int(stamps[index])
            source.fault(index + 2, f"time {now} ms is before {before} ms; allowed: non-decreasing")
        source.check()
        if stamps[-1] == 0:
            raise source.error("every stamp is 0, so the period is 0; the last must be above 0 ms")
        if stamps[-1] > MAX_PERIOD_NS // 1_000_000:
            raise source.error(f"time {stamps[-1]} ms is beyond a year", len(stamps))
        stamps *= 1_000_000
        try:
            period_ns = check_period(int(stamps[-1]))
        except ValueError as error:
            raise source.error(str(error)) from None
        stamps.setflags(write=False)
        return Trace(
            kind="opportunities",
            stamps_ns=stamps,
            period_ns=period_ns,
            measures="capacity",
            direction=direction_of_name(source.path),
            technology=technology_of_name(source.path),
            format="mahimahi",
            path=source.path,
            sha256=source.sha256,
            samples=len(stamps),
        )


def _parse_fast(data: bytes) -> NDArray[np.int64] | None:
    """Return the numbers of a file that holds nothing but digits and line feeds, else None.

    Column arithmetic on the bytes of a chunk: a million lines in about 0.1 s, and never more than
    2 MB beside the result.
    """
    end = len(data)
    while end and data[end - 1 : end] == b"\n":
        end -= 1
    if data.find(b"\n\n", 0, end) >= 0:
        return None
    stamps = np.empty(data.count(b"\n", 0, end) + 1, np.int64)
    # The temporaries of a chunk take up to thirty times its size.
    chunk_bytes = max(1 << 12, min(1 << 16, len(data) // 16))
    filled = start = 0
    while start < end:
        stop = end
        if end - start > chunk_bytes:
            stop = data.rfind(b"\n", start, start + chunk_bytes)
            if stop < 0:
                return None
        block = np.frombuffer(data, np.uint8, stop - start, start)
        breaks = np.flatnonzero(block == ord("\n"))
        first = np.concatenate(([0], breaks + 1))
        length = np.concatenate((breaks, [len(block)])) - first
        digits = block - np.uint8(ord("0"))
        if length.min() < 1 or length.max() > _MAX_DIGITS:
            return None
        if np.count_nonzero(digits > 9) != len(breaks):
            return None
        values = np.zeros(len(first), np.int64)
        for column in range(int(length.max())):
            inside = column < length
            at = np.where(inside, first + column, 0)
            values = np.where(inside, values * 10 + digits[at], values)
        stamps[filled : filled + len(values)] = values
        filled += len(values)
        start = stop + 1
    return stamps


def _parse_slow(source: Source) -> NDArray[np.int64]:
    """Return the numbers line by line, with a fault for every line that is not one."""
    stamps = array("q")
    for line, text in source.lines():
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            stamps.append(int(text))
        elif text.startswith("-") and text[1:].isdigit():
            source.fault(line, f"time '{text[:20]}' is negative; {_ALLOWED}")
        else:
            quoted = repr(text if len(text) <= 40 else text[:37] + "...")
            source.fault(line, f"{quoted} is not a time; {_ALLOWED}")
    return np.frombuffer(stamps, np.int64)
