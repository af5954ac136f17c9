"""One user's part of a link that others use as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from testbed.links.capacity import Capacity
from testbed.links.link import Link, Medium
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class PartOf:
    """A curve divided evenly among users of whom one is meant; exact, as a whole number is.

    Args:
        capacity: The whole.
        among: How many users there are.
    """

    capacity: Capacity
    among: int

    @property
    def units_per_byte(self) -> int:
        """How many units of this curve make a byte, those of the whole."""
        return self.capacity.units_per_byte

    def offered(self, at_ns: int) -> int:
        """Return the units offered to one user by `at_ns`, what makes no whole unit left out."""
        return self.capacity.offered(at_ns) // self.among

    def when(self, units: int) -> int:
        """Return the earliest instant at which one user has been offered `units` > 0."""
        return self.capacity.when(units * self.among)


@dataclass(frozen=True)
class Shared(Link):
    """A link among so many users who all send all the time, as one of them has it.

    Each gets the same part of what is offered, whatever this one does: a cell that is always full.
    Where users come and go, have several clients share a link (`sharing`) instead.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link that they share.")]
    among: Annotated[int, Field(ge=1, description="Users, this one counted.")]

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with one user's part of its capacity."""
        medium: Medium = self.link.medium(rng)
        return replace(medium, capacity=PartOf(medium.capacity, self.among))
