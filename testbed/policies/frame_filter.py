"""Fewer frames, under any policy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import SKIP, Fate, Ladder, Observation, OperatingPoint, Outcome, Policy
from testbed.parts import Nested
from testbed.policies.goodput import Goodput


@dataclass(kw_only=True)
class FrameFilter(Policy):
    """Skip frames by number or while answers are due; another policy decides about the others.

    The knob of frame rate over any policy. Glimpse (Chen et al., SenSys 2015) sends a frame only
    when the last answer is there, which is `outstanding: 1`; Reducto (Li et al., SIGCOMM 2020)
    filters by what is on the picture, which an observation does not hold, so that here every
    `every`-th frame is kept. The other policy is told that frames come that much more rarely.

    State: the other policy's. Cost of a decision: that of the other policy.
    """

    policy: Annotated[
        Policy, Nested("policy"), Field(description="Who decides about the frames that are kept.")
    ] = field(default_factory=Goodput)
    every: Annotated[int, Field(ge=1, description="One frame of so many is kept.")] = 2
    outstanding: Annotated[
        int | None,
        Field(ge=1, description="Skip while so many answers are due; null for no matter how many."),
    ] = None

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if frames cannot be skipped, or as the other policy does."""
        require_skip(ladder)
        self.policy.check(ladder)

    def reset(self, rng: np.random.Generator) -> None:
        """Let the other policy forget."""
        self.policy.reset(rng)

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return skip, or what the other policy chooses."""
        if seen.frame % self.every:
            return SKIP
        if self.outstanding is not None and seen.outstanding >= self.outstanding:
            return SKIP
        if self.every > 1:
            seen = dataclasses.replace(seen, period_ns=seen.period_ns * self.every)
        return self.policy.choose(seen, ladder)

    def feedback(self, outcome: Outcome) -> None:
        """Tell the other policy what became of a frame; of its own skips it knows nothing."""
        if outcome.fate is not Fate.SKIPPED:
            self.policy.feedback(outcome)


def require_skip(ladder: Ladder) -> None:
    """Raise a `ValueError` unless frames may be skipped."""
    if SKIP not in [rung.point for rung in ladder]:
        raise ValueError("skips frames, so the ladder needs the mode 'skip'")
