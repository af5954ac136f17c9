"""What iperf3 prints: `[  5]   0.00-1.00   sec  1.25 MBytes  10.5 Mbits/sec`.

Each line has its own unit; with several streams only `[SUM]` counts; the summary at the end
(`sender`, `receiver`) and omitted intervals are not samples. A prefix such as a date is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.traces import iperf3, units
from testbed.traces.detect import Guess
from testbed.traces.source import Source
from testbed.traces.trace import Trace

_SAMPLE = re.compile(
    r"\[\s*(?P<stream>\d{1,9}|SUM)\](?:\[\w{2}-\w\])?\s+"
    r"(?P<start>\S{1,40}?)-\s*(?P<end>\S{1,40})\s+sec\s+"
    r"\S{1,40}\s+[KMGT]?Bytes\s+(?P<rate>\S{1,40})\s+(?P<unit>[KMGT]?bits/sec)(?P<rest>.*)"
)
_IGNORED = re.compile(
    r"\[ ID\]|- - -|-----|iperf Done|Connecting to|Accepted connection|Server listening|"
    r"Reverse mode|\]\s+local |\] \(null\)|[Ww]arning|^iperf 3|^Cookie|^Linux |^Time:|TCP MSS|"
    r"Starting Test|Test Complete|CPU Utilization|congestion|^Control connection|^Target"
)


@dataclass(frozen=True)
class Iperf3Text:
    """Reader of iperf3's text.

    Args:
        stream: Number of the stream to read, such as `5`; None for the sum of all.
    """

    stream: str | None = None

    title = "iperf3 text"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: lines of samples, or iperf3's header."""
        hits = sum(bool(_SAMPLE.search(text)) for text in source.head)
        if hits:
            return Guess(0.95, f"{hits} of the first lines are samples of iperf3")
        if any("[ ID] Interval" in text or "iperf3" in text for text in source.head):
            return Guess(0.5, "has iperf3's header")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        wanted = self.stream or self._stream_to_read(source)
        run = iperf3.Run(source)
        for line, text in source.lines():
            sample = _SAMPLE.search(text)
            if sample is None:
                if "iperf3: error" in text:
                    raise source.error(f"a failed run: {text[:100]}", line)
                if "Reverse mode" in text:
                    run.reverse = True
                elif "Connecting to" in text and run.reverse is None:
                    run.reverse = False
                elif "[ ID]" in text and ("Retr" in text or "Total Datagrams" in text):
                    run.sender = run.sender or "Lost" not in text
                if "Datagrams" in text:
                    run.protocol = "UDP"
                if not _IGNORED.search(text):
                    source.fault(line, f"{text[:40]!r} is no line of iperf3")
                continue
            rest = sample["rest"]
            if sample["stream"] != wanted or re.search(r"sender|receiver|omitted", rest):
                continue
            unit = units.rate_unit(sample["unit"]) or 1.0
            run.add(line, sample["start"], sample["end"], sample["rate"], unit)
        return run.trace("iperf3-text")

    def _stream_to_read(self, source: Source) -> str:
        """Return `SUM` if the file has sums, else its only stream."""
        first, several = "", False
        for _, text in source.lines():
            sample = _SAMPLE.search(text)
            if sample is None:
                continue
            if sample["stream"] == "SUM":
                source.forget_faults()  # the second pass will find them again
                return "SUM"
            several = several or first not in ("", sample["stream"])
            first = first or sample["stream"]
        if several:
            raise source.error("has several streams and no [SUM]; the option stream must pick one")
        source.forget_faults()
        return first
