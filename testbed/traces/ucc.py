"""G-NetTrack logs of University College Cork, 4G and 5G: CSV with a header, kbit/s.

The traffic is a bulk download: `DL_bitrate` is a goodput, `UL_bitrate` the acknowledgements of it.
Stamps are whole seconds of local time; the logger's period is 1.1 s, so seconds without a line are
not outages. A missing value is `-`.
Sources: D. Raca et al., MMSys 2018 and MMSys 2020.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, calendar_ns, rate_bps
from testbed.traces.trace import Trace

_STAMP = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)_(\d\d)\.(\d\d)\.(\d\d)", re.ASCII)
_NEEDED = ("Timestamp", "NetworkMode", "DL_bitrate", "UL_bitrate")


@dataclass(frozen=True)
class Ucc:
    """Reader of G-NetTrack logs.

    Args:
        column: `DL_bitrate`, or `UL_bitrate` for the acknowledgement traffic.
    """

    column: Literal["DL_bitrate", "UL_bitrate"] = "DL_bitrate"

    title = "UCC G-NetTrack log"

    def __post_init__(self) -> None:
        if self.column not in ("DL_bitrate", "UL_bitrate"):
            raise ValueError(f"column must be DL_bitrate or UL_bitrate, not '{self.column}'")

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        if set(_NEEDED) <= set(rows.header(source)):
            return Guess(0.99, "the header names DL_bitrate, UL_bitrate and NetworkMode")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        place = 2 if self.column == "DL_bitrate" else 3
        modes: set[str] = set()
        missing = 0
        for line, cells in rows.table(source, _NEEDED):
            try:
                stamp = _stamp_ns(cells[0])
                rate = None if cells[place].strip() == "-" else rate_bps(cells[place], 1e3)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if rate is None:
                missing += 1
            elif steps.rises(source, line, stamps, stamp, cells[0], strictly=False):
                stamps.append(stamp)
                rates.append(rate)
                if len(modes) < 10:
                    modes.add(cells[1].strip()[:20])
        source.check()
        down = self.column == "DL_bitrate"
        notes = [f"radio: {', '.join(sorted(modes))}"]
        notes += [f"{missing} lines without a value (-)"] if missing else []
        notes += [] if down else ["acknowledgements of a download, not the uplink's capacity"]
        notes += ["zeros include pauses between downloads"] if 0 in rates else []
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="after",
            measures="goodput",
            direction="down" if down else "up",
            technology="5g" if "5G" in modes else "lte",
            format="ucc",
            notes=tuple(notes),
        )


def _stamp_ns(text: str) -> int:
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time; allowed: such as 2018.01.27_13.58.29")
    return calendar_ns(match.groups())
