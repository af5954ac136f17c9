"""Trains small students that differ in one choice each: the paper's tables 2 to 4, and α_min.

    python analysis/scenes/variants.py [--seeds 1,2,3] [--pictures 2000]

| question | asked of |
|---|---|
| compressor (table 2) | 8 channels: MBConv at both ends; SRU and CRU; none, a decompressor alone |
| pretrained encoder (table 3) | 8 channels: encoder of the teacher, or fresh |
| stochastic depth (table 4) | 8 channels: none, or up to 0.2 |
| smallest width (section 4.2) | encoder narrowed: α from 0.25 or from 0.5 on |

All of them see the same few pictures once, so they are comparable with one another and with
nothing else. Writes `variants.csv` beside this file, a row for each width; goes on where it
stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tables
import torch

from testbed import datasets
from testbed.datasets import scenes_files
from testbed.detectors import shipped
from testbed.evaluation.evaluate import evaluate
from testbed.training.config import TrainConfig
from testbed.training.run import train

HERE = Path(__file__).parent
BITS = 8
COMMON: dict[str, Any] = {
    "epochs": 1, "batch": 8, "learning_rate": 0.002, "schedule": "cosine", "warmup_steps": 50,
    "reduction": "mean", "frozen_statistics": "keep", "norm_batches": 0, "passes": 1,
}  # fmt: skip
FIXED = {"detector": "scenes-d0-c8"}
CP = {"detector": "scenes-d0-cp", "passes": 3}
VARIANTS: dict[tuple[str, str], dict[str, Any]] = {
    ("compressor", "MBConv, MBConv"): FIXED,
    ("compressor", "SRU + CRU, SRU + CRU"): {"detector": "scenes-d0-c8-sru-cru"},
    ("compressor", "none, MBConv"): {"detector": "scenes-d0-c8-drop"},
    ("pretrained encoder", "yes"): FIXED,
    ("pretrained encoder", "no"): FIXED | {"pretrained_encoder": False},
    ("stochastic depth", "none"): FIXED,
    ("stochastic depth", "up to 0.2"): FIXED | {"stochastic_depth": 0.2},
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
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--pictures", type=int, default=2000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.teacher = shipped.locate(given.teacher)
    known = tables.read(given.out)
    for seed in map(int, given.seeds.split(",")):
        for question, variant in VARIANTS:
            wanted = {"question": question, "variant": variant, "seed": str(seed)}
            if not any(wanted.items() <= row.items() for row in known):
                known += [wanted | row for row in scored(question, variant, seed, given)]
                tables.write(given.out, COLUMNS, known)
                print(*(f"{k} {v}," for k, v in known[-1].items()), flush=True)


def scored(
    question: str, variant: str, seed: int, given: argparse.Namespace
) -> Iterator[dict[str, str]]:
    """Yield the scores of a student at each width; variants that are the same train once."""
    fields = COMMON | VARIANTS[question, variant]
    config = TrainConfig.model_validate(
        fields
        | {
            "teacher": given.teacher,
            "train": {"path": scenes_files.make(given.data, "train")},
            "limit": given.pictures,
            "seed": seed,
        }
    )
    name = "-".join(f"{v}" for k, v in fields.items() if COMMON.get(k) != v)
    network = train(config, given.runs / f"{name}-{given.pictures}-{seed}", device="cpu")
    validation = datasets.load(scenes_files.make(given.data, "val"))
    for score in evaluate(network, validation, bits=[BITS]):
        yield {
            "pictures": str(given.pictures),
            "width": f"{score.width:g}",
            "map": f"{score.metrics['map']:.4f}",
            "map50": f"{score.metrics['map50']:.4f}",
        }


if __name__ == "__main__":
    main()
