"""Level and trend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps

_LEAST = 0.1  # of the level: a falling trend must not foretell a link without capacity


@dataclass
class HoltWinters(Estimator):
    """A level and a trend per sample, both smoothed, without seasons.

    level ← α · sample + (1 - α) · forecast; trend ← β · (level - last level) + (1 - β) · trend;
    forecast = level + trend, and at least a tenth of the level. He, Dovrolis and Ammar (SIGCOMM
    2005) found it accurate on few samples; α = 0.8 and β = 0.2 are values common since.

    State: level and trend. Cost: four multiplications a sample.
    """

    level_gain: Annotated[float, Field(gt=0, le=1, description="α, of the level.")] = 0.8
    trend_gain: Annotated[float, Field(ge=0, le=1, description="β, of the trend.")] = 0.2

    def reset(self) -> None:
        """Forget every sample."""
        self._level: float | None = None
        self._trend = 0.0

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        sample = goodput_bps(payload_bytes, busy_ns)
        last, forecast = self._level, self.bps(now_ns)
        if last is None or forecast is None:
            self._level = sample
            return
        self._level = self.level_gain * sample + (1 - self.level_gain) * forecast
        rise = self._level - last
        self._trend = self.trend_gain * rise + (1 - self.trend_gain) * self._trend

    def bps(self, now_ns: int) -> float | None:
        """Return the forecast of the next sample."""
        level = self._level
        return None if level is None else max(level + self._trend, _LEAST * level)
