"""Frames per second of wall time: our simulator against the smallest SimPy program of the same job.

The job: a camera at 30 fps, an encoder, a first-in-first-out uplink that replays a trace, a
first-in-first-out server. The textbook program has a process per frame and records nothing. Ours
records every instant, keeps the energy ledger, and writes the Parquet files. Both run in turn in
one process, several rounds; compare the ratio, not the absolute figures.

    python benchmarks/simulator.py [--minutes 20] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from bisect import bisect_left
from pathlib import Path

import simpy

from testbed import records, traces
from testbed.catalog import find
from testbed.scenario import Scenario, load_text
from testbed.simulate import simulate

SCENARIO = """
schema: 1
name: benchmark
seeds: [1]
duration_s: {seconds}
deadline_ms: 200
server: {{profile: t4-trt-int8}}
network:
  # Ten times the shipped trace, so that the link carries every frame.
  uplink:
    {{kind: replay, trace: lte/drive-a.up, delay_ms: 25, opportunity_bytes: 15000, sharing: none}}
  downlink: {{kind: constant, mbps: 20, delay_ms: 25, sharing: none}}
clients:
  - name: camera
    count: {count}
    device: raspberry-pi-5
    radio: lte-2021
    detector: published/efficientdet-d1-bw
    source: {{fps: 30}}
    ladder: {{widths: all}}
    queue: {{limit: 4}}
policies:
  fixed: {{kind: fixed, width: 0.167}}
  goodput: {{kind: goodput}}
"""


def textbook(scenario: Scenario) -> int:
    """Run the job with a process per frame; return the number of frames done."""
    client = scenario.clients[0]
    rung = client.ladder[0]
    trace = traces.read(find("traces", "lte/drive-a.up"))
    stamps = (trace.stamps_ns / 1e9).tolist()
    period, count = trace.period_ns / 1e9, len(stamps)
    needed = -(-rung.payload_bytes // 15000)  # opportunities
    encode_s, decode_s = rung.encode_ns / 1e9, rung.decode_ns / 1e9
    done = 0

    def transfer_s(now: float) -> float:
        rounds, within = divmod(now, period)
        last = bisect_left(stamps, within) + needed - 1
        more, index = divmod(last, count)
        return (rounds + more) * period + stamps[index] - now

    def frame(env: simpy.Environment, encoder, uplink, server):  # type: ignore[no-untyped-def]
        nonlocal done
        with encoder.request() as turn:
            yield turn
            yield env.timeout(encode_s)
        with uplink.request() as turn:
            yield turn
            yield env.timeout(transfer_s(env.now))
        yield env.timeout(0.025)
        with server.request() as turn:
            yield turn
            yield env.timeout(decode_s)
        yield env.timeout(0.025)
        done += 1

    def camera(env: simpy.Environment, server):  # type: ignore[no-untyped-def]
        encoder, uplink = simpy.Resource(env), simpy.Resource(env)
        while True:
            env.process(frame(env, encoder, uplink, server))
            yield env.timeout(1 / 30)

    env = simpy.Environment()
    server = simpy.Resource(env)
    for _ in range(client.spec.count):
        env.process(camera(env, server))
    env.run(until=scenario.spec.duration_s)
    return done


def ours(scenario: Scenario, policy: str, folder: Path) -> int:
    """Run the job with everything recorded and written; return the number of frames."""
    rows = simulate(scenario, policy, 1)
    with records.writing(folder) as put:
        frames, energy = records.tables([rows])
        put("frames.parquet", frames)
        put("energy.parquet", energy)
    return int(frames.num_rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 10])
    args = parser.parse_args()
    print(f"{'clients':>7} {'program':<10} {'frames/s':>10} {'ratio':>6}")
    for count in args.clients:
        seconds = round(args.minutes * 60 / count)
        scenario = load_text(SCENARIO.format(seconds=seconds, count=count))
        speeds: dict[str, list[float]] = {}
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            programs = {
                "textbook": lambda s=scenario: textbook(s),
                "fixed": lambda s=scenario, f=folder: ours(s, "fixed", f),
                "goodput": lambda s=scenario, f=folder: ours(s, "goodput", f),
            }
            for _ in range(args.rounds):
                for name, program in programs.items():
                    start = time.perf_counter()
                    frames = program()
                    speeds.setdefault(name, []).append(frames / (time.perf_counter() - start))
        base = statistics.median(speeds["textbook"])
        for name, values in speeds.items():
            speed = statistics.median(values)
            print(f"{count:>7} {name:<10} {speed:>10,.0f} {speed / base:>6.2f}")


if __name__ == "__main__":
    main()
