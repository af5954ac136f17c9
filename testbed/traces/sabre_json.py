"""Sabre's JSON: a list of objects `duration_ms`, `bandwidth_kbps`, `latency_ms`, played in turn.

There are no stamps. `latency_ms` is a constant of the player, not a measurement, and is not read.
Source: K. Spiteri et al., MMSys 2018 (UMass-LIDS/sabre, `example/mmsys18`).
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from testbed.traces import json_scan, steps
from testbed.traces.detect import Guess, direction_of_name, technology_of_name
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace

_NEEDED = ("duration_ms", "bandwidth_kbps")


class SabreJson:
    """Reader of Sabre's network traces."""

    title = "Sabre JSON"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: a list of objects with its two keys."""
        start = "".join(source.head[:10])[:4000]
        if start.lstrip().startswith("[") and "bandwidth_kbps" in start:
            return Guess(0.98, "a JSON list whose objects have bandwidth_kbps")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        starts, rates = array("q"), array("q")
        clock = 0
        entry: dict[str, Any] = {}
        at, line = 0, 1

        def close() -> None:
            nonlocal clock
            missing = [key for key in _NEEDED if key not in entry]
            if missing:
                source.fault(line, f"entry {at} lacks {', '.join(missing)}")
                return
            try:
                span = time_ns(entry["duration_ms"], 1_000_000, "duration_ms")
                rate = rate_bps(entry["bandwidth_kbps"], 1e3, "bandwidth_kbps")
                if span == 0:
                    raise ValueError("duration_ms is 0; allowed: more than 0")
                steps.check_end(clock + span)
            except ValueError as error:
                source.fault(line, str(error))
                return
            starts.append(clock)
            rates.append(rate)
            clock += span

        for scalar in json_scan.scan(source):
            if len(scalar.path) != 2 or not isinstance(scalar.path[0], int):
                source.fault(scalar.line, "is not an object in a list; allowed: [{...}, {...}]")
                continue
            index, key = int(scalar.path[0]), scalar.path[1]
            if index != at:
                close()
                entry.clear()
                at = index
            line = scalar.line
            if key in _NEEDED:
                entry[str(key)] = scalar.value if scalar.is_number else repr(scalar.value)
        if entry:
            close()
        source.check()
        if not starts:
            raise source.error("has no entry; allowed: at least one")
        return steps.finish(
            source,
            np.frombuffer(starts, np.int64),
            np.frombuffer(rates, np.int64),
            clock,
            samples=len(starts),
            measures="goodput",
            direction=direction_of_name(source.path) or "down",
            technology=technology_of_name(source.path),
            format="sabre-json",
        )
