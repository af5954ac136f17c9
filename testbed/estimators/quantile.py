"""A quantile of the goodput, followed step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps


@dataclass
class Quantile(Estimator):
    """A quantile of the samples, followed by stochastic descent on the pinball loss.

    W ← W · (1 + step · quantile) if the sample is at least W, else W · (1 - step · (1 - quantile)).
    It rests where the share of samples below it is the quantile. The defaults, a fifth and steps of
    5 %, are our own.

    State: one number. Cost: one multiplication a sample.
    """

    quantile: Annotated[
        float, Field(gt=0, lt=1, description="Share of the samples that lie below.")
    ] = 0.2
    step: Annotated[float, Field(gt=0, lt=1, description="Step, as a share of the estimate.")] = (
        0.05
    )

    def reset(self) -> None:
        """Forget every sample."""
        self._at: float | None = None

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        sample = goodput_bps(payload_bytes, busy_ns)
        if self._at is None:
            self._at = sample
        else:
            self._at *= 1 + self.step * (self.quantile - (sample < self._at))

    def bps(self, now_ns: int) -> float | None:
        """Return the quantile."""
        return self._at
