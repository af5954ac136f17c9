"""Times without service, on top of any link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from testbed.links.draws import Draws
from testbed.links.link import Link, Medium
from testbed.links.schedule import Schedule, Splice
from testbed.model import NS_PER_S
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np

_FOR_EVER_NS = 10**18


@dataclass(frozen=True)
class Outage(Link):
    """A link that offers nothing at times, given or random; what it would have offered is lost.

    Random ones are a mixture of short and long, each exponential, as measured outages are.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link outside outages.")]
    at: Annotated[
        tuple[tuple[float, float], ...],
        Field(description="When: pairs of begin and end, s, in order; empty for random ones."),
    ] = ()
    every_s: Annotated[
        float, Field(ge=0.01, description="Mean time from the end of one to the next, s.")
    ] = 30.0
    short_s: Annotated[float, Field(ge=1e-3, description="Mean length of the short ones, s.")] = 1.5
    long_s: Annotated[float, Field(ge=1e-3, description="Mean length of the long ones, s.")] = 8.0
    long_share: Annotated[float, Field(ge=0, le=1, description="Share of the long ones.")] = 0.0

    def __post_init__(self) -> None:
        edges = [0.0, *(edge for pair in self.at for edge in pair)]
        if any(b <= a for a, b in pairwise(edges[1:])) or (self.at and edges[1] < 0):
            raise ValueError("at must hold pairs of begin and end in order, such as [[10, 12.5]]")

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with its outages."""
        inner, own = rng.spawn(2)
        medium: Medium = self.link.medium(inner)
        schedule = Schedule(self._given() if self.at else self._random(Draws(own)))
        return replace(medium, capacity=Splice(schedule, [medium.capacity, None]))

    def _given(self) -> Iterator[tuple[int, int]]:
        last_ns = 0
        for begin_s, end_s in self.at:
            begin_ns, end_ns = round(begin_s * NS_PER_S), round(end_s * NS_PER_S)
            if begin_ns > last_ns:
                yield begin_ns - last_ns, 0
            yield end_ns - begin_ns, 1
            last_ns = end_ns
        while True:
            yield _FOR_EVER_NS, 0

    def _random(self, draws: Draws) -> Iterator[tuple[int, int]]:
        while True:
            yield draws.exponential_ns(self.every_s * NS_PER_S), 0
            mean_s = self.long_s if draws.uniform() < self.long_share else self.short_s
            yield draws.exponential_ns(mean_s * NS_PER_S), 1
