"""5G in the wild, with measured power: CSV with a header, one row a second.

In an upload `uplink_mbps`, from the byte counters of the interface, is what left the phone;
`Throughput`, from iPerf at the sender, counts writes into the socket buffer. Seconds without a
match in all sources are absent.
Source: A. Narayanan et al., SIGCOMM 2021 (SIGCOMM21-5G/artifact, `Power-Model/MN-Wild`).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Direction, Trace

_COLUMNS = ("downlink_mbps", "uplink_mbps", "Throughput")
_NEEDED = ("time_since_start", *_COLUMNS, "direction", "radio_type_used", "nrStatus")


@dataclass(frozen=True)
class Wild5g:
    """Reader of merged logs.

    Args:
        column: `downlink_mbps`, `uplink_mbps` or `Throughput`; None for the counter of the
            direction that the file states.
    """

    column: str | None = None

    title = "5G in the wild, merged log"

    def __post_init__(self) -> None:
        if self.column not in (None, *_COLUMNS):
            raise ValueError(f"column must be one of {', '.join(_COLUMNS)}, not '{self.column}'")

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        if set(_NEEDED) <= set(rows.header(source)):
            return Guess(0.99, "the header names uplink_mbps, downlink_mbps and time_since_start")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        said: Direction | None = None
        radio, connected = "", 0
        for line, cells in rows.table(source, _NEEDED):
            if said is None:
                said, radio = ("up" if cells[4] == "uplink" else "down"), cells[5]
            column = self.column or ("uplink_mbps" if said == "up" else "downlink_mbps")
            try:
                if cells[4] not in ("uplink", "downlink"):
                    raise ValueError(f"direction {cells[4][:20]!r}; allowed: uplink, downlink")
                stamp = time_ns(cells[0], 10**9)
                rate = rate_bps(cells[1 + _COLUMNS.index(column)], 1e6, column)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0]):
                stamps.append(stamp)
                rates.append(rate)
                connected += cells[6] == "CONNECTED"
        source.check()
        column = self.column or ("uplink_mbps" if said == "up" else "downlink_mbps")
        direction: Direction | None = {"uplink_mbps": "up", "downlink_mbps": "down"}.get(  # type: ignore[assignment]
            column, said
        )
        notes = [f"column {column}, radio {radio[:20]}"]
        notes += [f"5G connected in {connected / len(stamps):.0%} of the rows"] if stamps else []
        if column == "Throughput" and said == "up":
            notes.append("figures of the sender: what entered its socket buffer")
        if direction != said:
            notes.append(f"the traffic was a {said}load; this column is mostly acknowledgements")
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="after",
            measures="goodput",
            direction=direction,
            technology="5g",
            format="5g-wild",
            notes=tuple(notes),
        )
