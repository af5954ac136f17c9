"""The quickest, or the thriftiest, of the points that are accurate enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from testbed.model import Mode, Observation, Rung
from testbed.policies.menu import LTE_NJ_PER_BIT, Menu, RadioEnergy, Rated, energy_j


@dataclass(kw_only=True)
class Neurosurgeon(Rated):
    """Minimise the expected latency, or the energy, over the points that are accurate enough.

    Neurosurgeon (Kang et al., ASPLOS 2017) cuts a network where the sum of device time, upload and
    server time (or the device's energy) is least at the present goodput. All its cuts give the same
    output; points of a slimmable encoder do not, so that an accuracy of `accuracy_share` times the
    best has to be kept. It knows no deadline.

    State: the estimator's. Cost of a decision: one pass over the ladder.
    """

    minimise: Annotated[Literal["latency", "energy"], Field(description="What is to be small.")] = (
        "latency"
    )
    accuracy_share: Annotated[
        float, Field(ge=0, le=1, description="Share of the best accuracy that must be kept.")
    ] = 0.95
    radio_nj_per_bit: RadioEnergy = LTE_NJ_PER_BIT

    def arrange(self, menu: Menu) -> None:
        """Find the points that are accurate enough."""
        floor = self.accuracy_share * menu.best
        self._enough = [
            rung
            for rung in menu.rungs
            if rung.accuracy >= floor and rung.point.mode is not Mode.SKIP
        ] or [menu.smallest]

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the least of them; of equal ones the smaller payload."""
        if self.minimise == "energy":
            return min(self._enough, key=lambda rung: energy_j(rung, self.radio_nj_per_bit))
        return min(self._enough, key=self.outlook(seen, bps).answer_ns)
