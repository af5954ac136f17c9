"""Goodput of a long TCP flow over an emulated network, against rate x 1448/1500.

One flow at a time, cubic, 10 ms of round trip. The first second is left out: slow start.

    python benchmarks/emulation_goodput.py [--seconds 10] [--backends tun,packet,tc]
        [--mbps 0.2,1,5,20,50,100,200,400] [--trace FILE] [--without-root]
"""

from __future__ import annotations

import argparse
import os

from testbed.emulate.goodput import PACKET_BYTES, SEGMENT_BYTES, Flow, flow
from testbed.links.capacity import of_trace
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.scenario import NetworkSpec
from testbed.traces import read

DELAY_MS = 5


def row(backend: str, what: str, sent: Flow, error: float) -> str:
    report = sent.report
    late = (report.late_p50_ns, report.late_p99_ns, report.late_p999_ns)
    lateness = " / ".join(f"{ns / NS_PER_MS:.2f}" for ns in late)
    cpu = f"{100 * report.cpu_share:.0f} %"
    valid = "yes" if report.valid else "no"
    return (
        f"| {backend} | {what} | {100 * error:+.3f} % | {lateness} | {cpu} "
        f"| {report.load_average:.1f} | {'yes' if report.realtime else 'no'} | {valid} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backends", default="tun,packet,tc")
    parser.add_argument("--mbps", default="0.2,1,5,20,50,100,200,400")
    parser.add_argument("--trace", help="a trace of the uplink, after the constant rates")
    parser.add_argument("--without-root", action="store_true")
    given = parser.parse_args()
    until_ns = round((given.seconds - 0.1) * NS_PER_S)
    without = True if given.without_root else None
    print(f"{os.cpu_count()} cores, kernel {os.uname().release}, {given.seconds:g} s each")
    columns = "backend | uplink | goodput | late p50 / p99 / p99.9, ms | relay CPU | load"
    print(f"| {columns} | real-time | valid |")
    print("|---|---|---|---|---|---|---|---|")
    for backend in given.backends.split(","):
        for mbps in filter(None, given.mbps.split(",")):
            link = {"kind": "constant", "mbps": float(mbps), "delay_ms": DELAY_MS}
            spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
            sent = flow(spec, given.seconds, backend=backend, user_namespace=without)
            right = float(mbps) * SEGMENT_BYTES / PACKET_BYTES
            error = sent.mbps(NS_PER_S, until_ns) / right - 1
            print(row(backend, f"{mbps} Mbit/s", sent, error), flush=True)
        if given.trace:
            up = {"kind": "replay", "trace": given.trace, "delay_ms": DELAY_MS}
            down = {"kind": "constant", "mbps": 50, "delay_ms": DELAY_MS}
            spec = NetworkSpec.model_validate({"uplink": up, "downlink": down})
            sent = flow(spec, given.seconds, backend=backend, user_namespace=without)
            first_ns, last_ns, count = sent.between(2 * NS_PER_S, until_ns)
            curve, delay_ns = of_trace(read(given.trace)), DELAY_MS * NS_PER_MS
            units = curve.offered(last_ns - delay_ns) - curve.offered(first_ns - delay_ns)
            right = units / curve.units_per_byte * SEGMENT_BYTES / PACKET_BYTES
            print(row(backend, "the trace", sent, count / right - 1), flush=True)


if __name__ == "__main__":
    main()
