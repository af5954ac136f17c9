"""The best operating point that the observed goodput can carry in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Ladder, Mode, Observation, OperatingPoint, Outcome, Policy


@dataclass
class Goodput(Policy):
    """Take the most accurate point that the observed goodput can carry in time.

    A point qualifies if the link sustains it, payload per frame period ≤ safety · W, and if its
    answer is expected by the deadline: encode + (backlog + payload) / (safety · W) + round trip +
    decode. If none qualifies the smallest payload goes, so that the estimate W stays fresh.

    W is the smaller of two exponentially weighted means of the goodput of past uploads, with half
    lives in seconds of transfer time: the throughput rule of Sabre (Spiteri et al., "From theory
    to practice: improving bitrate adaptation in the DASH reference player", MMSys 2018), whose
    defaults are 3 s, 8 s and a safety of 0.9.

    State: two means. Cost of a decision: one pass over the ladder.
    """

    safety: Annotated[
        float, Field(gt=0, le=1, description="Share of the estimate to count on.")
    ] = 0.9
    fast_half_life_s: Annotated[
        float, Field(gt=0, description="Half life of the fast mean, s of transfer time.")
    ] = 3.0
    slow_half_life_s: Annotated[
        float, Field(gt=0, description="Half life of the slow mean, s of transfer time.")
    ] = 8.0

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample."""
        self._fast = self._slow = 0.0  # biased towards 0 by what they have not seen
        self._seen_s = 0.0

    @property
    def estimate_bps(self) -> float | None:
        """W in bit/s; None before the first sample."""
        if self._seen_s == 0:
            return None
        fast = self._fast / (1 - 0.5 ** (self._seen_s / self.fast_half_life_s))
        slow = self._slow / (1 - 0.5 ** (self._seen_s / self.slow_half_life_s))
        return min(fast, slow)

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return the most accurate point that fits; the smallest payload if none does."""
        rungs = ladder.rungs
        smallest = next((rung for rung in rungs if rung.point.mode is not Mode.SKIP), rungs[0])
        estimate = self.estimate_bps
        if estimate is None:
            return smallest.point
        byte_ns = 8e9 / (self.safety * estimate)
        sustainable = seen.period_ns / byte_ns
        left_ns = seen.deadline_ns - seen.now_ns - seen.rtt_ns - seen.backlog_bytes * byte_ns
        best = None
        for rung in rungs:  # by payload: of two equally good ones the smaller stays
            if rung.payload_bytes > sustainable:
                break
            if rung.point.mode is Mode.SKIP:
                continue  # it would fit always, and the estimate would never be fresh again
            time_ns = rung.encode_ns + rung.payload_bytes * byte_ns + rung.decode_ns
            if time_ns <= left_ns and (best is None or rung.accuracy > best.accuracy):
                best = rung
        return smallest.point if best is None else best.point

    def feedback(self, outcome: Outcome) -> None:
        """Take the goodput of an upload that got through."""
        if not outcome.busy_ns:
            return
        spent_s = outcome.busy_ns / 1e9
        sample = outcome.payload_bytes * 8 / spent_s
        fast = 0.5 ** (spent_s / self.fast_half_life_s)
        slow = 0.5 ** (spent_s / self.slow_half_life_s)
        self._fast = fast * self._fast + (1 - fast) * sample
        self._slow = slow * self._slow + (1 - slow) * sample
        self._seen_s += spent_s
