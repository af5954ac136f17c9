"""The smaller of a fast and a slow mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps


@dataclass
class EwmaPair(Estimator):
    """The smaller of two exponentially weighted means, a fast and a slow one.

    Samples weigh by their transfer time, and half lives are in seconds of it. It is the throughput
    estimator of Sabre (Spiteri et al., "From theory to practice: improving bitrate adaptation in
    the DASH reference player", MMSys 2018), whose half lives are 3 s and 8 s. Falls quickly, rises
    slowly.

    State: two means. Cost: two powers a sample, two an estimate.
    """

    fast_half_life_s: Annotated[
        float, Field(gt=0, description="Half life of the fast mean, s of transfer time.")
    ] = 3.0
    slow_half_life_s: Annotated[
        float, Field(gt=0, description="Half life of the slow mean, s of transfer time.")
    ] = 8.0

    def reset(self) -> None:
        """Forget every sample."""
        self._fast = self._slow = 0.0  # biased towards 0 by what they have not seen
        self._seen_s = 0.0

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        spent_s = busy_ns / 1e9
        sample = goodput_bps(payload_bytes, busy_ns)
        fast = math.pow(0.5, spent_s / self.fast_half_life_s)
        slow = math.pow(0.5, spent_s / self.slow_half_life_s)
        self._fast = fast * self._fast + (1 - fast) * sample
        self._slow = slow * self._slow + (1 - slow) * sample
        self._seen_s += spent_s

    def bps(self, now_ns: int) -> float | None:
        """Return the smaller mean, freed of its bias towards 0."""
        if self._seen_s == 0:
            return None
        fast = self._fast / (1 - math.pow(0.5, self._seen_s / self.fast_half_life_s))
        slow = self._slow / (1 - math.pow(0.5, self._seen_s / self.slow_half_life_s))
        return min(fast, slow)
