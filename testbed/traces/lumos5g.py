"""Lumos5G series of Minneapolis: second and Mbit/s of a TCP download.

5G files are separated by a tab and begin at 1.0, 4G files by a blank and begin at 0; here and there
a second is missing or stands twice. A value is taken to hold for the second *before* its stamp.
Source: A. Narayanan et al., IMC 2020, in the artifact of SIGCOMM 2021.
"""

from __future__ import annotations

import itertools
from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace


class Lumos5g:
    """Reader of Lumos5G series."""

    title = "Lumos5G series"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: whole seconds from 1 (tab) or 0 (blank)."""
        first = rows.first_numbers(source, 2, None)
        if not first or any(row[0] != round(row[0]) for row in first):
            return None
        tab = "\t" in source.head[0]
        if first[0][0] != (1 if tab else 0) or any("," in text for text in source.head):
            return None
        steady = sum(b[0] - a[0] == 1 for a, b in itertools.pairwise(first))
        if steady < 0.9 * (len(first) - 1):
            return None
        separator, start = ("a tab", 1) if tab else ("a blank", 0)
        return Guess(0.85, f"whole seconds from {start} and a value, separated by {separator}")

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        for line, cells in rows.fixed(source, 2, None, "time in s and rate in Mbit/s"):
            try:
                stamp, rate = time_ns(cells[0], 10**9), rate_bps(cells[1], 1e6)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0], strictly=False):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        five = "5g" in source.path.name.lower() or source.data[:20].startswith(b"1.0\t")
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="before",
            measures="goodput",
            direction="down",
            technology="mmwave" if five else "lte",
            format="lumos5g",
            notes=("value taken to hold before its stamp",),
        )
