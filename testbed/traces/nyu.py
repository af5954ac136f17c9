"""New York buses and subways: one line a second, a value and its unit, which changes by line.

There is no stamp and the direction is not stated. Reading the numbers without their units makes
867 kbit/s into 867 Mbit/s.
Source: L. Mei et al., PAM 2019 (NYU-METS/Main).
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows, steps, units
from testbed.traces.detect import Guess, direction_of_name
from testbed.traces.source import Source, rate_bps
from testbed.traces.trace import Trace


class Nyu:
    """Reader of values with units, one a second."""

    title = "NYU METS, value and unit"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: a comma, then a unit of rate."""
        pairs = [text.split(",") for text in source.head]
        hits = sum(len(pair) == 2 and units.rate_unit(pair[1]) is not None for pair in pairs)
        if 2 * hits > len(pairs):
            return Guess(0.95, f"{hits} of the first {len(pairs)} lines are a value and a unit")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        rates = array("q")
        for line, cells in rows.fixed(source, 2, ",", "value and unit"):
            unit = units.rate_unit(cells[1])
            if unit is None:
                source.fault(
                    line,
                    f"unit {cells[1].strip()[:30]!r} is unknown; allowed: bits/sec, Kbits/sec, "
                    "Mbits/sec, Gbits/sec",
                )
                continue
            try:
                rates.append(rate_bps(cells[0], unit))
            except ValueError as error:
                source.fault(line, str(error))
        source.check()
        return steps.per_second(
            source,
            np.frombuffer(rates, np.int64),
            direction=direction_of_name(source.path),
            technology="lte",
            format="nyu",
            notes=("the source does not state the direction",),
        )
