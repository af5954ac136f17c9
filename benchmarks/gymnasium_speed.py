"""Frames per second of computing time: stepping the environment against the simulator by itself.

The same scenario, seed and points: `simulate` with a policy that keeps one point, and the
environment with the action of that point, as `gymnasium.make` gives it and without the wrappers
that it adds. Both run in turn in one process, several rounds; compare the ratio, not the absolute
figures. `simulate` ends with its tables made; so does an episode here.

    python benchmarks/gymnasium_speed.py [--scenario quickstart] [--minutes 10] [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium

import testbed.environment
from testbed.environment.environment import SplitDetection
from testbed.scenario import load
from testbed.simulate import simulate


def episode(env: gymnasium.Env, inner: SplitDetection, action: int) -> int:
    """Step through one run; return the number of frames."""
    env.reset(options={"seed": 1})
    ended = False
    while not ended:
        _, _, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
    return inner.rows().frames.num_rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="quickstart")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    scenario = load(args.scenario, [f"duration_s={args.minutes * 60:g}"])
    env = gymnasium.make(testbed.environment.ID, scenario=scenario)
    inner = env.unwrapped
    assert isinstance(inner, SplitDetection)
    name = next(n for n, spec in scenario.spec.policies.items() if spec.kind == "fixed")
    first = simulate(scenario, name, 1).frames.to_pandas().dropna(subset="mode").iloc[0]
    points = [(r.point.width, r.point.bits, r.point.mode.value) for r in inner.ladder]
    action = points.index((first["width"], first["bits"], first["mode"]))
    programs: dict[str, Callable[[], int]] = {
        "simulate": lambda: simulate(scenario, name, 1).frames.num_rows,
        "stepping": lambda: episode(inner, inner, action),
        "stepping, gymnasium.make": lambda: episode(env, inner, action),
    }
    speeds: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for title, program in programs.items():
            start = time.process_time()
            frames = program()
            speeds.setdefault(title, []).append(frames / (time.process_time() - start))
    base = statistics.median(speeds["simulate"])
    print(f"{'program':<26} {'frames/s':>10} {'ratio':>6}")
    for title, values in speeds.items():
        speed = statistics.median(values)
        print(f"{title:<26} {speed:>10,.0f} {speed / base:>6.2f}")


if __name__ == "__main__":
    main()
