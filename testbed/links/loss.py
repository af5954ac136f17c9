"""Random loss of packets, on top of any link."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from testbed.links.draws import Draws
from testbed.links.link import Link, Medium
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class RandomLoss(Link):
    """A link that loses packets, singly or in bursts.

    Gilbert's chain, a step per packet: from good to bad with probability p, back with r = 1/burst;
    everything is lost while it is bad, so that p = r · rate / (1 - rate). A burst of 1/(1 - rate)
    is independent loss. Packets are lost after they have taken their share of the capacity. To an
    ideal transport a payload is one packet.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link that loses packets.")]
    rate: Annotated[float, Field(ge=0, lt=1, description="Share of packets that are lost.")]
    burst: Annotated[
        float | None,
        Field(ge=1, description="Mean number of packets lost in a row; null for independent loss."),
    ] = None

    def __post_init__(self) -> None:
        if self.burst is not None and self.rate / (1 - self.rate) > self.burst:
            raise ValueError(f"burst is too short for a loss of {self.rate:g}")

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with loss on top of its own."""
        inner, own = rng.spawn(2)
        medium: Medium = self.link.medium(inner)
        draws = Draws(own)
        leave = 1 - self.rate if self.burst is None else 1 / self.burst
        enter = leave * self.rate / (1 - self.rate)
        before = medium.lost
        bad = draws.uniform() < self.rate

        def lost(release_ns: int) -> bool:
            nonlocal bad
            gone = bad
            bad = draws.uniform() >= leave if bad else draws.uniform() < enter
            return gone | (before is not None and before(release_ns))

        return replace(medium, lost=lost)
