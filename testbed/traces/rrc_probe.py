"""RRC probes: the round trip of one packet after a silence. Not a time series.

`interval` is the silence in seconds; rows whose `KeepOrDrop` is not `YEP` were disturbed and are
left out, as the source says.
Source: A. Narayanan et al., SIGCOMM 2021, figure 10 (SIGCOMM21-5G/artifact, `RRC-Probe`).
"""

from __future__ import annotations

from array import array

import numpy as np

from testbed.traces import rows
from testbed.traces.detect import Guess
from testbed.traces.source import Source, check_period, time_ns
from testbed.traces.trace import Trace

_NEEDED = ("interval", "RTT1", "enabled_radio_type", "KeepOrDrop")


class RrcProbe:
    """Reader of round trips after idle."""

    title = "RRC probe, round trip after idle"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        if set(_NEEDED) <= set(rows.header(source)):
            return Guess(0.99, "the header names interval, RTT1 and KeepOrDrop")
        return None

    def read(self, source: Source) -> Trace:
        """Return the samples, by length of silence. Raise a `TraceError` as all readers do."""
        silences, delays = array("q"), array("q")
        dropped, radio = 0, ""
        for line, cells in rows.table(source, _NEEDED):
            if cells[3].strip() != "YEP":
                dropped += 1
                continue
            try:
                silence = time_ns(cells[0], 10**9, "interval")
                delay = time_ns(cells[1], 1_000_000, "RTT1")
            except ValueError as error:
                source.fault(line, str(error))
                continue
            silences.append(silence)
            delays.append(delay)
            radio = cells[2]
        source.check()
        if not silences:
            raise source.error("has no row to keep; allowed: at least one whose KeepOrDrop is YEP")
        idle = np.frombuffer(silences, np.int64)
        order = np.argsort(idle, kind="stable")
        try:
            longest = check_period(int(idle.max()))
        except ValueError as error:
            raise source.error(str(error)) from None
        return Trace(
            kind="delay-after-idle",
            stamps_ns=idle[order],
            period_ns=longest,
            delays_ns=np.frombuffer(delays, np.int64)[order],
            direction="down",
            technology="5g" if radio.startswith("5G") else "lte",
            format="rrc-probe",
            path=source.path,
            sha256=source.sha256,
            samples=len(idle) + dropped,
            notes=(f"{dropped} rows marked to be dropped were left out", f"radio {radio[:30]}"),
        )
