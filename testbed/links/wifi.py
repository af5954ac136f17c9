"""Contention between the stations of a Wi-Fi cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from testbed.links.bianchi import efficiency
from testbed.links.link import Link, Medium
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Wifi(Link):
    """A link that loses capacity to collisions when several clients share it.

    By Bianchi's model of saturated stations: with n clients that have something to send, what is
    left of the capacity is S(n)/S(1). The capacity of the inner link is that of one station alone.
    """

    link: Annotated[Any, Nested("link"), Field(description="What one station alone would get.")]
    standard: Annotated[
        Literal["bianchi-2000", "802.11g", "802.11n"],
        Field(description="Set of parameters of the contention."),
    ] = "802.11n"

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with the cost of contention."""
        medium: Medium = self.link.medium(rng)
        return replace(medium, efficiency=partial(efficiency, self.standard))
