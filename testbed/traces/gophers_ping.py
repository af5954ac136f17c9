"""5Gophers pings: one line for each ICMP probe. A series of delays.

The spacing of the probes is not stated; 1 s is assumed, which is what `ping` does by itself.
Source: A. Narayanan et al., WWW 2020, dataset 5Gophers 1.0.
"""

from __future__ import annotations

from array import array

from testbed.traces import rows, steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, time_ns
from testbed.traces.trace import Trace

_NEEDED = ("probe_num", "rtt_in_ms", "network_type", "target_server")


class GophersPing:
    """Reader of ping logs."""

    title = "5Gophers ping"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: its header."""
        if set(_NEEDED) <= set(rows.header(source)):
            return Guess(0.99, "the header names probe_num and rtt_in_ms")
        return None

    def read(self, source: Source) -> Trace:
        """Return the series. Raise a `TraceError` that names every line at fault."""
        stamps, delays = array("q"), array("q")
        network, target = "", ""
        for line, cells in rows.table(source, _NEEDED):
            try:
                stamp = time_ns(cells[0], 10**9, "probe_num")
                delay = time_ns(cells[1], 1_000_000, "rtt_in_ms")
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0]):
                stamps.append(stamp)
                delays.append(delay)
                network, target = cells[2], cells[3]
        return steps.delays(
            source,
            stamps,
            delays,
            technology={"4G": "lte", "5G": "5g"}.get(network),
            format="5gophers-ping",
            notes=(
                f"ICMP round trip to {target[:30]}",
                "the source does not state the spacing of the probes; 1 s is assumed",
            ),
        )
