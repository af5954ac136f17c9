"""Ghent University 4G/LTE logs, and the raw 3G/HSDPA logs of Oslo, which have the same columns.

Six columns separated by blanks: time since the epoch (ms in Ghent's, s in Oslo's), ms since the
start, latitude, longitude, bytes received since the line above, ms since the line above. The rate
belongs to the interval that *ends* at the stamp. Downlink.
Sources: J. van der Hooft et al., IEEE Communications Letters 20(11), 2016; H. Riiser et al.,
MMSys 2013.
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, number, rate_bps, time_ns
from testbed.traces.trace import Trace

_COLUMNS = "epoch, ms since start, latitude, longitude, bytes, ms since the line above"
_EPOCH_MS = 1e11  # larger stamps are milliseconds: in seconds they would lie beyond the year 5000
_ROUNDING_NS = 100_000_000


class GhentLog:
    """Reader of Ghent and Oslo logs."""

    title = "Ghent 4G or Oslo HSDPA log"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: six columns that begin with an epoch."""
        first = rows.first_numbers(source, 6, None)
        if first and all(row[0] >= 1e9 for row in first):
            return Guess(0.95, "six columns, the first a time since the epoch")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        starts, ends, rates = array("q"), array("q"), array("q")
        technology = "lte"
        for line, cells in rows.fixed(source, 6, None, _COLUMNS):
            try:
                if number(cells[0], "epoch") < _EPOCH_MS:
                    technology = "3g"
                for cell in cells[2:4]:
                    number(cell, "position")
                end = time_ns(cells[1], 1_000_000, "ms since start")
                span = time_ns(cells[5], 1_000_000, "ms since the line above")
                if span == 0 and number(cells[4], "bytes") == 0:
                    continue
                if span == 0:
                    raise ValueError("bytes in an interval of 0 ms; allowed: more than 0 ms")
                rate = rate_bps(cells[4], 8e9 / span, "bytes")
            except ValueError as error:
                source.fault(line, str(error))
                continue
            before = ends[-1] if ends else 0
            if end <= before:
                source.fault(
                    line,
                    f"{cells[1]} ms since start is not after the line above; allowed: increasing",
                )
                continue
            starts.append(max(before, end - span))
            ends.append(end)
            rates.append(rate)
        source.check()
        return steps.intervals(
            source,
            np.frombuffer(starts, np.int64),
            np.frombuffer(ends, np.int64),
            np.frombuffer(rates, np.int64),
            slack_ns=_ROUNDING_NS,
            holds="before",
            measures="goodput",
            direction="down",
            technology=technology,
            format="ghent-log",
        )
