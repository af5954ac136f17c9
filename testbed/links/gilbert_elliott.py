"""A link with a good and a bad state, each with a rate and a loss.

E. N. Gilbert, "Capacity of a burst-noise channel", BSTJ 1960; E. O. Elliott, "Estimates of error
rates for codes on burst-noise channels", BSTJ 1963. The states last exponentially distributed
times, so that they do not depend on what is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from testbed.links.capacity import ConstantRate
from testbed.links.draws import Draws
from testbed.links.link import Link, Medium
from testbed.links.schedule import Schedule, Splice
from testbed.model import NS_PER_S

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class GilbertElliott(Link):
    """A good and a bad state in turn, each with its rate and its loss."""

    good_mbps: Annotated[float, Field(gt=0, le=1e6, description="Rate in the good state, Mbit/s.")]
    bad_mbps: Annotated[float, Field(ge=0, le=1e6, description="Rate in the bad state, Mbit/s.")]
    good_s: Annotated[float, Field(ge=1e-3, description="Mean length of the good state, s.")] = 10.0
    bad_s: Annotated[float, Field(ge=1e-3, description="Mean length of the bad state, s.")] = 1.0
    good_loss: Annotated[
        float, Field(ge=0, lt=1, description="Probability that a packet is lost in the good state.")
    ] = 0.0
    bad_loss: Annotated[
        float, Field(ge=0, le=1, description="Probability that a packet is lost in the bad state.")
    ] = 0.0

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the link; it begins in either state, as likely as that state is."""
        states, packets = (Draws(each) for each in rng.spawn(2))
        schedule = Schedule(self._spans(states))
        curves = [
            ConstantRate(round(mbps * 1e6)) if mbps else None
            for mbps in (self.good_mbps, self.bad_mbps)
        ]
        losses = (self.good_loss, self.bad_loss)

        def lost(release_ns: int) -> bool:
            return packets.uniform() < losses[schedule.at(release_ns)]

        return Medium(Splice(schedule, curves), lost=lost if any(losses) else None)

    def _spans(self, draws: Draws) -> Iterator[tuple[int, int]]:
        means_s = (self.good_s, self.bad_s)
        begins_bad = draws.uniform() < self.bad_s / (self.good_s + self.bad_s)
        for state in cycle((1, 0) if begins_bad else (0, 1)):
            yield draws.exponential_ns(means_s[state] * NS_PER_S), state
