"""Model-predictive control."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.harmonic import Harmonic
from testbed.model import Observation, OperatingPoint, Rung
from testbed.parts import Nested
from testbed.policies.menu import (
    Energy,
    Menu,
    Miss,
    Outlook,
    RadioEnergy,
    Rated,
    Switching,
)
from testbed.policies.plan import Planner, Weights


@dataclass(kw_only=True)
class Mpc(Rated):
    """Plan the next frames at the expected goodput; take the first step; plan again.

    MPC (Yin et al., SIGCOMM 2015): a horizon of 5 and the harmonic mean of 5 uploads, as in
    Pensieve's `mpc.py`. A frame is worth its accuracy if its answer is expected in time, minus
    `miss` if not, minus `switching` times the distance from the last point on the menu, minus
    `energy` times its energy over that of the dearest point: the scenario's utility, but for its
    age. Its energy is that of the encoder, and of the radio if `radio_nj_per_bit` is given. Value
    iteration over the wait for the uplink and the last point takes the place of trying every
    sequence, as in Puffer's (Yan et al., NSDI 2020).

    State: the last point. Cost of a decision: horizon · bins · points² additions, in numpy.
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the goodput.")
    ] = field(default_factory=Harmonic)
    horizon: Annotated[int, Field(ge=1, le=50, description="Frames to look ahead.")] = 5
    bins: Annotated[
        int, Field(ge=4, le=1000, description="Steps of the wait, to the deadline.")
    ] = 50
    switching: Switching = 0.05
    energy: Energy = 0.1
    miss: Miss = 0.0
    radio_nj_per_bit: RadioEnergy = 0.0

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample and the last point."""
        super().reset(rng)
        self._last: OperatingPoint | None = None

    def arrange(self, menu: Menu) -> None:
        """Make the planner of the menu."""
        weights = Weights(self.switching, self.energy, self.radio_nj_per_bit, self.miss)
        self._planner = Planner(menu, weights, self.horizon, self.bins)
        self._place = {rung.point: i for i, rung in enumerate(menu.rungs)}

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the first point of the best plan."""
        last = None if self._last is None else self._place[self._last]
        return menu.rungs[self.plan(seen, self.outlook(seen, bps), last)]

    def plan(self, seen: Observation, outlook: Outlook, last: int | None) -> int:
        """Return the place on the menu of the first point of the best plan."""
        return self._planner.best(seen, outlook, last)

    def chosen(self, seen: Observation, rung: Rung) -> None:
        """Remember the point."""
        self._last = rung.point
