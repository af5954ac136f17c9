"""Model-predictive control over a distribution of transfer times."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Observation, Outcome
from testbed.policies.menu import Outlook
from testbed.policies.mpc import Mpc


@dataclass(kw_only=True)
class StochasticMpc(Mpc):
    """MPC that maximises the expected worth over a distribution of transfer times.

    After Fugu (Yan et al., NSDI 2020), which learns the distribution of the transfer time of a
    given size with a neural network retrained daily. In the network's place stand the last uploads:
    measured over expected time of each, the expectation being the estimator's before it, in up to
    `outcomes` groups of equal probability. The estimator carries the size, the ratios the doubt.

    State: the last point and the last ratios. Cost of a decision: that of `mpc` times the outcomes
    for the look-up, in numpy.
    """

    window: Annotated[int, Field(ge=2, description="Ratios to keep.")] = 40
    outcomes: Annotated[int, Field(ge=1, le=50, description="Groups of ratios to plan for.")] = 8

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample."""
        super().reset(rng)
        self._ratios: deque[float] = deque(maxlen=self.window)
        self._factors: tuple[list[float], list[float]] = ([1.0], [1.0])

    def feedback(self, outcome: Outcome) -> None:
        """Take an upload, after comparing it with what was expected."""
        if outcome.busy_ns and (bps := self.estimator.bps(outcome.now_ns)):
            expected_ns = outcome.payload_bytes * 8e9 / bps + self.estimator.overhead_ns
            self._ratios.append(outcome.busy_ns / expected_ns)
            groups = np.array_split(np.sort(self._ratios), min(self.outcomes, len(self._ratios)))
            total = len(self._ratios)
            self._factors = (
                [float(group.mean()) for group in groups],
                [len(group) / total for group in groups],
            )
        super().feedback(outcome)

    def plan(self, seen: Observation, outlook: Outlook, last: int | None) -> int:
        """Return the place on the menu of the first point of the best plan."""
        return self._planner.best(seen, outlook, last, *self._factors)
