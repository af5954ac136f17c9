"""Another estimate, moved to where a wanted share of the samples lies above it."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps
from testbed.estimators.ewma_pair import EwmaPair
from testbed.parts import Nested


@dataclass
class Conformal(Estimator):
    """A bound that the goodput stays above with a wanted probability, whatever its law.

    Adaptive conformal inference (Gibbs and Candès, NeurIPS 2021) on the scores ln(sample /
    estimate) of another estimator. The bound is the estimate times exp of the a-quantile of the
    last scores; a starts at `miss` and moves by gain · (miss - 1) when a sample falls below its
    bound, by gain · miss when it does not, so that the share below tends to `miss`. Where the
    scores are too few for so low a quantile, the bound is half of what the least of them gives.

    State: the last scores, in order. Cost: one logarithm and one insertion a sample.
    """

    of: Annotated[
        Estimator, Nested("estimator"), Field(description="The estimator to put a bound on.")
    ] = field(default_factory=EwmaPair)
    miss: Annotated[
        float, Field(gt=0, lt=0.5, description="Share of the samples that may lie below.")
    ] = 0.1
    window: Annotated[int, Field(ge=2, description="Scores to keep.")] = 50
    gain: Annotated[float, Field(gt=0, lt=1, description="How fast the level adapts.")] = 0.02

    def reset(self) -> None:
        """Forget every sample."""
        self.of.reset()
        self._level = self.miss
        self._scores: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample, after comparing it with what was expected."""
        expected, bound = self.of.bps(now_ns), self.bps(now_ns)
        if expected is not None and bound is not None:
            sample = goodput_bps(payload_bytes, busy_ns)
            self._level += self.gain * (self.miss - (sample < bound))
            score = math.log(sample / expected)
            self._scores.append(score)
            insort(self._sorted, score)
            if len(self._scores) > self.window:
                del self._sorted[bisect_left(self._sorted, self._scores.popleft())]
        self.of.add(now_ns, payload_bytes, busy_ns)

    def interval(self, now_ns: int) -> tuple[float, float] | None:
        """Return the bounds, bit/s, that a share of `miss` is expected to fall short of or pass."""
        expected = self.of.bps(now_ns)
        if expected is None:
            return None
        return (
            expected * math.exp(self._quantile(self._level)),
            expected * math.exp(-self._quantile(self._level, mirrored=True)),
        )

    def _quantile(self, level: float, *, mirrored: bool = False) -> float:
        """Return the `level` quantile of the scores, or of their negatives if mirrored."""
        if not self._sorted:
            return 0.0
        place = math.floor(level * (len(self._sorted) + 1)) - 1
        if place < 0:
            least = -self._sorted[-1] if mirrored else self._sorted[0]
            return min(least, 0.0) - math.log(2)
        place = min(place, len(self._sorted) - 1)
        return -self._sorted[-1 - place] if mirrored else self._sorted[place]

    def bps(self, now_ns: int) -> float | None:
        """Return the lower bound."""
        bounds = self.interval(now_ns)
        return None if bounds is None else bounds[0]

    @property
    def overhead_ns(self) -> float:
        """That of the other estimate."""
        return self.of.overhead_ns
