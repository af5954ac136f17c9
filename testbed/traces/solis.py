"""Solis Wi-Fi traces: second and Mbit/s separated by a tab, from iPerf at the sender. Uplink.

A stamp is where an interval of iPerf began, so a value holds until the next stamp. After a stall
several intervals of no length share a stamp; they say nothing.
Source: GreenLv/Solis-WiFi-Trace, 2023.
"""

from __future__ import annotations

import itertools
from array import array

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace


class Solis:
    """Reader of Solis Wi-Fi traces."""

    title = "Solis Wi-Fi trace"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: a tab, steps of about 1 s from 0.0."""
        first = rows.first_numbers(source, 2, "\t")
        if len(first) < 2 or first[0][0] != 0 or source.crlf:
            return None
        apart = sorted(b[0] - a[0] for a, b in itertools.pairwise(first))
        if not 0.9 <= apart[len(apart) // 2] <= 1.1:
            return None
        named = source.path.name.startswith("wifi_")
        return Guess(
            0.85 if named else 0.7, "two columns separated by a tab, about 1 s apart from 0"
        )

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        dropped = 0
        for line, cells in rows.fixed(source, 2, None, "time in s and rate in Mbit/s"):
            try:
                stamp, rate = time_ns(cells[0], 10**9), rate_bps(cells[1], 1e6)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if not steps.rises(source, line, stamps, stamp, cells[0], strictly=False):
                continue
            if stamps and stamp == stamps[-1]:
                rates[-1] = rate
                dropped += 1
            else:
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        notes = ["figures of the sender: what entered its socket buffer"]
        notes += [f"{dropped} intervals of no length left out"] if dropped else []
        return steps.between_stamps(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="after",
            measures="goodput",
            direction="up",
            technology="wifi",
            format="solis",
            notes=tuple(notes),
        )
