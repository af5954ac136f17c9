"""The same rate for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from testbed.links.capacity import ConstantRate
from testbed.links.link import Link, Medium

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Constant(Link):
    """A link of constant rate."""

    mbps: Annotated[float, Field(gt=0, le=1e6, description="Rate, Mbit/s (10⁶ bit/s).")]

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the capacity curve; nothing about it is random."""
        return Medium(ConstantRate(round(self.mbps * 1e6)))
