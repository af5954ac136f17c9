"""Another estimate, divided by how wrong it has been."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps
from testbed.estimators.harmonic import Harmonic
from testbed.parts import Nested


@dataclass
class Robust(Estimator):
    """Another estimate over 1 + its largest relative error of late.

    The error of a sample is |estimate - sample| / sample, the estimate being that before it. This
    is the lower bound of RobustMPC (Yin et al., SIGCOMM 2015), with the harmonic mean and five
    errors as in Pensieve's `mpc.py`.

    State: the last errors. Cost: their maximum, once a sample.
    """

    of: Annotated[
        Estimator, Nested("estimator"), Field(description="The estimator to be careful with.")
    ] = field(default_factory=Harmonic)
    window: Annotated[int, Field(ge=1, description="Errors to keep.")] = 5

    def reset(self) -> None:
        """Forget every sample."""
        self.of.reset()
        self._errors: deque[float] = deque(maxlen=self.window)

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample, after comparing it with what was expected."""
        expected = self.of.bps(now_ns)
        if expected is not None:
            sample = goodput_bps(payload_bytes, busy_ns)
            self._errors.append(abs(expected - sample) / sample)
        self.of.add(now_ns, payload_bytes, busy_ns)

    def bps(self, now_ns: int) -> float | None:
        """Return the lower bound."""
        expected = self.of.bps(now_ns)
        return None if expected is None else expected / (1 + max(self._errors, default=0.0))

    @property
    def overhead_ns(self) -> float:
        """That of the other estimate."""
        return self.of.overhead_ns
