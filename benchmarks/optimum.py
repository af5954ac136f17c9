"""The clairvoyant programme against the integer programme, and the time that both take.

The fading channel of `tests/optimum/worlds.py`: 12 widths, a JPEG, the device alone and skip, 15
frames a second, 150 ms. The plan's value and the bound have to enclose what HiGHS finds, up to
what it has not yet shown when its time is over.

    python benchmarks/optimum.py [--frames 150 450 900] [--seeds 1 2] [--limit 30]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed.optimum import Utility, integer_optimum, myopic, solve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "optimum"))
from worlds import facts_ladder, fading, problem


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and the processor time that it took, s."""
    begun = time.process_time()
    found = function()
    return found, time.process_time() - begun


def main() -> None:
    """Print a line for each channel and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[150, 450, 900])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--limit", type=float, default=30, help="time for HiGHS, s")
    args = parser.parse_args()
    heads = ("plan", "HiGHS", "its bound", "bound", "gap", "myopic")
    print("seed frames " + "".join(f"{head:>10}" for head in heads) + "   plan s  HiGHS s")
    for seed in args.seeds:
        for frames in args.frames:
            world = problem(
                facts_ladder(), fading(frames // 15, seed), frames, utility=Utility(0, 0)
            )
            found, spent = timed(lambda world=world: solve(world))
            (value, shown), longer = timed(
                lambda world=world: integer_optimum(world, limit_s=args.limit)
            )
            near = myopic(world).value
            figures = (found.lower, value, shown, found.upper, found.upper - found.lower, near)
            row = "".join(f"{figure:10.3f}" for figure in figures)
            print(f"{seed:4} {frames:6} {row} {spent:8.2f} {longer:8.2f}")
            assert found.lower <= shown + 1e-6, "the plan is better than what HiGHS says can be"
            assert found.upper >= value - 1e-6, "HiGHS found something better than the bound"


if __name__ == "__main__":
    main()
