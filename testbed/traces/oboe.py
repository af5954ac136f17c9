"""Oboe's video sessions: milliseconds and kbit/s, two lines of one value for each chunk.

The two lines are start and end of a download with its mean rate. Nothing was measured between the
end of one and the start of the next; the source suggests to interpolate, and a gap gets the mean of
its two sides, which carries the same bytes.
Source: Z. Akhtar et al., SIGCOMM 2018 (USC-NSL/Oboe).
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace


class Oboe:
    """Reader of rates of chunks."""

    title = "Oboe chunk rates"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: lines come in pairs of one value."""
        first = rows.first_numbers(source, 2, " ")
        if len(first) < 4:
            return None
        pairs = list(zip(first[::2], first[1::2], strict=False))
        equal = sum(a[1] == b[1] and a[0] <= b[0] for a, b in pairs)
        if equal > 0.9 * len(pairs) and len({row[1] for row in first}) > 1:
            return Guess(0.9, "two columns separated by a blank, lines in pairs of one value")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        starts, ends, rates = array("q"), array("q"), array("q")
        open_at: int | None = None
        open_rate, last, line = 0, -1, 0
        for line, cells in rows.fixed(source, 2, None, "time in ms and rate in kbit/s"):
            try:
                stamp, rate = time_ns(cells[0], 1_000_000), rate_bps(cells[1], 1e3)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if stamp < last:
                source.fault(line, f"time {cells[0]} is before the line above; allowed: increasing")
            elif open_at is None:
                open_at, open_rate = stamp, rate
            else:
                if rate != open_rate:
                    source.fault(line, "the second line of a chunk has another rate than the first")
                elif stamp > open_at:
                    starts.append(open_at)
                    ends.append(stamp)
                    rates.append(rate)
                open_at = None
            last = max(last, stamp)
        if open_at is not None:
            source.fault(line, "a chunk has a first line but no second; allowed: pairs of lines")
        source.check()
        return steps.intervals(
            source,
            np.frombuffer(starts, np.int64),
            np.frombuffer(ends, np.int64),
            np.frombuffer(rates, np.int64),
            fill="mean",
            measures="goodput",
            direction="down",
            format="oboe",
        )
