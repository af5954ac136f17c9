"""Gradual, delayed and stable steps towards what a harmonic mean sustains."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.harmonic import Harmonic
from testbed.model import Observation, Rung
from testbed.parts import Nested
from testbed.policies.menu import Menu, Rated


@dataclass(kw_only=True)
class Festive(Rated):
    """Move level by level: down at once, up after patience, and only if it pays for the switch.

    FESTIVE (Jiang, Sekar and Zhang, CoNEXT 2012). The target is the highest level whose rate,
    payload over frame period, is at most p · W, W being the harmonic mean of 20 uploads. A target
    above the level k (from 0) must be seen k + 1 times in a row before the reference is k + 1; one
    below makes it k - 1 at once. The level becomes the reference if its score is the lower one:
    2ⁿ (+ 1 for the switch) + α · |rate / min(W, rate of the reference) - 1|, n being the switches
    in the last `horizon` frames. p = 0.85, α = 12 and a horizon of 5 are those of Pensieve's
    `festive.js`. Levels are the points that send and are better than every smaller one. The
    randomised request times of the original are the camera's phase here.

    State: level, patience, the last levels. Cost of a decision: one pass over the levels.
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the goodput.")
    ] = field(default_factory=lambda: Harmonic(window=20))
    share: Annotated[float, Field(gt=0, le=1, description="p, share of W to use.")] = 0.85
    efficiency: Annotated[float, Field(ge=0, description="α, weight of efficiency.")] = 12.0
    horizon: Annotated[int, Field(ge=1, description="Frames in which switches count.")] = 5

    def reset(self, rng: np.random.Generator) -> None:
        """Return to the lowest level."""
        super().reset(rng)
        self._level = self._ups = 0
        self._switches: deque[bool] = deque(maxlen=self.horizon)

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the level, after at most one step."""
        rates = [rung.payload_bytes * 8e9 / seen.period_ns for rung in menu.levels]
        level = min(self._level, len(rates) - 1)
        target = max(
            (i for i, rate in enumerate(rates) if rate <= self.share * bps),
            default=0,
        )
        self._ups = self._ups + 1 if target > level else 0
        reference = level
        if target < level:
            reference = level - 1
        elif self._ups > level:
            reference = level + 1
        if reference != level:
            stability = 2.0 ** sum(self._switches)
            scale = min(bps, rates[reference])
            stay = stability + self.efficiency * abs(rates[level] / scale - 1)
            switch = stability + 1 + self.efficiency * abs(rates[reference] / scale - 1)
            if switch >= stay:
                reference = level
        self._switches.append(reference != level)
        if reference != level:
            self._ups = 0
        self._level = reference
        return menu.levels[reference]
