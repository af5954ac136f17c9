"""The same operating point for every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import LOCAL, SKIP, Ladder, Mode, Observation, OperatingPoint, Policy


@dataclass
class Fixed(Policy):
    """The same operating point for every frame: what every other policy has to beat.

    State: none. Cost of a decision: none.
    """

    width: Annotated[float, Field(gt=0, le=1, description="α of the encoder.")] = 1.0
    bits: Annotated[int, Field(ge=1, le=16, description="Bits per bottleneck value.")] = 8
    codec: Annotated[
        str, Field(description="Entropy coder, or of `offload` that of the picture.")
    ] = "raw"
    mode: Annotated[Mode, Field(description="Where frames are processed.")] = Mode.SPLIT

    @property
    def point(self) -> OperatingPoint:
        """The operating point the options describe."""
        mode = Mode(self.mode)
        if mode is Mode.SKIP:
            return SKIP
        if mode is Mode.LOCAL:
            return LOCAL
        if mode is Mode.OFFLOAD:
            return OperatingPoint(1.0, 0, self.codec, mode)
        return OperatingPoint(self.width, self.bits, self.codec, mode)

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if the ladder does not have the point."""
        try:
            ladder.at(self.point)
        except KeyError:
            listed = "; ".join(str(rung.point) for rung in ladder)
            raise ValueError(f"{self.point} is not on the ladder, which has {listed}") from None

    def reset(self, rng: np.random.Generator) -> None:
        """Work out the point once."""
        self._point = self.point

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the point."""
        return self._point
