"""Compares policies: within a run over its seeds, and over many traces at once.

`within` sets the policies of one run against its best static one and checks claims; `across` does
it over runs that differ in their traces; `inference` has the statistics of both, `fronts` those of
two metrics at once; `settings` says which runs go together; `junit` writes claims as test cases.
"""

from testbed.compare.across import Contrast, across, family_of, no_difference_shown
from testbed.compare.baselines import Baseline, at_matched_map, baselines, beside_one_picture
from testbed.compare.fronts import Coverage, coverage, front, hypervolume, points_of
from testbed.compare.junit import junit
from testbed.compare.outcome import summary
from testbed.compare.settings import conditions, weightings, world_of
from testbed.compare.within import (
    BEST_FIXED,
    COMPARED,
    PRIMARY,
    Kinds,
    accuracy_of,
    best_fixed,
    between_runs,
    check_claims,
    deadline_ns_of,
    difference,
    duration_ns_of,
    figures_of,
    forecasters_of,
    kinds_of,
    ladders_of,
    paired,
    primary,
    primary_of,
    utility_of,
    verdicts,
)

__all__ = [
    "BEST_FIXED",
    "COMPARED",
    "PRIMARY",
    "Baseline",
    "Contrast",
    "Coverage",
    "Kinds",
    "accuracy_of",
    "across",
    "at_matched_map",
    "baselines",
    "beside_one_picture",
    "best_fixed",
    "between_runs",
    "check_claims",
    "conditions",
    "coverage",
    "deadline_ns_of",
    "difference",
    "duration_ns_of",
    "family_of",
    "figures_of",
    "forecasters_of",
    "front",
    "hypervolume",
    "junit",
    "kinds_of",
    "ladders_of",
    "no_difference_shown",
    "paired",
    "points_of",
    "primary",
    "primary_of",
    "summary",
    "utility_of",
    "verdicts",
    "weightings",
    "world_of",
]
