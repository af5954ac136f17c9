"""A device that moves from one link to another and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from testbed.links.draws import Draws
from testbed.links.link import Link, Medium
from testbed.links.schedule import Schedule, Splice
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np

_GAP = 2


@dataclass(frozen=True)
class Handover(Link):
    """Two links in turn, with an interruption between them.

    Loss and delay are those of the link in use. Queue management and sleep belong around a
    handover, not inside: the queue moves with the device.
    """

    first: Annotated[Any, Nested("link"), Field(description="The link in use at the beginning.")]
    second: Annotated[Any, Nested("link"), Field(description="The other one.")]
    every_s: Annotated[
        float, Field(ge=0.01, description="Time on a link, s; the mean of it if it is random.")
    ] = 30.0
    gap_ms: Annotated[
        float,
        Field(ge=0, description="Interruption, ms; at least 45 in LTE by 3GPP TR 36.881."),
    ] = 45.0
    lengths: Annotated[
        Literal["random", "fixed"],
        Field(description="Whether times on a link are drawn (exponential) or all the same."),
    ] = "random"

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return both links as one."""
        *inner, own = rng.spawn(3)
        media = [self.first.medium(inner[0]), self.second.medium(inner[1])]
        for name, medium in zip(("first", "second"), media, strict=True):
            if medium.wake is not None or medium.queue is not None:
                raise ValueError(f"{name} must not sleep or manage a queue; put that around it")
        schedule = Schedule(self._spans(Draws(own)))

        def lost(release_ns: int) -> bool:
            on = schedule.at(release_ns)
            chosen = None if on == _GAP else media[on].lost
            return chosen is not None and chosen(release_ns)

        def delay(release_ns: int) -> int:
            on = schedule.at(release_ns)
            chosen = None if on == _GAP else media[on].delay
            return 0 if chosen is None else chosen(release_ns)

        return Medium(
            Splice(schedule, [*(medium.capacity for medium in media), None]),
            lost=lost if any(medium.lost for medium in media) else None,
            delay=delay if any(medium.delay for medium in media) else None,
        )

    def _spans(self, draws: Draws) -> Iterator[tuple[int, int]]:
        mean_ns, gap_ns = round(self.every_s * NS_PER_S), round(self.gap_ms * NS_PER_MS)
        for which in cycle((0, 1)):
            yield mean_ns if self.lengths == "fixed" else draws.exponential_ns(mean_ns), which
            if gap_ns:
                yield gap_ns, _GAP
