"""New York's multivariate set: eight values a second without a header; the first is Mbit/s.

The order of the others is not what the source lists, so they are not read.
Source: L. Mei et al., Computer Networks 182, 2020 (NYU-METS/Main).
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess, direction_of_name
from testbed.traces.source import Source, number, rate_bps
from testbed.traces.trace import Trace


class NyuMultivariate:
    """Reader of eight values a second."""

    title = "NYU METS, eight values"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: eight numbers, one of them a flag."""
        first = rows.first_numbers(source, 8, ",")
        if first and all(row[2] in (0.0, 1.0) for row in first):
            return Guess(0.75, "eight numbers separated by commas, the third 0 or 1")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        rates = array("q")
        for line, cells in rows.fixed(source, 8, ",", "throughput and seven radio values"):
            try:
                for cell in cells[1:]:
                    number(cell)
                rates.append(rate_bps(cells[0], 1e6))
            except ValueError as error:
                source.fault(line, str(error))
        source.check()
        return steps.per_second(
            source,
            np.frombuffer(rates, np.int64),
            direction=direction_of_name(source.path),
            technology="lte",
            format="nyu-multivariate",
            notes=("the source does not state the direction",),
        )
