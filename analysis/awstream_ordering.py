"""Who adapts how, and what it costs in latency: AWStream's published order of four ways.

    python analysis/awstream_ordering.py [--json]

A camera at 30 frames/s offers up to 14 Mbit/s; the uplink carries 25 Mbit/s for 200 s, 7.5 for
180 s, 5 for 60 s, and 25 again. AWStream (B. Zhang et al., SIGCOMM 2018) publishes the latency over
the shaped 240 s of four ways to meet that:

- TCP: no adaptation at all.
- JetStream: reacts to latency alone, on a coarse hand-made ladder of frame rates.
- JetStream++: reacts to latency alone, on AWStream's own ladder.
- AWStream: falls to the rate that the link delivers, rises only after a probe.

What is reproduced is the order of the means and their magnitudes, not the milliseconds: their
profile, their signals of congestion and the EC2 paths are not ours. The medians of the two that
react to latency are not reproduced: on a quiet stretch both settle on a level that fits, and how
long that lasts depends on where the levels lie. JetStream's rule is our reading of it: one level
down when the oldest frame without an answer is older than a bound, once per that time, and one up
after 2 s below a fifth of it; its ladder drops a quarter, a half or three quarters of the frames.
The other ladder is invented, eight rates with diminishing returns.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from testbed.model import Ladder, Observation, OperatingPoint, Rung
from testbed.policies import policies
from testbed.policies.bba import oldest_age_ns
from testbed.policies.menu import OnLadder
from testbed.scenario import Scenario, load_text
from testbed.simulate import simulate

FPS = 30
SHAPED_S = (200, 440)
STEPS = ((200, 25.0), (180, 7.5), (60, 5.0), (160, 25.0))
FINE_MBPS = (1.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.5, 14.0)
COARSE_MBPS = (3.5, 7.0, 10.5, 14.0)
PUBLISHED_MS = {
    "awstream": {"median": 80, "mean": 118},
    "jetstream-pp": {"median": 539, "mean": None},
    "jetstream": {"median": 1732, "mean": 3106},
    "tcp": {"median": 54300, "mean": 55600},
}

SCENARIO = """
schema: 1
name: awstream
seeds: [1]
duration_s: 600
deadline_ms: 1000
server: {{profile: h100, workers: 8}}
network:
  uplink: {{kind: replay, trace: {trace}, delay_ms: 25}}
  downlink: {{kind: constant, mbps: 100, delay_ms: 25}}
clients:
  - name: camera
    device: agx-xavier
    radio: wifi-modern
    detector: published/efficientdet-d1-bw
    source: {{fps: 30, phase: 0}}
    queue: {{limit: 1000}}
policies:
  tcp: {{kind: planned, places: [{top}]}}
  jetstream: {{kind: latency-triggered}}
  jetstream-pp: {{kind: latency-triggered}}
  awstream: {{kind: awstream, quiet_frames: 60, probe_frames: 15}}
"""


@dataclass(kw_only=True)
class LatencyTriggered(OnLadder):
    """One level down when answers are late, one up when they have been early for a while."""

    bound_ms: float = 500.0

    def reset(self, rng: np.random.Generator) -> None:
        """Begin at the top."""
        super().reset(rng)
        self._level: int | None = None
        self._changed_ns = self._calm_ns = 0

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the level, after at most one step."""
        levels = self.menu(ladder).levels
        level = len(levels) - 1 if self._level is None else self._level
        age_ms = oldest_age_ns(seen) / 1e6
        if age_ms > self.bound_ms / 5:
            self._calm_ns = seen.now_ns
        since_ms = (seen.now_ns - self._changed_ns) / 1e6
        if age_ms > self.bound_ms and level > 0 and since_ms > self.bound_ms:
            level, self._changed_ns = level - 1, seen.now_ns
        elif seen.now_ns - max(self._calm_ns, self._changed_ns) > 2e9 and level + 1 < len(levels):
            level, self._changed_ns = level + 1, seen.now_ns
        self._level = level
        return levels[level].point


def ladder(rates_mbps: tuple[float, ...]) -> Ladder:
    """Return a ladder of rates; encoding takes a millisecond, decoding next to nothing."""
    return Ladder(
        tuple(
            Rung(
                OperatingPoint(rate / rates_mbps[-1]),
                payload_bytes=round(rate * 1e6 / 8 / FPS),
                accuracy=0.8 * (1 - np.exp(-rate / 4)),
                encode_ns=1_000_000,
            )
            for rate in rates_mbps
        )
    )


def scenario(folder: Path, rates_mbps: tuple[float, ...]) -> Scenario:
    """Return the experiment on a ladder; its trace is written into `folder`."""
    trace = folder / "shaped.csv"
    stamps = np.cumsum([0, *(seconds for seconds, _ in STEPS)])
    lines = [f"{at},{rate}" for at, (_, rate) in zip(stamps, STEPS, strict=False)]
    head = f"# holds: after\n# period_s: {stamps[-1]}\ntime_s,rate_mbps\n"
    trace.write_text(head + "\n".join(lines) + "\n")
    loaded = load_text(SCENARIO.format(trace=trace, top=len(rates_mbps) - 1))
    client = replace(loaded.clients[0], ladder=ladder(rates_mbps))
    return replace(loaded, clients=(client,))


def compare() -> list[dict[str, float | str | None]]:
    """Return a row per way: latency over the shaped spell, mean rate, switches after it."""
    if "latency-triggered" not in policies:
        policies.register("latency-triggered", f"{__name__}:LatencyTriggered")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("awstream", "jetstream-pp", "jetstream", "tcp"):
            rates = COARSE_MBPS if name == "jetstream" else FINE_MBPS
            frames = simulate(scenario(Path(temporary), rates), name, 1).frames.to_pandas()
            at_s = frames["captured_ns"].to_numpy(float) / 1e9
            latency_ms = (frames["answered_ns"] - frames["captured_ns"]).to_numpy(float) / 1e6
            width = frames["width"].to_numpy(float)
            shaped = (at_s >= SHAPED_S[0]) & (at_s < SHAPED_S[1])
            # Over time, as it was published: at an instant, the latency of what arrives then.
            instants = np.linspace(*SHAPED_S, 24_001)
            shown_ms = np.interp(instants, at_s + latency_ms / 1e3, latency_ms)
            after = width[at_s >= SHAPED_S[1]]
            rows.append(
                {
                    "way": name,
                    "median_ms": round(float(np.median(shown_ms)), 1),
                    "mean_ms": round(float(np.mean(shown_ms)), 1),
                    "max_ms": round(float(np.max(shown_ms)), 1),
                    "rate_mbps": round(float(np.mean(width[shaped])) * rates[-1], 2),
                    "falls_after_440_s": int(np.count_nonzero(np.diff(after) < 0)),
                    "published_median_ms": PUBLISHED_MS[name]["median"],
                    "published_mean_ms": PUBLISHED_MS[name]["mean"],
                }
            )
    return rows


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = compare()
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print("  ".join(f"{key:>19}" for key in rows[0]))
    for row in rows:
        print("  ".join(f"{'-' if value is None else value:>19}" for value in row.values()))


if __name__ == "__main__":
    main()
