"""Draws the paper's figures at the scale of the synthetic scenes, beside the published curves.

    python analysis/scenes/figures.py [--scores analysis/scenes/scores.csv] [--out FOLDER]

| picture | the paper's | shows |
|---|---|---|
| `bytes.png` | figure 1 | mAP over bytes of configurable and fixed students and the teacher |
| `computation.png` | figure 6 | narrowing the encoder too, against narrowing what is sent |
| `bits.png` | figure 7 | fewer bits against fewer channels |
| `statistics.png` | figure 8 | batch-norm statistics as trained, and taken anew |
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from testbed.detectors import published

HERE = Path(__file__).parent
LABELS = {
    "scenes-d0-bw": "bandwidth-configurable",
    "scenes-d0-cp": "computation-configurable",
    "fixed": "fixed",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, default=HERE / "scores.csv")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    scores = pd.read_csv(given.scores)
    for draw in (bytes_, computation, bits, statistics):
        path = given.out / f"{draw.__name__.rstrip('_')}.png"
        figure = draw(scores)
        figure.savefig(path, dpi=110, metadata={"Software": None})
        print(path)


def axes(left: str, right: str | None = None):  # type: ignore[no-untyped-def]
    from matplotlib import pyplot as plt

    columns = 1 if right is None else 2
    figure, found = plt.subplots(
        1, columns, figsize=(4.6 * columns, 3.4), squeeze=False, layout="constrained"
    )
    for place, title in zip(found[0], (left, right), strict=False):
        place.set_title(title, fontsize=9)
        place.grid(visible=True, alpha=0.3)
    return figure, *found[0]


def sent(scores: pd.DataFrame, network: str, bits: int = 8) -> pd.DataFrame:
    chosen = scores[(scores.network == network) & (scores.bits == bits)]
    return chosen[chosen.statistics == "anew"].sort_values("payload_bytes")


def teacher(scores: pd.DataFrame, place) -> None:  # type: ignore[no-untyped-def]
    found = scores[scores.kind == "teacher"]
    if len(found):
        place.axhline(found["map"].iloc[0], color="0.4", ls="--", lw=1, label="teacher")


def fixed_of(scores: pd.DataFrame) -> pd.DataFrame:
    chosen = scores[(scores.kind == "fixed") & (scores.bits == 8)]
    return chosen[chosen.statistics == "anew"].sort_values("payload_bytes")


def bytes_(scores: pd.DataFrame):  # type: ignore[no-untyped-def]
    figure, ours, theirs = axes("scenes, 256 px, 8 bit", "published: EfficientDet-D2, COCO, 8 bit")
    for network in ("scenes-d0-bw", "scenes-d0-cp"):
        rows = sent(scores, network)
        ours.plot(rows.payload_bytes / 1e3, rows["map"], "o-", ms=4, label=LABELS[network])
    fixed = fixed_of(scores)
    ours.plot(fixed.payload_bytes / 1e3, fixed["map"], "s", label="fixed", color="k")
    teacher(scores, ours)
    for name, label in (
        ("efficientdet-d2-bw", "bandwidth-configurable"),
        ("efficientdet-d2-cp-c48-min25", "computation-configurable"),
    ):
        table = published.load("published/" + name)
        theirs.plot(
            [p.payload_bytes / 1e3 for p in table.points], [p.map for p in table.points], "o-",
            ms=4, label=label,
        )  # fmt: skip
    single = published.load("published/efficientdet-d2-fixed")
    theirs.plot(
        [p.payload_bytes / 1e3 for p in single.points], [p.map for p in single.points], "s",
        color="k", label="fixed",
    )  # fmt: skip
    theirs.axhline(single.teacher.map, color="0.4", ls="--", lw=1, label="teacher")
    for place in (ours, theirs):
        place.set_xlabel("payload of a frame, kB")
        place.set_ylabel("mAP")
        place.legend(frameon=False)
    return figure


def computation(scores: pd.DataFrame):  # type: ignore[no-untyped-def]
    figure, ours, theirs = axes("scenes, 256 px, 8 bit", "published: EfficientDet-D2, COCO, 8 bit")
    for network in ("scenes-d0-bw", "scenes-d0-cp"):
        rows = sent(scores, network)
        ours.plot(rows.encoder_mac / 1e6, rows["map"], "o-", ms=4, label=LABELS[network])
    teacher(scores, ours)
    ours.set_xlabel("encoder and compressor, million MAC")
    for name, label in (
        ("efficientdet-d2-bw", "bandwidth-configurable"),
        ("efficientdet-d2-cp-c48-min25", "computation-configurable, α ≥ 0.25"),
        ("efficientdet-d2-cp-c48-min50", "computation-configurable, α ≥ 0.5"),
    ):
        table = published.load("published/" + name)
        theirs.plot(
            [p.device_mac / 1e9 for p in table.points], [p.map for p in table.points], "o-", ms=4,
            label=label,
        )  # fmt: skip
    theirs.set_xlabel("encoder and compressor, billion MAC")
    for place in (ours, theirs):
        place.set_ylabel("mAP")
        place.legend(frameon=False)
    return figure


def bits(scores: pd.DataFrame):  # type: ignore[no-untyped-def]
    figure, bw, cp = axes("bandwidth-configurable", "computation-configurable")
    for place, network in ((bw, "scenes-d0-bw"), (cp, "scenes-d0-cp")):
        for count in (8, 4, 3, 2):
            rows = sent(scores, network, count)
            place.plot(rows.payload_bytes / 1e3, rows["map"], "o-", ms=4, label=f"{count} bit")
        teacher(scores, place)
        place.set_xscale("log")
        place.set_xlabel("payload of a frame, kB")
        place.set_ylabel("mAP")
        place.legend(frameon=False)
    return figure


def statistics(scores: pd.DataFrame):  # type: ignore[no-untyped-def]
    figure, bw, cp = axes("bandwidth-configurable", "computation-configurable")
    for place, network in ((bw, "scenes-d0-bw"), (cp, "scenes-d0-cp")):
        chosen = scores[(scores.network == network) & (scores.bits == 32)]
        for kind, label in (("trained", "as trained"), ("anew", "taken anew")):
            rows = chosen[chosen.statistics == kind].sort_values("width")
            place.plot(rows.width, rows["map"], "o-", ms=4, label=label)
        place.set_xlabel("α")
        place.set_ylabel("mAP, not quantised")
        place.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
