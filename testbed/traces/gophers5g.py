"""5Gophers drives of 2019: `seq_num` is the second, then one column of Mbit/s for each operator.

Source: A. Narayanan et al., WWW 2020, dataset 5Gophers 1.0.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace

_ENDING = "_throughput_mbps"


@dataclass(frozen=True)
class Gophers5g:
    """Reader of drives with several operators side by side.

    Args:
        column: Such as `Verizon_throughput_mbps`; None for the first operator of the file.
    """

    column: str | None = None

    title = "5Gophers drive"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        names = rows.header(source)
        if "seq_num" in names and any(name.endswith(_ENDING) for name in names):
            return Guess(0.99, "the header names seq_num and a throughput for each operator")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        operators = [name for name in rows.header(source) if name.endswith(_ENDING)]
        column = self.column or next(iter(operators), "Verizon" + _ENDING)
        if self.column is not None and self.column not in operators:
            listed = ", ".join(operators) or "none"
            raise source.error(f"has no column '{column}'; it has: {listed}", 1)
        stamps, rates = array("q"), array("q")
        for line, cells in rows.table(source, ("seq_num", column)):
            try:
                stamp, rate = time_ns(cells[0], 10**9, "seq_num"), rate_bps(cells[1], 1e6)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0]):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        others = ", ".join(name for name in operators if name != column)
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="after",
            measures="goodput",
            direction="down",
            technology="5g",
            format="5gophers",
            notes=(f"column {column}" + (f"; the option column takes {others}" if others else ""),),
        )
