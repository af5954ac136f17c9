"""Wi-Fi and cellular side by side: second (from 1) and *bytes* per second, separated by a comma.

The value of second n is what arrived in the second that ends at n. 0 is an outage. The direction is
not stated.
Source: I. Aydin et al., INFOCOM CNERT 2023 (Multipath-Wireless-Link-Traces).
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess, direction_of_name, technology_of_name
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace


class WifiCellular:
    """Reader of one file of a pair."""

    title = "Wi-Fi and cellular pair"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: 1, 2, 3, ... and a whole number."""
        first = rows.first_numbers(source, 2, ",")
        counted = [row[0] for row in first] == [float(1 + at) for at in range(len(first))]
        if not first or not counted or any(row[1] != round(row[1]) for row in first):
            return None
        named = any(word in source.path.name for word in ("wifi", "cellular"))
        return Guess(0.9 if named else 0.7, "seconds from 1 and whole numbers, by a comma")

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        for line, cells in rows.fixed(source, 2, ",", "second and bytes per second"):
            try:
                stamp = time_ns(cells[0], 10**9)
                rate = rate_bps(cells[1], 8.0)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0]):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        cellular = "cellular" in source.path.name
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="before",
            measures="goodput",
            direction=direction_of_name(source.path),
            technology="cellular" if cellular else technology_of_name(source.path),
            format="wifi-cellular",
            notes=("the source does not state the direction", "read as bytes per second"),
        )
