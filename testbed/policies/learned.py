"""A policy that was trained; runs with numpy alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed import catalog
from testbed.model import Ladder, Observation, OperatingPoint, Outcome, Policy
from testbed.parts import CatalogFile
from testbed.policies.features import FIXED, Features
from testbed.policies.network import read


@dataclass(kw_only=True)
class Learned(Policy):
    """What a network scores highest that was trained in the simulator.

    `testbed train-policy` trains one by PPO (Schulman et al., 2017) or DQN (Mnih et al., Nature
    2015), in the manner of Pensieve (Mao et al., SIGCOMM 2017). It sees what every policy sees
    (`testbed.policies.features`) and is of use on the very ladder that it was trained for.

    State: the last eight uploads and outcomes, the last point. Cost of a decision: a few thousand
    multiplications, in numpy.
    """

    model: Annotated[
        str,
        CatalogFile("policies"),
        Field(description="Network: one that ships, by its name, or the path of a .safetensors."),
    ]
    sha256: Annotated[
        str | None,
        Field(description="Of that file; a run refuses a file that has changed since."),
    ] = None

    def __post_init__(self) -> None:
        path = catalog.find("policies", self.model)
        if self.sha256 is not None:
            found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            if found != self.sha256:
                raise ValueError(
                    "model has changed since this scenario was resolved "
                    f"(sha256 {found[:12]}…, expected {self.sha256[:12]}…)"
                )
        self._network = read(path)
        wanted, have = FIXED + len(self._network.points), self._network.layers[0][0].shape[0]
        if wanted != have:
            raise ValueError(f"model takes {have} features; its ladder makes {wanted}")

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if the network was trained for another ladder."""
        self._network.check(ladder)

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the ladder and everything seen."""
        self._ladder: Ladder | None = None

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the point with the highest score."""
        if ladder is not self._ladder:
            self._ladder = ladder
            self._features = Features(ladder)
        place = self._network.best(self._features.encode(seen))
        self._features.chosen(place)
        return ladder.rungs[place].point

    def feedback(self, outcome: Outcome) -> None:
        """Take the news of a frame."""
        self._features.learn(outcome)
