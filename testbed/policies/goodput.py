"""The best operating point that the observed goodput can carry in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.model import Observation, Rung
from testbed.policies.menu import Menu, Rated


@dataclass(kw_only=True)
class Goodput(Rated):
    """Take the most accurate point that the observed goodput can carry in time.

    A point qualifies if the link sustains it, payload per frame period ≤ safety · W, and if its
    answer is expected by the deadline: the longer of encoding and backlog / (safety · W), then
    payload / (safety · W) + round trip + decode. Skip never does; it would fit always. If none
    qualifies the smallest payload goes, so that the estimate W stays fresh.

    It is the throughput rule of Sabre (Spiteri et al., "From theory to practice: improving bitrate
    adaptation in the DASH reference player", MMSys 2018): its estimator, and its safety of 0.9.

    State: the estimator's. Cost of a decision: one pass over the ladder.
    """

    safety: Annotated[
        float, Field(gt=0, le=1, description="Share of the estimate to count on.")
    ] = 0.9

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the most accurate point that fits; the smallest payload if none does."""
        outlook = self.outlook(seen, self.safety * bps)
        sustainable = seen.period_ns / outlook.byte_ns
        best = None
        for rung in menu.rungs:  # by payload: of two equally good ones the smaller stays
            if rung.payload_bytes > sustainable:
                break
            if (best is None or rung.accuracy > best.accuracy) and outlook.in_time(rung):
                best = rung
        return best or menu.smallest
