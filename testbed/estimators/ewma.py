"""One exponentially weighted mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps


@dataclass
class Ewma(Estimator):
    """An exponentially weighted mean over uploads, each counting the same.

    W ← (1 - gain) · W + gain · sample. A gain of 0.5 is that of AWStream's runtime (Zhang et al.,
    SIGCOMM 2018); 1 keeps the last sample alone.

    State: a mean. Cost: one multiplication a sample.
    """

    gain: Annotated[float, Field(gt=0, le=1, description="Weight of a new sample.")] = 0.5

    def reset(self) -> None:
        """Forget every sample."""
        self._mean: float | None = None

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        sample = goodput_bps(payload_bytes, busy_ns)
        mean = self._mean
        self._mean = sample if mean is None else mean + self.gain * (sample - mean)

    def bps(self, now_ns: int) -> float | None:
        """Return the mean."""
        return self._mean
