"""What a decision costs: median and 99th percentile of `choose`, for every policy.

A ladder of 16 points that all lie on the Pareto front, one of them local and one skip; a link that
wanders, so that no two frames look alike. News comes one frame after the decision.

    python benchmarks/policies.py [--frames 2000] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from testbed.model import LOCAL, SKIP, Fate, Ladder, Observation, OperatingPoint, Outcome, Rung
from testbed.policies import policies
from testbed.policies.features import Features
from testbed.policies.network import Network
from testbed.streams import stream

MS = 1_000_000
PERIOD = 100 * MS


def sixteen() -> Ladder:
    """Return 14 widths whose accuracy flattens, local, and skip."""
    split = [
        Rung(
            OperatingPoint(width / 14),
            payload_bytes=10_000 * width,
            accuracy=0.40 - 0.12 / width,
            device_mac=10**9,
            encode_ns=15 * MS,
            encode_j=0.1,
            decode_ns=5 * MS,
        )
        for width in range(1, 15)
    ]
    local = Rung(LOCAL, 0, 0.42, 10**10, encode_ns=150 * MS, encode_j=1.5)
    return Ladder((*split, local, Rung(SKIP, 0, 0.0)))


def untrained(ladder: Ladder, folder: Path) -> str:
    """Write a network of the usual size for a ladder; return its path."""
    rng = stream(1, "network")
    sizes = [Features(ladder).size, 64, 64, len(ladder)]
    layers = tuple(
        (rng.normal(size=(a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(sizes)
    )
    path = folder / "untrained.safetensors"
    points = tuple(rung.point for rung in ladder)
    path.write_bytes(Network(layers, "tanh", points, {}).bytes())
    return str(path)


def measure(name: str, frames: int) -> list[int]:
    """Return the nanoseconds of every decision of one policy."""
    ladder = sixteen()
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, dict[str, object]] = {
            "fixed": {"width": 0.5},
            "learned": {"model": untrained(ladder, Path(folder))},
        }
        policy = policies.load(name)(**options.get(name, {}))
    policy.check(ladder)
    policy.reset(stream(1, name))
    mbps = 8 * stream(1, "link").lognormal(0, 0.4, frames)
    backlog, spent = 0, []
    for frame in range(frames):
        now = frame * PERIOD
        byte_ns = 8000 / mbps[frame]
        backlog = max(0, backlog - round(PERIOD / byte_ns))
        seen = Observation(
            now,
            frame,
            now,
            now + 200 * MS,
            PERIOD,
            backlog,
            0,
            1 if backlog else 0,
            now - PERIOD if backlog else None,
            50 * MS,
        )
        begun = time.perf_counter_ns()
        point = policy.choose(seen, ladder)
        spent.append(time.perf_counter_ns() - begun)
        rung = ladder.at(point)
        busy = round(rung.payload_bytes * byte_ns)
        latency = round(backlog * byte_ns) + rung.encode_ns + busy + 55 * MS
        fate = Fate.ON_TIME if latency <= 200 * MS else Fate.LATE
        if point == SKIP:
            news = Outcome(now, frame, point, Fate.SKIPPED, 0, None, None)
        elif point == LOCAL:
            news = Outcome(now + 150 * MS, frame, point, Fate.LOCAL, 0, None, 150 * MS)
        else:
            backlog += rung.payload_bytes
            news = Outcome(now + latency, frame, point, fate, rung.payload_bytes, busy, latency)
        policy.feedback(news)
    return spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for name in policies:
        spent = sorted(measure(name, args.frames))
        median, p99 = statistics.median(spent) / 1000, spent[len(spent) * 99 // 100] / 1000
        rows.append({"policy": name, "median_us": round(median, 1), "p99_us": round(p99, 1)})
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'policy':<20} {'median µs':>10} {'p99 µs':>10}")
    for row in rows:
        print(f"{row['policy']:<20} {row['median_us']:>10.1f} {row['p99_us']:>10.1f}")


if __name__ == "__main__":
    main()
