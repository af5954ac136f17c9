"""What a step of distillation costs beside its own parts, done by hand.

By hand: one pass of the teacher, and for each width a pass of the student, its loss and its
gradients. The step adds the choice of widths, the log of losses, and gradients over passes.

    python benchmarks/slimmable_training.py [--network tiny-d0-cp] [--batch 4] [--passes 4]
        [--rounds 8] [--threads 1]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time

import torch

from testbed.detectors.configurations import find
from testbed.detectors.split import build
from testbed.training.objectives import Distillation, Runner, sandwich, tap_loss
from testbed.training.pictures import Batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="tiny-d0-cp")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = find(given.network)
    teacher = build(dataclasses.replace(config, kind="teacher", channels=0, widths=(1.0,)))
    student = build(config, teacher=teacher)
    objective = Distillation(student, teacher)
    run = Runner(torch.device("cpu"))
    x = torch.randn(given.batch, 3, config.side, config.side)
    batch = Batch(x, [], [])

    steps: list[float] = []
    hands: list[float] = []
    for turn in range(given.rounds + 1):
        widths = sandwich(student.widths, given.passes, seed=0, step=turn)
        objective.mode()
        student.zero_grad(set_to_none=True)
        began = time.process_time()
        objective.backward(batch, widths, run)
        steps.append(time.process_time() - began)

        student.zero_grad(set_to_none=True)
        began = time.process_time()
        with torch.no_grad():
            targets = teacher.features(x)
        for width in widths:
            student.widths.use(width)
            tap_loss(student.features(x), targets, "sum").backward()
        hands.append(time.process_time() - began)
        student.widths.use(1.0)
    step, hand = statistics.median(steps[1:]), statistics.median(hands[1:])
    print(f"{config.name}, batch {given.batch}, N = {given.passes}, {given.threads} thread(s)")
    print(f"step {1e3 * step:.0f} ms, by hand {1e3 * hand:.0f} ms: {step / hand:.3f}")
    print(f"minima: {min(steps[1:]) / min(hands[1:]):.3f}")


if __name__ == "__main__":
    main()
