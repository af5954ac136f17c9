"""A bandit that acts on a guess drawn from what it believes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Observation, Outcome, Rung
from testbed.policies.menu import Menu, Rated


@dataclass(kw_only=True)
class Thompson(Rated):
    """Draw for each point how likely it is in time; take the highest accuracy times that.

    Thompson sampling (Thompson, Biometrika 1933; Chapelle and Li, NeurIPS 2011) with a Beta belief
    for each point and octave of the expected goodput, uniform at first. A belief is discounted
    whenever it learns, since links change. A bandit is myopic: it does not see the backlog it
    makes.

    State: two counts for each point and octave met. Cost of a decision: a Beta draw per point.
    """

    discount: Annotated[
        float, Field(gt=0, le=1, description="What experience is worth a frame later.")
    ] = 0.99

    def reset(self, rng: np.random.Generator) -> None:
        """Forget all experience; take the run's random stream."""
        super().reset(rng)
        self._rng = rng
        self._counts: dict[int, np.ndarray] = {}
        self._pending: dict[int, tuple[int, int]] = {}
        self._allowed_ns = 0

    def arrange(self, menu: Menu) -> None:
        """Note what each point is worth."""
        self._accuracy = np.array([rung.accuracy for rung in menu.rungs])
        self._counts.clear()

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the point with the highest guess."""
        self._allowed_ns = seen.deadline_ns - seen.captured_ns
        octave = int(np.log2(bps))
        counts = self._counts.get(octave)
        if counts is None:
            counts = self._counts[octave] = np.ones((2, len(menu.rungs)))
        arm = int((self._rng.beta(counts[0], counts[1]) * self._accuracy).argmax())
        self._pending[seen.frame] = (octave, arm)
        return menu.rungs[arm]

    def feedback(self, outcome: Outcome) -> None:
        """Learn whether a point was in time."""
        super().feedback(outcome)
        if outcome.frame not in self._pending:
            return
        octave, arm = self._pending.pop(outcome.frame)
        in_time = outcome.latency_ns is not None and outcome.latency_ns <= self._allowed_ns
        counts = self._counts[octave][:, arm]
        counts[:] = 1 + self.discount * (counts - 1)  # what it believed at first stays
        counts[0 if in_time else 1] += 1
