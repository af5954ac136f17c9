"""Trains small students that differ in one choice each: the paper's tables 2 to 4, and α_min.

    python analysis/scenes/variants.py [--seeds 1,2,3] [--pictures 1000] [--workers 2]

| question | asked of |
|---|---|
| compressor (table 2) | 8 channels: MBConv at both ends; SRU and CRU; none, a decompressor alone |
| pretrained encoder (table 3) | 8 channels, encoder learning: that of the teacher, or fresh |
| stochastic depth (table 4) | 8 channels, encoder learning: none, or up to 0.2 |
| smallest width (section 4.2) | encoder narrowed: α from 0.25 or from 0.5 on |

All of them see the same few pictures once and get their batch-norm statistics anew, so they are
comparable within a question and with nothing else. Writes `variants.csv` beside this file, a row
for each width; goes on where it stopped.
"""

from __future__ import annotations

import argparse
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import tables
import torch

from testbed import datasets
from testbed.datasets import scenes_files
from testbed.datasets.dataset import Dataset
from testbed.detectors import shipped
from testbed.evaluation.evaluate import evaluate
from testbed.training.config import TrainConfig
from testbed.training.objectives import recalibrate
from testbed.training.run import train
from testbed.workers import pool

HERE = Path(__file__).parent
BITS = 8
PICTURES = 128  # for statistics taken anew
JUDGED = 2  # every second picture of the validation split
COMMON: dict[str, Any] = {
    "epochs": 1, "batch": 8, "learning_rate": 0.004, "schedule": "cosine", "warmup_steps": 30,
    "reduction": "mean", "taps": "split", "kernels": "centred", "norm_batches": 0, "passes": 1,
}  # fmt: skip
LEARNING = {"detector": "scenes-d0-c8"}
FROZEN = {"encoder": "frozen", "learning_rate": 0.02}
CP = {"detector": "scenes-d0-cp", "passes": 3}
VARIANTS: dict[tuple[str, str], dict[str, Any]] = {
    ("compressor", "MBConv, MBConv"): FROZEN | {"detector": "scenes-d0-c8"},
    ("compressor", "SRU + CRU, SRU + CRU"): FROZEN | {"detector": "scenes-d0-c8-sru-cru"},
    ("compressor", "none, MBConv"): FROZEN | {"detector": "scenes-d0-c8-drop"},
    ("pretrained encoder", "yes"): LEARNING,
    ("pretrained encoder", "no"): LEARNING | {"pretrained_encoder": False},
    ("stochastic depth", "none"): LEARNING,
    ("stochastic depth", "up to 0.2"): LEARNING | {"stochastic_depth": 0.2},
    ("smallest width", "0.25"): CP,
    ("smallest width", "0.5"): CP | {"smallest_width": 0.5},
}
COLUMNS = ("question", "variant", "seed", "pictures", "width", "map", "map50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--teacher", type=Path, default=Path("scenes-d0"), help="a file or a name")
    parser.add_argument("--runs", type=Path, default=HERE / "runs" / "variants")
    parser.add_argument("--out", type=Path, default=HERE / "variants.csv")
    parser.add_argument("--seeds", default="1,2,3", help="separated by commas")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    given.teacher = shipped.locate(given.teacher)
    known = tables.read(given.out)
    missing = []
    for seed in given.seeds.split(","):
        for question, variant in VARIANTS:
            wanted = {"question": question, "variant": variant, "seed": seed}
            if not any(wanted.items() <= row.items() for row in known):
                missing.append((question, variant, int(seed)))
    missing.sort(key=lambda one: VARIANTS[one[:2]]["detector"] == "scenes-d0-cp")  # the dear ones
    # Variants that are the same train once.
    same: dict[str, list[tuple[str, str, int]]] = {}
    for one in missing:
        same.setdefault(_name(*one, given.pictures), []).append(one)
    with pool(given.workers, fresh=True) as processes:
        work = {processes.submit(scored, *ones[0], given): ones for ones in same.values()}
        for done in as_completed(work):
            for question, variant, seed in work[done]:
                wanted = {"question": question, "variant": variant, "seed": str(seed)}
                known += [wanted | row for row in done.result()]
                print(*(f"{k} {v}," for k, v in known[-1].items()), flush=True)
            tables.write(given.out, COLUMNS, sorted(known, key=_place))


def scored(
    question: str, variant: str, seed: int, given: argparse.Namespace
) -> list[dict[str, str]]:
    """Return the scores of a student at each width."""
    torch.set_num_threads(1)
    config = TrainConfig.model_validate(
        COMMON
        | VARIANTS[question, variant]
        | {
            "teacher": given.teacher,
            "train": {"path": scenes_files.make(given.data, "train")},
            "limit": given.pictures,
            "seed": seed,
        }
    )
    folder = given.runs / _name(question, variant, seed, given.pictures)
    network = train(config, folder, device="cpu")
    training = datasets.load(config.train.path)
    step = len(training) // PICTURES
    some = [network.prepare(training.load(training[k * step]))[0] for k in range(PICTURES)]
    recalibrate(network, some, torch.device("cpu"), batch=16)
    whole = datasets.load(scenes_files.make(given.data, "val"))
    validation = Dataset(whole.name, whole.categories, tuple(whole)[::JUDGED], whole.dropped)
    return [
        {
            "pictures": str(given.pictures),
            "width": f"{score.width:g}",
            "map": f"{score.metrics['map']:.4f}",
            "map50": f"{score.metrics['map50']:.4f}",
        }
        for score in evaluate(network, validation, bits=[BITS])
    ]


def _name(question: str, variant: str, seed: int, pictures: int) -> str:
    """Name the folder of a run by what tells it from the others."""
    own = VARIANTS[question, variant]
    return "-".join(str(v) for k, v in own.items() if COMMON.get(k) != v) + f"-{pictures}-{seed}"


def _place(row: dict[str, str]) -> tuple[int, int, float]:
    order = list(VARIANTS).index((row["question"], row["variant"]))
    return order, int(row["seed"]), float(row["width"])


if __name__ == "__main__":
    main()
