"""The JSON of `iperf3 -J`: one rate for each interval, with its start and end.

`start.test_start.reverse` = 1 means that the server sends, hence downlink, with the figures of the
receiver; otherwise the client sends, and its figures are what it wrote into the socket.
"""

from __future__ import annotations

from typing import Any

from testbed.traces import iperf3, json_scan
from testbed.traces.detect import Guess
from testbed.traces.source import Source
from testbed.traces.trace import Trace

_KEYS = ("start", "end", "bits_per_second", "omitted", "sender")


class Iperf3Json:
    """Reader of `iperf3 -J`."""

    title = "iperf3 JSON"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: a JSON object that iperf3 writes."""
        start = source.data[:20_000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
        if not start.startswith("{"):
            return None
        if '"test_start"' in start or ("iperf" in start and '"connected"' in start):
            return Guess(0.98, "a JSON object with iperf3's start")
        return Guess(0.5, "a JSON object") if '"intervals"' in start else None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        run = iperf3.Run(source)
        entry: dict[str, Any] = {}
        at, line = -1, 1
        for scalar in json_scan.scan(source):
            path = scalar.path
            if path == ("error",):
                raise source.error(f"a failed run: {scalar.value}", scalar.line)
            if path == ("start", "test_start", "reverse"):
                run.reverse = scalar.value == "1"
            elif path == ("start", "test_start", "protocol"):
                run.protocol = str(scalar.value)
            elif len(path) == 4 and path[0] == "intervals" and path[2] == "sum":
                if not isinstance(path[1], int):
                    raise source.error("intervals is not a list", scalar.line)
                if path[1] != at:
                    self._close(run, entry, line)
                    entry, at = {}, path[1]
                line = scalar.line
                if path[3] in _KEYS:
                    entry[str(path[3])] = scalar.value
        self._close(run, entry, line)
        return run.trace("iperf3-json")

    def _close(self, run: iperf3.Run, entry: dict[str, Any], line: int) -> None:
        if not entry:
            return
        missing = [key for key in _KEYS[:3] if key not in entry]
        if missing:
            run.source.fault(line, f"the sum of an interval lacks {', '.join(missing)}")
        elif entry.get("omitted") is not True:
            run.sender = run.sender or entry.get("sender") is True
            run.add(line, str(entry["start"]), str(entry["end"]), str(entry["bits_per_second"]), 1)
