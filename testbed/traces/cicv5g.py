"""CICV5G: the round trip of each message of a car over 5G. A series of delays.

Columns separated by blanks, with a header. While there is no serving cell its column is empty, and
the row one field shorter; only the first three fields are read, which stand before it.
Source: R. Zhang et al., 2025 (zxr805/CICV5G).
"""

from __future__ import annotations

from array import array

from testbed.traces import steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, time_ns
from testbed.traces.trace import Trace

_START = "pub_time(ms) sub_time(ms) delay(ms)"


class Cicv5g:
    """Reader of message round trips."""

    title = "CICV5G message round trips"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        if " ".join(source.head[0].split()).startswith(_START):
            return Guess(0.99, "the header names pub_time, sub_time and delay")
        return None

    def read(self, source: Source) -> Trace:
        """Return the series. Raise a `TraceError` that names every line at fault."""
        stamps, delays = array("q"), array("q")
        width, without_cell = 0, 0
        for line, text in source.lines():
            cells = text.split()
            if not width:
                if cells[:3] != _START.split():
                    raise source.error(f"the header must begin with {_START}", line)
                width = len(cells)
                continue
            if len(cells) not in (width, width - 1):
                source.fault(line, f"{len(cells)} columns; allowed: {width}, or one less")
                continue
            try:
                sent = time_ns(cells[0], 1_000_000, "pub_time")
                received = time_ns(cells[1], 1_000_000, "sub_time")
                delay = time_ns(cells[2], 1_000_000, "delay")
                if abs(received - sent - delay) > 1_000_000:
                    raise ValueError("delay is not sub_time minus pub_time")
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, sent, cells[0], strictly=False):
                stamps.append(sent)
                delays.append(delay)
                without_cell += len(cells) < width
        notes = [f"{without_cell} messages without a serving cell"] if without_cell else []
        return steps.delays(
            source,
            stamps,
            delays,
            technology="5g",
            format="cicv5g",
            notes=("round trip of a message through a cloud server", *notes),
        )
