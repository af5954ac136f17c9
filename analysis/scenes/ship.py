"""Turns trained networks into the files that come with the testbed.

    python analysis/scenes/ship.py [--data analysis/scenes/data] RUN/final.safetensors ...

Takes a student's batch-norm statistics anew from 128 training pictures, because the widths between
the ends are drawn too seldom for statistics to settle in so short a training,
and writes the network in 16 bits to `testbed/detectors/trained/`. The teacher comes first: students
are stored without the decoder that they share with it. Every tenth step of the logs of all runs
goes to `logs/` beside this file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from testbed import datasets
from testbed.datasets import scenes_files
from testbed.detectors import shipped, weights
from testbed.training.objectives import recalibrate

HERE = Path(__file__).parent
PICTURES = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, default=HERE / "data")
    given = parser.parse_args()
    torch.set_num_threads(1)
    training = datasets.load(scenes_files.make(given.data, "train"))
    step = len(training) // PICTURES
    for path in given.networks:
        network = weights.load(path)
        teacher = network.config.kind == "teacher"
        if not teacher:
            some = [network.prepare(training.load(training[k * step]))[0] for k in range(PICTURES)]
            recalibrate(network, some, torch.device("cpu"), batch=16)
        target = shipped.folder() / (network.config.name + shipped.SUFFIX)
        base = None if teacher else shipped.folder() / ("scenes-d0" + shipped.SUFFIX)
        weights.save(network, target, half=True, base=base)
        print(f"{target.name}: {target.stat().st_size} bytes")
    for log in sorted((HERE / "runs").glob("*/log.csv")):
        lines = log.read_text(encoding="utf-8").splitlines()
        target = HERE / "logs" / f"{log.parent.name}.csv"
        target.parent.mkdir(exist_ok=True)
        target.write_text("\n".join([lines[0], *lines[1::10]]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
