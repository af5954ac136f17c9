"""What a transfer costs: by bisection and by stepping, over TCP, and with a million opportunities.

    python benchmarks/links_speed.py [--transfers 2000] [--json]

All in one run on one machine, because only ratios carry over to another one. The stepping link
walks the same trace an opportunity at a time, as Mahimahi does; it is the same queue otherwise.
Each figure is the best of five rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from testbed import traces
from testbed.links.capacity import ConstantRate, Opportunities, RateSteps
from testbed.links.fifo import FifoLink
from testbed.links.tcp.transport import Tcp
from testbed.links.transfer import transfer
from testbed.links.transport import Ideal
from testbed.traces.trace import Trace

MS = 1_000_000
PAYLOAD_BYTES = 73_728
DELAY_NS = 25 * MS


class Stepping:
    """A first-in-first-out link that goes through its opportunities one by one."""

    may_drop = False
    delay_ns = DELAY_NS

    def __init__(self, trace: Trace) -> None:
        self._stamps = trace.stamps_ns.tolist()
        self._base_ns = 0
        self._next = 0
        self._room = 0
        self.free_ns = 0

    def send(self, arrival_ns: int, size_bytes: int) -> int:
        """Return when the last byte leaves."""
        if self.free_ns <= arrival_ns:
            self._room = 0
        while size_bytes:
            if not self._room:
                at_ns = self._base_ns + self._stamps[self._next]
                self._next += 1
                if self._next == len(self._stamps):
                    self._next, self._base_ns = 0, self._base_ns + self._stamps[-1]
                if at_ns <= arrival_ns:
                    continue
                self._room, self.free_ns = 1500, at_ns
            taken = min(self._room, size_bytes)
            self._room -= taken
            size_bytes -= taken
        return self.free_ns

    def arrive(self, release_ns: int) -> int:
        """Return when it is at the other end."""
        return release_ns + self.delay_ns


def lte(seconds: int) -> Trace:
    """Return opportunities at 6 Mbit/s on average, bunched as LTE has them."""
    rng = np.random.default_rng(1)
    stamps = np.sort(rng.integers(1, seconds * 1000, seconds * 500))
    stamps = np.append(stamps, seconds * 1000) * MS
    return Trace(kind="opportunities", stamps_ns=stamps, period_ns=int(stamps[-1]))


def steps(trace: Trace) -> Trace:
    """Return the same as rates of 100 ms."""
    edges = np.arange(0, trace.period_ns + 1, 100 * MS)
    counts = np.diff(np.searchsorted(trace.stamps_ns, edges, "right"))
    return Trace(
        kind="rate",
        stamps_ns=edges[:-1],
        period_ns=trace.period_ns,
        rates_bps=counts.astype(np.int64) * 1500 * 8 * 10,
    )


def best_us(count: int, run: Callable[[], object]) -> float:
    """Return microseconds per transfer of the best of five rounds."""
    spent = []
    for _ in range(5):
        gc.collect()
        begin = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begin)
    return 1e6 * min(spent) / count


def measure(count: int) -> dict[str, float]:
    """Return the figures, units in the keys."""
    trace = lte(600)
    curve = Opportunities(trace)
    sends_ns = [i * 250 * MS for i in range(count)]

    def over(transport: Ideal | Tcp, make: Callable[[], object]) -> Callable[[], object]:
        return lambda: transfer(
            transport.connect(make(), DELAY_NS),
            sends_ns,
            PAYLOAD_BYTES,  # type: ignore[arg-type]
        )

    def bare(make: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            link = make()
            for at_ns in sends_ns:
                link.send(at_ns, PAYLOAD_BYTES)  # type: ignore[attr-defined]

        return run

    rates = RateSteps(steps(trace))
    constant = ConstantRate(6_000_000)
    rounds, auto = Tcp(model="rounds", idle_restart=False), Tcp(idle_restart=False)
    stepping_us = best_us(count, bare(lambda: Stepping(trace)))
    bisection_us = best_us(count, bare(lambda: FifoLink(curve, DELAY_NS)))
    figures = {
        "stepping_us": stepping_us,
        "bisection_us": bisection_us,
        "stepping_over_bisection": stepping_us / bisection_us,
        "rates_us": best_us(count, bare(lambda: FifoLink(rates, DELAY_NS))),
        "constant_us": best_us(count, bare(lambda: FifoLink(constant, DELAY_NS))),
        "ideal_us": best_us(count, over(Ideal(), lambda: FifoLink(curve, DELAY_NS))),
        "tcp_rounds_us": best_us(count, over(rounds, lambda: FifoLink(curve, DELAY_NS))),
        "tcp_auto_us": best_us(count, over(auto, lambda: FifoLink(curve, DELAY_NS))),
    }
    few = max(1, count // 20)
    packets = Tcp(model="packets", idle_restart=False)
    figures["tcp_packets_us"] = best_us(
        few,
        lambda: transfer(
            packets.connect(FifoLink(curve, DELAY_NS), DELAY_NS), sends_ns[:few], PAYLOAD_BYTES
        ),
    )
    return figures | million()


def million() -> dict[str, float]:
    """Return seconds to load a million lines and bytes a line that stay behind."""
    stamps = np.sort(np.random.default_rng(2).integers(1, 2_000_000, 1_000_000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.up"
        path.write_text("\n".join(map(str, stamps.tolist())) + "\n")
        begin = time.perf_counter()
        Opportunities(traces.read(path))
        loaded_s = time.perf_counter() - begin
        gc.collect()
        tracemalloc.start()
        trace = traces.read(path)
        curve = Opportunities(trace)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        trace_bytes = trace.stamps_ns.nbytes
        tracemalloc.stop()
        assert curve.when(1500) > 0
    return {
        "million_lines_load_s": loaded_s,
        "trace_bytes_per_line": trace_bytes / len(stamps),
        "trace_and_curve_bytes_per_line": held / len(stamps),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transfers", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = {key: round(value, 3) for key, value in measure(arguments.transfers).items()}
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    for key, value in figures.items():
        print(f"{key:<32}{value:>12g}")


if __name__ == "__main__":
    main()
