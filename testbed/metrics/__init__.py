"""What every metric means, as a formula over the instants of a frame and the energy ledger.

`METRICS` is the one list of names, units and definitions; reports, documentation and the claims
of a scenario read it. `per_seed` gives one figure per policy, seed and metric, pooled over the
clients; `summarise` gives their mean over the seeds with a 95 % interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.metrics.definitions import METRICS, PERCENTILES, STAGES, Metric
from testbed.metrics.figures import (
    Accuracy,
    Figures,
    per_seed,
    percentile,
    way,
    with_boxes,
)
from testbed.metrics.intervals import CONFIDENCE, Interval, interval, number
from testbed.metrics.utility import Utility, Worth

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CONFIDENCE",
    "METRICS",
    "PERCENTILES",
    "STAGES",
    "Accuracy",
    "Figures",
    "Interval",
    "Metric",
    "Utility",
    "Worth",
    "interval",
    "number",
    "per_seed",
    "percentile",
    "summarise",
    "summarise_figures",
    "way",
    "with_boxes",
]


def summarise(
    frames: pd.DataFrame,
    energy: pd.DataFrame,
    *,
    deadline_ns: int,
    duration_ns: int,
    accuracy: Accuracy,
) -> dict[str, dict[str, Interval]]:
    """Return policy -> metric -> `{value, low, high, n}`, ready for JSON.

    The arguments are those of `per_seed`, the values those of `summarise_figures`.
    """
    return summarise_figures(
        per_seed(
            frames, energy, deadline_ns=deadline_ns, duration_ns=duration_ns, accuracy=accuracy
        )
    )


def summarise_figures(figures: Figures) -> dict[str, dict[str, Interval]]:
    """Return policy -> metric -> `{value, low, high, n}` of figures that are per seed.

    `value` is the mean over the seeds, `low` and `high` its 95 % Student-t interval (null with one
    seed), `n` the number of seeds that define the metric. The string `"inf"` is an infinite value,
    null an undefined one.
    """
    return {
        policy: {
            name: interval([seed[name] for seed in seeds.values()], within=metric.limits)
            for name, metric in METRICS.items()
        }
        for policy, seeds in figures.items()
    }
