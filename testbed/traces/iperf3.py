"""What the JSON and the text of iperf3 have in common: intervals of one run."""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import steps
from testbed.traces.detect import direction_of_name, technology_of_name
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Direction, Trace

_ROUNDING_NS = 50_000_000  # text has stamps of 10 ms, JSON drifts by a few ms


class Run:
    """The intervals of one iperf3 run, in any order.

    Args:
        source: The file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reverse: bool | None = None
        self.sender = False
        self.protocol = ""
        self._starts, self._ends, self._rates = array("q"), array("q"), array("q")
        self._lines = array("q")

    def add(self, line: int, start: str, end: str, rate: str, unit_bps: float) -> None:
        """Note an interval; what cannot be one becomes a fault of its line."""
        try:
            begins, ends = time_ns(start, 10**9, "start"), time_ns(end, 10**9, "end")
            bps = rate_bps(rate, unit_bps)
            if ends < begins:
                raise ValueError(f"the interval ends at {end}, before its start {start}")
        except ValueError as error:
            self.source.fault(line, str(error))
            return
        if ends > begins:  # an interval of no length says nothing
            self._starts.append(begins)
            self._ends.append(ends)
            self._rates.append(bps)
            self._lines.append(line)

    def trace(self, format: str) -> Trace:  # noqa: A002
        """Return the trace of the run. Raise a `TraceError` if its intervals overlap."""
        starts, ends = np.frombuffer(self._starts, np.int64), np.frombuffer(self._ends, np.int64)
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], ends[order]
        for at in np.flatnonzero(ends[:-1] - starts[1:] > _ROUNDING_NS).tolist():
            line = self._lines[int(order[at + 1])]
            self.source.fault(line, "the interval begins before another ends")
        self.source.check()
        apart = np.diff(starts, prepend=-1) > 0  # rounding can make two starts equal
        direction: Direction | None = direction_of_name(self.source.path)
        if self.reverse is not None:
            direction = "down" if self.reverse else "up"
        notes = []
        if self.sender or self.reverse is False:
            notes.append("figures of the sender: what entered its socket buffer")
        if self.protocol.upper() == "UDP":
            notes.append("UDP: never above the load that was offered")
        return steps.intervals(
            self.source,
            starts[apart],
            ends[apart],
            np.frombuffer(self._rates, np.int64)[order][apart],
            slack_ns=_ROUNDING_NS,
            samples=len(starts),
            measures="goodput",
            direction=direction,
            technology=technology_of_name(self.source.path),
            format=format,
            notes=tuple(notes),
        )
