"""The same rate for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.links.capacity import Capacity, ConstantRate


@dataclass(frozen=True)
class Constant:
    """A link of constant rate."""

    mbps: Annotated[float, Field(gt=0, le=1e6, description="Rate, Mbit/s (10⁶ bit/s).")]

    def capacity(self, rng: np.random.Generator) -> Capacity:
        """Return the capacity curve; nothing about it is random."""
        return ConstantRate(round(self.mbps * 1e6))
