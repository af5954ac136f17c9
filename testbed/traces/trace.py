"""What every trace becomes, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

OPPORTUNITY_BYTES = 1500
"""Bytes of IP packet per line of a Mahimahi trace (1504 with its TUN header)."""


@dataclass(frozen=True)
class Trace:
    """A measured or synthetic channel in one direction, over one period.

    Exactly one of two kinds. `opportunities`: at each of `stamps_ns` one packet may leave.
    `rate`: `rates_bps[i]` holds from `stamps_ns[i]` to `stamps_ns[i + 1]`, the last one to
    `period_ns`. Readers that find values *before* their stamp normalise to this.

    Args:
        kind: Which of the two.
        stamps_ns: int64, non-decreasing, in [0, period_ns].
        period_ns: After this long the trace begins again.
        rates_bps: int64, bit/s, for `rate`; None for `opportunities`.
        measures: `capacity` of a saturated link, or `goodput` of a connection, a lower bound of it.
        direction: `up` or `down`; None where neither file nor name says.
        technology: Such as `lte`; None where unknown.
        format: Name of the reader.
        path: Where it was read from.
        sha256: Of the file.
        notes: What the reader had to assume or mend, for reports.
    """

    kind: Literal["opportunities", "rate"]
    stamps_ns: NDArray[np.int64]
    period_ns: int
    rates_bps: NDArray[np.int64] | None = None
    measures: Literal["capacity", "goodput"] = "capacity"
    direction: Literal["up", "down"] | None = None
    technology: str | None = None
    format: str = ""
    path: Path | None = None
    sha256: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def mean_bps(self) -> float:
        """Mean rate over a period, bit/s."""
        if self.rates_bps is None:
            bits: float = 8.0 * OPPORTUNITY_BYTES * len(self.stamps_ns)
            return bits * 1e9 / self.period_ns
        spans = np.diff(np.append(self.stamps_ns, self.period_ns))
        return float(np.dot(self.rates_bps.astype(float), spans) / self.period_ns)
