"""A belief about the logarithm of the goodput."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps


@dataclass
class Kalman(Estimator):
    """A Kalman filter of the logarithm of the goodput, which walks at random.

    Before a sample of age Δ: P ← P + drift · Δ; then K = P / (P + noise), mean ← mean + K ·
    (ln sample - mean), P ← (1 - K) · P. The estimate is a quantile of the next sample,
    exp(mean + z · √(P + noise)): with a quantile below one half it sinks while no samples come.
    Drift and noise are in squared natural logarithms; the defaults are our own choice, a drift of
    10 % in a second and samples that scatter by 22 %.

    State: mean and variance. Cost: one logarithm a sample, one power an estimate.
    """

    drift_per_s: Annotated[
        float, Field(ge=0, description="Variance that a second adds, (ln bit/s)².")
    ] = 0.01
    noise: Annotated[float, Field(gt=0, description="Variance of a sample, (ln bit/s)².")] = 0.05
    quantile: Annotated[
        float, Field(gt=0, lt=1, description="Which quantile of the next sample to estimate.")
    ] = 0.5

    def reset(self) -> None:
        """Forget every sample."""
        self._mean: float | None = None
        self._variance = 0.0
        self._at_ns = 0
        self._z = NormalDist().inv_cdf(self.quantile)

    def _variance_at(self, now_ns: int) -> float:
        return self._variance + self.drift_per_s * max(0, now_ns - self._at_ns) / 1e9

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        sample = math.log(goodput_bps(payload_bytes, busy_ns))
        if self._mean is None:
            self._mean, self._variance = sample, self.noise
        else:
            variance = self._variance_at(now_ns)
            gain = variance / (variance + self.noise)
            self._mean += gain * (sample - self._mean)
            self._variance = (1 - gain) * variance
        self._at_ns = max(self._at_ns, now_ns)

    def bps(self, now_ns: int) -> float | None:
        """Return the quantile of what an upload would get now."""
        if self._mean is None:
            return None
        return math.exp(self._mean + self._z * math.sqrt(self._variance_at(now_ns) + self.noise))
