"""The chart of what became of the frames."""

from __future__ import annotations

from testbed.metrics import METRICS
from testbed.model import Fate
from testbed.report.plot import Chart, significant, stacked_bars
from testbed.report.view import View


def fates(view: View) -> Chart:
    """Return the chart of what became of the captured frames."""
    parts, rows = [], [[policy] for policy in view.policies]
    for fate in Fate:
        shares = []
        for policy in view.policies:
            seeds = view.figures[policy].values()
            shares.append(
                100 * sum(s[fate.value] for s in seeds) / sum(s["captured"] for s in seeds)
            )
        if any(shares):
            parts.append((METRICS[fate.value].label, shares))
            for row, share in zip(rows, shares, strict=True):
                row.append(significant(share))
    figure = stacked_bars(view.policies, parts, "% of the captured frames")
    figure["layout"]["xaxis"]["range"] = [0, 100]
    figure["layout"]["annotations"] = []
    return Chart(
        "fates",
        "What became of the frames",
        "Every captured frame has exactly one fate. On time and late are answers of the server, "
        "local those of the device itself; the others had no answer.",
        {"": figure},
        table=(("policy", *(f"{name}, %" for name, _ in parts)), rows),
    )
