"""Charts of shares: what became of the frames, and where the joules went."""

from __future__ import annotations

import math

from testbed.metrics import METRICS
from testbed.model import Fate
from testbed.report.plot import Chart, significant, stacked_bars
from testbed.report.view import View

_COMPONENTS = ("compute", "radio", "idle")


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


def energy(view: View) -> Chart:
    """Return the chart of the energy per captured frame, by component, and by state below it."""
    parts = []
    for component in _COMPONENTS:
        per_frame = []
        for policy in view.policies:
            seeds = view.figures[policy].values()
            values = [figures[f"{component}_j"] / figures["captured"] for figures in seeds]
            per_frame.append(sum(values) / len(values))
        parts.append((component, per_frame))
    ledger = view.run.energy
    captured = {policy: len(view.frames(policy)) for policy in view.policies}
    grouped = ledger.groupby(["component", "state", "policy"], observed=True, sort=False)
    sums = {tuple(map(str, key)): math.fsum(part["energy_j"]) for key, part in grouped}
    rows = [
        [component, state]
        + [significant(sums.get((component, state, p), 0.0) / captured[p]) for p in view.policies]
        for component, state in sorted({key[:2] for key in sums})
    ]
    return Chart(
        "energy",
        "Where the joules go",
        "Energy of the devices per captured frame, everything included: what the processor and "
        "the radio draw while they work, wait and linger, and what the idle device draws anyway.",
        {"": stacked_bars(view.policies, parts, "J per captured frame")},
        table=(("component", "state", *(f"{policy}, J" for policy in view.policies)), rows),
    )
