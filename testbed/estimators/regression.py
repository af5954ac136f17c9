"""A straight line through the times of the last uploads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from testbed.estimators.estimator import Estimator


@dataclass
class Regression(Estimator):
    """Least squares of busy time = overhead + payload / goodput over the last uploads.

    A small payload measures round trips rather than rate; the intercept takes them out. Where all
    payloads are equal, or the line makes no sense (a slope or an intercept below 0), the estimate
    is the sum of the payloads over that of their times, without an overhead.

    State: the last pairs. Cost: five sums over them, once a sample.
    """

    window: Annotated[int, Field(ge=2, description="Uploads to keep.")] = 20

    def reset(self) -> None:
        """Forget every sample."""
        self._pairs: deque[tuple[int, int]] = deque(maxlen=self.window)
        self._bps: float | None = None
        self._overhead_ns = 0.0

    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Take a sample and draw the line anew."""
        self._pairs.append((payload_bytes, busy_ns))
        n = len(self._pairs)
        total_bytes = sum(size for size, _ in self._pairs)
        total_ns = sum(ns for _, ns in self._pairs)
        # In whole numbers, so that equal payloads are told from nearly equal ones.
        spread = n * sum(size * size for size, _ in self._pairs) - total_bytes**2
        together = n * sum(size * ns for size, ns in self._pairs) - total_bytes * total_ns
        self._bps, self._overhead_ns = total_bytes * 8e9 / total_ns, 0.0
        if spread > 0 and together > 0:
            byte_ns = together / spread
            overhead_ns = (total_ns - byte_ns * total_bytes) / n
            if overhead_ns > 0:
                self._bps, self._overhead_ns = 8e9 / byte_ns, overhead_ns

    def bps(self, now_ns: int) -> float | None:
        """Return the goodput of the line."""
        return self._bps

    @property
    def overhead_ns(self) -> float:
        """The intercept of the line."""
        return self._overhead_ns
