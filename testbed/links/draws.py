"""Random numbers one at a time, drawn from a generator a block at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 256


class Draws:
    """A stream of uniform numbers, and what is made of them.

    Args:
        rng: The generator; nobody else may draw from it.
    """

    __slots__ = ("_left", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[float] = []

    def uniform(self) -> float:
        """Return a number in [0, 1)."""
        if not self._left:
            self._left = self._rng.random(_BLOCK).tolist()
        return self._left.pop()

    def exponential_ns(self, mean_ns: float) -> int:
        """Return a duration of at least 1 ns."""
        return max(1, round(-mean_ns * math.log1p(-self.uniform())))
