"""A linear bandit: which point pays in which situation, with a bonus for what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from testbed.model import Observation, Outcome, Rung
from testbed.policies.menu import Menu, Rated

_FEATURES = 5


@dataclass(kw_only=True)
class LinUcb(Rated):
    """Take the point whose reward may be the highest, by a linear model of each in the situation.

    LinUCB with disjoint models (Li et al., WWW 2010; Chu et al., AISTATS 2011): argmax of θ·x +
    c · √(x'A⁻¹x), θ = A⁻¹b. The situation x is 1, the time that the largest payload would take,
    the wait for the backlog, the round trip (all three over the deadline, at most 4) and whether
    the last answer was late. The reward is the point's accuracy over the best one's if the answer
    is in time, else 0. Older experience of a point is discounted each time it is taken, since links
    change. A bandit is myopic: it sees a backlog, not that it makes one.

    State: a matrix and a vector for each point. Cost of a decision: points · 5² multiplications, in
    numpy.
    """

    exploration: Annotated[float, Field(ge=0, description="c, weight of what is not known.")] = 1.0
    discount: Annotated[
        float, Field(gt=0, le=1, description="What experience is worth an upload later.")
    ] = 0.99

    def reset(self, rng: np.random.Generator) -> None:
        """Forget all experience."""
        super().reset(rng)
        self._pending: dict[int, tuple[int, NDArray[np.float64]]] = {}
        self._late = 0.0
        self._allowed_ns = 0

    def arrange(self, menu: Menu) -> None:
        """Begin with no experience of any point."""
        count = len(menu.rungs)
        self._inverse = np.tile(np.eye(_FEATURES), (count, 1, 1))
        self._b = np.zeros((count, _FEATURES))
        self._theta = np.zeros((count, _FEATURES))
        self._worth = [rung.accuracy / (menu.best or 1.0) for rung in menu.rungs]
        self._largest = menu.rungs[-1].payload_bytes

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the point with the highest bound; of equal ones the smaller."""
        outlook = self.outlook(seen, bps)
        self._allowed_ns = allowed_ns = seen.deadline_ns - seen.captured_ns
        x = np.array(
            [
                1.0,
                min(self._largest * outlook.byte_ns / allowed_ns, 4.0),
                min(outlook.wait_ns / allowed_ns, 4.0),
                min(outlook.fixed_ns / allowed_ns, 4.0),
                self._late,
            ]
        )
        doubt = np.sqrt((self._inverse @ x) @ x)
        arm = int((self._theta @ x + self.exploration * doubt).argmax())
        self._pending[seen.frame] = (arm, x)
        return menu.rungs[arm]

    def feedback(self, outcome: Outcome) -> None:
        """Learn what a point was worth."""
        super().feedback(outcome)
        arm, x = self._pending.pop(outcome.frame, (None, None))
        if arm is None or x is None:
            return
        in_time = outcome.latency_ns is not None and outcome.latency_ns <= self._allowed_ns
        self._late = 0.0 if in_time else 1.0
        inverse = self._inverse[arm] / self.discount
        along = inverse @ x
        # Sherman and Morrison: the inverse of A + xx' from that of A.
        self._inverse[arm] = inverse - np.outer(along, along) / (1.0 + x @ along)
        self._b[arm] = self.discount * self._b[arm] + (self._worth[arm] if in_time else 0.0) * x
        self._theta[arm] = self._inverse[arm] @ self._b[arm]
