"""The payload as a function of slack alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.model import Ladder, Observation, OperatingPoint
from testbed.policies.menu import OnLadder


@dataclass(kw_only=True)
class Bba(OnLadder):
    """Let the slack decide how much may be sent, without estimating the link at all.

    BBA (Huang et al., SIGCOMM 2014) maps the playback buffer to a rate. Frames have deadlines and
    no buffer; its place is taken by the slack, the share of the deadline that the oldest frame
    without an answer has left. At or below `lower` the smallest payload goes, at or above `upper`
    anything; between them the largest allowed payload grows linearly, and the best point within it
    goes. 0.2 and 0.8 are those of Puffer's `linear_bba`.

    State: none. Cost of a decision: one pass over the levels.
    """

    lower: Annotated[float, Field(ge=0, lt=1, description="Slack of the smallest payload.")] = 0.2
    upper: Annotated[float, Field(gt=0, le=1, description="Slack of the largest payload.")] = 0.8

    def __post_init__(self) -> None:
        if self.lower >= self.upper:
            raise ValueError(f"lower must be less than upper, {self.upper:g}, not {self.lower:g}")

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the best point within the payload that the slack allows."""
        levels = self.menu(ladder).levels
        allowed_ns = seen.deadline_ns - seen.captured_ns
        slack = 1 - oldest_age_ns(seen) / allowed_ns
        share = min(max((slack - self.lower) / (self.upper - self.lower), 0.0), 1.0)
        least, most = levels[0].payload_bytes, levels[-1].payload_bytes
        budget = least + share * (most - least)
        within = [rung for rung in levels if rung.payload_bytes <= budget]
        return max(within, key=lambda rung: rung.accuracy).point


def oldest_age_ns(seen: Observation) -> int:
    """Return the age of the oldest frame without an answer, the one to decide about included."""
    oldest = seen.oldest_outstanding_ns
    return seen.now_ns - (seen.captured_ns if oldest is None else min(oldest, seen.captured_ns))
