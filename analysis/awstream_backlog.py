"""The backlog of a sender that does not adapt, as AWStream published it.

    python analysis/awstream_backlog.py [--fps 10] [--json]

A camera produces 14 Mbit/s; the uplink carries 7.5 for 180 s, then 5 for 60 s, then 25. AWStream
(B. Zhang et al., SIGCOMM 2018; `evaluation.tex` of its paper's sources) gives the quartiles of
the delay of its non-adaptive TCP over the shaped 240 s. A fluid has them in closed form: what
arrives at an instant is as old as the backlog is long, and that grows by what does not fit.

The script sends the frames of such a camera over the testbed's links and compares. The transport is
ideal, because AWStream's rates are those of the application; over TCP every delay is larger by what
headers take, 3.6 % of the rate.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from testbed.links.capacity import RateSteps
from testbed.links.fifo import FifoLink
from testbed.links.tcp.transport import Tcp
from testbed.links.transfer import transfer
from testbed.links.transport import Ideal
from testbed.traces.trace import Trace

SOURCE_BPS = 14_000_000
STEPS = ((180, 7_500_000), (60, 5_000_000), (360, 25_000_000))
SHAPED_S = 240
PUBLISHED_S = {"q1": 28.0, "median": 54.3, "mean": 55.6, "q3": 81.5, "max": 117.8}


def uplink() -> FifoLink:
    """Return the shaped link."""
    starts = np.cumsum([0, *(seconds for seconds, _ in STEPS)])
    rates = [rate for _, rate in STEPS]
    trace = Trace(
        kind="rate",
        stamps_ns=starts[:-1].astype(np.int64) * 10**9,
        period_ns=int(starts[-1]) * 10**9,
        rates_bps=np.array(rates, dtype=np.int64),
    )
    return FifoLink(RateSteps(trace))


def figures(at_s: np.ndarray, delay_s: np.ndarray) -> dict[str, float]:
    """Return quartiles, mean and maximum over time of a delay known at instants."""
    seconds = np.interp(np.linspace(0, SHAPED_S, 24_001), at_s, delay_s)
    q1, median, q3 = np.quantile(seconds, [0.25, 0.5, 0.75])
    found = {"q1": q1, "median": median, "mean": seconds.mean(), "q3": q3, "max": seconds.max()}
    return {key: float(value) for key, value in found.items()}


def fluid() -> dict[str, float]:
    """Return the figures of a fluid: backlog over source rate."""
    at_s, backlog_bits = [0.0], [0.0]
    for seconds, rate in STEPS[:2]:
        at_s.append(at_s[-1] + seconds)
        backlog_bits.append(backlog_bits[-1] + seconds * (SOURCE_BPS - rate))
    return figures(np.array(at_s), np.array(backlog_bits) / SOURCE_BPS)


def simulated(transport: Ideal | Tcp, fps: float) -> dict[str, float]:
    """Return the figures of the frames of a camera, at the instants at which they arrive."""
    link = uplink()
    sends_ns = [round(i * 1e9 / fps) for i in range(int(SHAPED_S * fps))]
    connection = transport.connect(link, 0)
    deliveries = transfer(connection, sends_ns, round(SOURCE_BPS / 8 / fps))
    arrived_s = np.array([delivery.arrived_ns for delivery in deliveries]) / 1e9
    return figures(arrived_s, arrived_s - np.array(sends_ns) / 1e9)


def compare(fps: float) -> list[dict[str, float | str]]:
    """Return a row per figure: published, fluid and simulated, in seconds."""
    ideal, tcp = simulated(Ideal(), fps), simulated(Tcp(model="rounds"), fps)
    expected = fluid()
    return [
        {
            "figure": key,
            "published_s": published,
            "fluid_s": round(expected[key], 2),
            "simulated_s": round(ideal[key], 2),
            "over_published": round(ideal[key] / published, 4),
            "over_fluid": round(ideal[key] / expected[key], 4),
            "simulated_tcp_s": round(tcp[key], 2),
        }
        for key, published in PUBLISHED_S.items()
    ]


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second of the camera")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = compare(arguments.fps)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print("  ".join(f"{key:>16}" for key in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>16}" for value in row.values()))


if __name__ == "__main__":
    main()
