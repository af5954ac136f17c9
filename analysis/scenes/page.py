"""Writes the tables of docs/detector-study.md from `scores.csv` and `variants.csv`.

    python analysis/scenes/page.py

What stands between the marks `<!-- name -->` and `<!-- end -->` is replaced, the rest is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "detector-study.md"
MARKS = ("networks", "kept", "variants", "smallest")
BARE = "# The paper's findings at the scale of a laptop\n\n" + "".join(
    f"<!-- {name} -->\n<!-- end -->\n\n" for name in MARKS
)


def main() -> None:
    scores = pd.read_csv(HERE / "scores.csv")
    variants = pd.read_csv(HERE / "variants.csv")
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else BARE
    made = {
        "networks": networks(scores),
        "kept": kept(scores),
        "variants": chosen(variants, "smallest width"),
        "smallest": smallest(variants),
    }
    for name, table in made.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda match, table=table: match[1] + table + match[2], text)
    PAGE.write_text(text, encoding="utf-8")


def networks(scores: pd.DataFrame) -> str:
    """Every network at every width: bytes, work and mAP by bits."""
    rows = []
    for (name, width), group in scores.groupby(["network", "width"], sort=False):
        shipped = group[group.statistics == "anew"].set_index("bits")
        by_bits = [_map(shipped["map"].get(bits)) for bits in (32, 8, 4, 3, 2)]
        eight = shipped["payload_bytes"].get(8)
        rows.append(
            (
                f"`{name}`",
                f"{width:g}",
                f"{int(group.channels.iloc[0]) or '-'}",
                "-" if pd.isna(eight) else f"{eight:,.0f}",
                f"{group.encoder_mac.iloc[0] / 1e6:.1f}",
                *by_bits,
            )
        )
    heads = (
        "network", "α", "channels", "bytes at 8 bit", "device, million MAC", "not quantised",
        "8 bit", "4", "3", "2",
    )  # fmt: skip
    return markdown(heads, rows)


def kept(scores: pd.DataFrame) -> str:
    """What share of full width's mAP each width and number of bits keeps."""
    rows = []
    for name in ("scenes-d0-bw", "scenes-d0-cp"):
        own = scores[(scores.network == name) & (scores.statistics == "anew")]
        if own.empty:
            continue
        full = own[(own.width == 1) & (own.bits == 8)]["map"].iloc[0]
        for bits in (8, 4, 3, 2):
            at = own[own.bits == bits].sort_values("width")
            pairs = zip(at.width, at["map"], strict=True)
            shares = ", ".join(f"{width:g}: {value / full:.2f}" for width, value in pairs)
            rows.append((f"`{name}`", bits, shares))
    return markdown(("network", "bits", "α: share of the mAP at α = 1, 8 bit"), rows)


def chosen(variants: pd.DataFrame, without: str) -> str:
    """Variants of one width, with the spread over seeds."""
    rows = []
    of = variants[variants.question != without]
    for (question, variant), group in of.groupby(["question", "variant"], sort=False):
        rows.append((question, variant, *_spread(group)))
    return markdown(("question", "variant", "mAP, mean over seeds", "of each seed"), rows)


def smallest(variants: pd.DataFrame) -> str:
    """mAP by width of students whose smallest width differs."""
    rows = []
    of = variants[variants.question == "smallest width"]
    for (variant, width), group in of.groupby(["variant", "width"], sort=False):
        rows.append((variant, f"{width:g}", *_spread(group)))
    return markdown(("smallest α trained", "α", "mAP, mean over seeds", "of each seed"), rows)


def _spread(group: pd.DataFrame) -> tuple[str, str]:
    values = group["map"].tolist()
    return f"{sum(values) / len(values):.3f}", ", ".join(f"{value:.3f}" for value in values)


def _map(value: object) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.3f}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
