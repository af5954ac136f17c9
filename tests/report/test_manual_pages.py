"""The manual says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from testbed.metrics import METRICS, STAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def metrics_table() -> list[str]:
    """Return the rows that docs/metrics.md must have."""
    return [
        f"| `{name}` | {metric.unit} | {metric.better or '-'} | {metric.meaning} |"
        for name, metric in METRICS.items()
    ]


def test_the_manual_defines_every_metric_in_the_words_of_the_code():
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    section = text.partition("## All metrics")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]

    assert rows == metrics_table()


def test_the_manual_lists_the_stages_with_their_instants():
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", text, re.M)

    assert rows == [
        (s, a.removesuffix("_ns"), b.removesuffix("_ns")) for s, (a, b) in STAGES.items()
    ]
