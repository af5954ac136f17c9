"""The harmonic mean of the last uploads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps


@dataclass
class Harmonic(Estimator):
    """The harmonic mean of the last samples, which a single fast upload hardly moves.

    Five samples are the default of MPC (Yin et al., SIGCOMM 2015; Pensieve's `mpc.py`), twenty
    that of FESTIVE (Jiang et al., CoNEXT 2012).

    State: the last samples. Cost: a sum over them, once a sample.
    """

    window: Annotated[int, Field(ge=1, description="Samples to keep.")] = 5

    def reset(self) -> None:
        """Forget every sample."""
        self._inverse: deque[float] = deque(maxlen=self.window)
        self._mean: float | None = None

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample."""
        self._inverse.append(1 / goodput_bps(payload_bytes, busy_ns))
        self._mean = len(self._inverse) / sum(self._inverse)

    def bps(self, now_ns: int) -> float | None:
        """Return the mean."""
        return self._mean
