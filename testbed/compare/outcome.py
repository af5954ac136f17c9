"""What `summary.json` says of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.compare.baselines import baselines
from testbed.compare.within import (
    best_fixed,
    check_claims,
    compared,
    figures_of,
    kinds_of,
    paired,
    primary,
    verdicts,
)
from testbed.metrics import CONFIDENCE, summarise_figures

if TYPE_CHECKING:
    from testbed.records import Run


def summary(run: Run) -> dict[str, Any]:
    """Return the content of `summary.json`: metrics, comparison and claims of one run."""
    figures = figures_of(run)
    kinds = kinds_of(run)
    best = best_fixed(figures, kinds)
    metrics = compared(figures)
    return {
        "schema": 1,
        "confidence": CONFIDENCE,
        "policies": summarise_figures(figures),
        "comparison": {
            "metric": primary(figures),
            "best_fixed": best,
            "verdict": verdicts(figures, kinds)[0],
            "baselines": baselines(run, figures, kinds),
            "differences": {
                policy: {name: paired(seeds, figures[best], name) for name in metrics}
                for policy, seeds in figures.items()
                if best is not None and policy != best
            },
        },
        "claims": check_claims(run.scenario.get("claims") or [], figures, kinds),
    }
