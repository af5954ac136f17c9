"""Scores the networks trained on the synthetic scenes at every width and number of bits.

    python analysis/scenes/scores.py [--data analysis/scenes/data]

All that ship, and beside them the students of `runs/` as training left them, not quantised: what
ships has its batch-norm statistics taken anew (`ship.py`), and figure 8 is about that. Writes
`scores.csv` beside this file, from which the figures are drawn. What has been scored with the very
same weights is not scored again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import tables
import torch

from testbed import datasets
from testbed.datasets import scenes_files
from testbed.datasets.dataset import Dataset
from testbed.detectors import shipped, weights
from testbed.detectors.macs import count_detector
from testbed.detectors.split import SplitDetector
from testbed.evaluation.evaluate import UNQUANTISED, evaluate

HERE = Path(__file__).parent
BITS = (8, 4, 3, 2)
CONFIGURABLE = ("bw", "cp-2")
"""Their runs."""
COLUMNS = (
    "weights", "network", "kind", "channels", "statistics", "width", "bits", "payload_bytes",
    "encoder_mac", "map", "map50", "map_small", "map_medium", "map_large",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE / "data")
    parser.add_argument("--out", type=Path, default=HERE / "scores.csv")
    given = parser.parse_args()
    torch.set_num_threads(1)
    networks = [(Path(n), "anew") for n in shipped.names() if n.startswith("scenes-")]
    left = [HERE / "runs" / name / "final.safetensors" for name in CONFIGURABLE]
    networks += [(path, "trained") for path in left if path.exists()]
    held: list[Mapping[str, object]] = [*tables.read(given.out)]
    for path, statistics in networks:
        digest = weights.sha256_of(shipped.locate(path))[:12]
        if any(row["weights"] == digest for row in held):
            continue
        network = weights.load(path)
        validation = datasets.load(scenes_files.make(given.data, "val"))
        name = network.config.name
        held = [r for r in held if (r["network"], r["statistics"]) != (name, statistics)]
        for row in rows(network, statistics, validation):
            held.append({"weights": digest} | row)
            print(", ".join(f"{k} {v}" for k, v in row.items() if v != ""), flush=True)
        tables.write(given.out, COLUMNS, held)


def rows(
    network: SplitDetector, statistics: str, validation: Dataset
) -> Iterator[dict[str, object]]:
    """Yield the scores of a network; quantised as well, if it is the one that ships."""
    counted = {
        width: sum(
            count.mac
            for count in count_detector(network)
            if count.width == width and count.part in ("encoder", "compressor")
        )
        for width in network.widths.values
    }
    student = network.config.kind != "teacher"
    bits = (UNQUANTISED, *BITS) if student and statistics == "anew" else (UNQUANTISED,)
    for score in evaluate(network, validation, bits=bits):
        yield {
            "network": network.config.name,
            "kind": network.config.kind,
            "channels": network.config.bottleneck(score.width),
            "statistics": statistics,
            "width": score.width,
            "bits": score.bits,
            "payload_bytes": "" if score.payload_bytes is None else score.payload_bytes,
            "encoder_mac": counted[score.width],
            **{name: f"{score.metrics[name]:.4f}" for name in COLUMNS if name[:3] == "map"},
        }


if __name__ == "__main__":
    main()
