"""A shell script that shapes an interface with `tc`, written by `testbed trace convert`.

Each line `at SECONDS BITS_PER_S` sets the rate that holds from that instant on, so that the script
is a trace as well. It drives an HTB class, which keeps its queue across changes.
"""

from __future__ import annotations

import re
from array import array

import numpy as np

from testbed.traces import steps
from testbed.traces.detect import Guess
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace

MARK = "# tc schedule of a trace"
_AT = re.compile(r"at\s+(\S{1,40})\s+(\S{1,40})")
_COMMENT = re.compile(r"# (period_s|direction|technology|measures): (\S{1,40})")

HEAD = f"""#!/bin/sh
{MARK}, written by testbed. Run as root: DEV=eth0 sh THIS_FILE
# Plays one period. A rate below 0.12 Mbit/s is set to that: at a lower one HTB's timer holds the
# next packet long after the rate has risen again.
"""

BODY = """set -eu
: "${DEV:?set DEV to the interface to shape}"
tc qdisc replace dev "$DEV" root handle 1: htb default 1
start=$(date +%s%N)
at() {
  sleep "$(awk -v t="$1" -v now="$(date +%s%N)" -v start="$start" \\
    'BEGIN { d = t - (now - start) / 1e9; printf "%.3f", (d > 0 ? d : 0) }')"
  rate=$2
  [ "$rate" -ge 120000 ] || rate=120000
  burst=$((rate / 8000))
  [ "$burst" -ge 3100 ] || burst=3100
  tc class replace dev "$DEV" parent 1: classid 1:1 htb rate "${rate}bit" burst "$burst" \\
    cburst "$burst"
}
"""
_FIXED = {line for line in (HEAD + BODY).splitlines() if line}


class TcSchedule:
    """Reader of its schedules."""

    title = "tc schedule"

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: the mark that `convert` writes."""
        if any(line.startswith(MARK) for line in source.head[:3]):
            return Guess(0.99, "the mark of a schedule that testbed wrote")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        stamps, rates = array("q"), array("q")
        said: dict[str, str] = {}
        period: int | None = None
        fixed = {line.strip() for line in _FIXED}
        for line, text in source.lines():
            comment, setting = _COMMENT.fullmatch(text), _AT.fullmatch(text)
            try:
                if comment is not None:
                    key, value = comment.groups()
                    if key == "period_s":
                        period = time_ns(value, 10**9, key)
                    else:
                        said[key] = value
                elif setting is not None:
                    stamp = time_ns(setting[1], 10**9)
                    rate = rate_bps(setting[2], 1.0)
                    if steps.rises(source, line, stamps, stamp, setting[1]):
                        stamps.append(stamp)
                        rates.append(rate)
                elif text not in fixed and not text.startswith("#"):
                    source.fault(line, "is not `at SECONDS BITS_PER_S`")
            except ValueError as error:
                source.fault(line, str(error))
        source.check()
        goodput = said.get("measures") == "goodput"
        return steps.between_stamps(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds="after",
            period_ns=period,
            measures="goodput" if goodput else "capacity",
            direction={"up": "up", "down": "down"}.get(said.get("direction", "")),
            technology=said.get("technology"),
            format="tc-schedule",
        )
