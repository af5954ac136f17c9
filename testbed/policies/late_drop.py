"""No frame that would be late, under any policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.ewma_pair import EwmaPair
from testbed.model import SKIP, Ladder, Observation, OperatingPoint, Outcome, Policy
from testbed.parts import Nested
from testbed.policies.frame_filter import require_skip
from testbed.policies.goodput import Goodput
from testbed.policies.menu import Outlook


@dataclass(kw_only=True)
class LateDrop(Policy):
    """Skip the frame if the point that another policy chooses is expected to be late.

    Players give up a download that will not end in time (Sabre, MMSys 2018: after 1.8 times its
    duration). A payload that has been handed over cannot be called back, so the choice is made
    before. Every `probe_every`-th late frame in a row goes all the same: a link that nobody uses
    cannot be known.

    State: the other policy's, the estimator's, a counter. Cost of a decision: theirs.
    """

    policy: Annotated[Policy, Nested("policy"), Field(description="Who chooses.")] = field(
        default_factory=Goodput
    )
    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the goodput.")
    ] = field(default_factory=EwmaPair)
    probe_every: Annotated[
        int, Field(ge=1, description="Late frames in a row of which the last is sent.")
    ] = 20

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if frames cannot be skipped, or as the other policy does."""
        require_skip(ladder)
        self.policy.check(ladder)

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample, and let the other policy forget."""
        self.policy.reset(rng)
        self.estimator.reset()
        self._late = 0

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return what the other policy chooses, or skip where that is expected to be late."""
        point = self.policy.choose(seen, ladder)
        bps = self.estimator.bps(seen.now_ns)
        if point == SKIP or bps is None:
            return point
        if Outlook.of(seen, bps, self.estimator.overhead_ns).in_time(ladder.at(point)):
            self._late = 0
            return point
        self._late += 1
        if self._late >= self.probe_every:
            self._late = 0
            return point
        return SKIP

    def feedback(self, outcome: Outcome) -> None:
        """Learn from an upload, and tell the other policy."""
        if outcome.busy_ns:
            self.estimator.add(outcome.now_ns, outcome.payload_bytes, outcome.busy_ns)
        self.policy.feedback(outcome)
