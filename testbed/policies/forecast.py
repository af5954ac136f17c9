"""Boxes moved to where their objects should be by now, under any policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Ladder, Observation, OperatingPoint, Outcome, Policy
from testbed.parts import Nested
from testbed.policies.goodput import Goodput


@dataclass(kw_only=True)
class Forecast(Policy):
    """Choose as another policy does, and move the boxes that the client shows at constant velocity.

    The forecaster of streaming perception (Li, Wang and Ramanan, ECCV 2020): a Kalman filter per
    box, with the figures of their code (`testbed.metrics.forecast`). It changes no decision and
    no latency, only the boxes shown at each instant, and so the streaming mAP, which needs a
    detector with recorded boxes. Its time on the client, below a millisecond a frame, is not
    counted.

    State: the other policy's. Cost of a decision: that of the other policy.
    """

    policy: Annotated[Policy, Nested("policy"), Field(description="Who chooses.")] = field(
        default_factory=Goodput
    )

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` as the other policy does."""
        self.policy.check(ladder)

    def reset(self, rng: np.random.Generator) -> None:
        """Let the other policy forget."""
        self.policy.reset(rng)

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return what the other policy chooses."""
        return self.policy.choose(seen, ladder)

    def feedback(self, outcome: Outcome) -> None:
        """Tell the other policy."""
        self.policy.feedback(outcome)
