"""Any operating point, each as likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from testbed.model import Ladder, Observation, OperatingPoint, Policy


@dataclass
class Random(Policy):
    """Any operating point of the ladder, each as likely; what knowing nothing is worth.

    State: a random stream. Cost of a decision: one draw.
    """

    def reset(self, rng: np.random.Generator) -> None:
        """Take the run's random stream."""
        self._rng = rng

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return a point drawn uniformly."""
        return ladder.rungs[int(self._rng.integers(len(ladder)))].point
