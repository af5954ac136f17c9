"""Pensieve's "cooked" traces: time in seconds and Mbit/s, separated by a tab. Downlink.

In the simulators that use the format the value of line i holds from the time of line i - 1 to the
time of line i, and the value of the first line is never used. Many re-implementations hold it
*after* its stamp; `holds` chooses. The steps differ in length within a file.
Source: H. Mao et al., SIGCOMM 2017 (hongzimao/pensieve, `sim/fixed_env.py`).
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace


@dataclass(frozen=True)
class Pensieve:
    """Reader of cooked traces.

    Args:
        holds: Whether a value holds `before` its stamp, as in the reference, or `after` it.
    """

    holds: Literal["before", "after"] = "before"

    title = "Pensieve cooked trace"

    def __post_init__(self) -> None:
        steps.check_holds(self.holds)

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: two columns from time 0, CR LF."""
        first = rows.first_numbers(source, 2, "\t")
        if not first or first[0][0] != 0:
            return None
        if source.crlf:
            return Guess(0.9, "two columns separated by a tab, from time 0, lines end in CR LF")
        apart = {round(b[0] - a[0], 1) for a, b in itertools.pairwise(first)}
        if len(apart) > 3 or min(apart, default=0) > 1.5:
            return Guess(0.6, "two columns separated by a tab, from time 0, steps other than 1 s")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        for line, cells in rows.fixed(source, 2, None, "time in s and rate in Mbit/s"):
            try:
                stamp = time_ns(cells[0], 10**9)
                rate = rate_bps(cells[1], 1e6)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0]):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        fixed_line = source.path.name.startswith("trace_")
        return steps.between_stamps(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds=self.holds,
            measures="goodput",
            direction="down",
            technology="fixed" if fixed_line else "3g",
            format="pensieve",
            notes=("value holds before its stamp, as in Pensieve; the first is unused",)
            if self.holds == "before"
            else ("value holds after its stamp, unlike in Pensieve",),
        )
