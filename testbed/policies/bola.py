"""Accuracy per byte, weighed against slack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.model import Ladder, Observation, OperatingPoint
from testbed.policies.bba import oldest_age_ns
from testbed.policies.menu import OnLadder


@dataclass(kw_only=True)
class Bola(OnLadder):
    """Maximise (V · (accuracy + gain) - slack) / payload.

    BOLA (Spiteri, Urgaonkar and Sitaraman, INFOCOM 2016), whose buffer is the slack here: frame
    periods that the oldest frame without an answer has left, at most S = deadline / period. V =
    S / (best accuracy + gain) makes the best point win at full slack; as the slack shrinks,
    accuracy per byte counts ever more. It needs no estimate of the link.

    State: none. Cost of a decision: one pass over the levels.
    """

    gain: Annotated[
        float, Field(ge=0, description="Added to every accuracy; more makes points more alike.")
    ] = 0.0

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the point with the highest score; of equal ones the larger."""
        levels = self.menu(ladder).levels
        if len(levels) == 1:
            return levels[0].point
        most = (seen.deadline_ns - seen.captured_ns) / seen.period_ns
        slack = max(0.0, most - oldest_age_ns(seen) / seen.period_ns)
        best = max(rung.accuracy for rung in levels) + self.gain
        weight = most / best if best else 0.0
        return max(
            reversed(levels),
            key=lambda rung: (weight * (rung.accuracy + self.gain) - slack) / rung.payload_bytes,
        ).point
