"""Decisions that were made before the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Ladder, Observation, OperatingPoint, Policy


@dataclass
class Planned(Policy):
    """The decision of each frame read from a list: a plan, or a run to be repeated.

    State: none. Cost of a decision: none.
    """

    places: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(
            min_length=1,
            description="Place on the ladder, from 0, of each frame's point; the last goes on.",
        ),
    ] = (0,)

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if a place lies beyond the ladder."""
        if max(self.places) >= len(ladder):
            raise ValueError(
                f"places must be less than {len(ladder)}, the length of the ladder, "
                f"not {max(self.places)}"
            )

    def reset(self, rng: np.random.Generator) -> None:
        """Forget nothing: there is no state."""

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the point of the frame."""
        places = self.places
        return ladder.rungs[places[min(seen.frame, len(places) - 1)]].point
