"""What every trace becomes, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

OPPORTUNITY_BYTES = 1500
"""Bytes of IP packet per line of a Mahimahi trace (1504 with its TUN header)."""

MAX_PERIOD_NS = 366 * 24 * 3600 * 10**9
"""No trace may last longer than a year: a later stamp is an epoch or a wrong unit."""

MAX_RATE_BPS = 10**13
"""No rate may be higher than 10 Tbit/s: more is a wrong unit."""

Direction = Literal["up", "down"]


@dataclass(frozen=True, eq=False)
class Trace:
    """A measured or synthetic channel in one direction, over one period.

    `opportunities`: at each of `stamps_ns` one packet may leave.
    `rate`: `rates_bps[i]` holds from `stamps_ns[i]` to `stamps_ns[i + 1]`, the last one to
    `period_ns`; `stamps_ns[0]` is 0. Readers that find values *before* their stamp normalise to
    this, and `holds` says what they found.
    `delay`: a packet sent at `stamps_ns[i]` had the round trip `delays_ns[i]`.
    `delay-after-idle`: a packet sent after a silence of `stamps_ns[i]` had `delays_ns[i]`; not a
    time series, and `period_ns` is the longest silence.

    Args:
        kind: Which of the four. Only the first two can carry traffic.
        stamps_ns: int64, non-decreasing, in [0, period_ns].
        period_ns: After this long the trace begins again.
        rates_bps: int64, bit/s, for `rate`; else None.
        measures: `capacity` of a saturated link, or `goodput` of a connection, a lower bound of it.
        direction: `up` or `down`; None where neither file nor name says.
        technology: Such as `lte`; None where unknown.
        format: Name of the reader.
        path: Where it was read from.
        sha256: Of the file.
        notes: What the reader had to assume or mend, for reports.
        delays_ns: int64, round trips, for the two delay kinds; else None.
        gaps_ns: int64 of shape (n, 2), start and end of the spans that no sample covers. A rate
            stands there all the same, because a replay needs one; `notes` says which.
        samples: Values or opportunities in the file, before anything was merged or filled.
        holds: Whether a value of the file holds `before` or `after` its stamp; None where it does
            not have one stamp (opportunities, explicit intervals).
    """

    kind: Literal["opportunities", "rate", "delay", "delay-after-idle"]
    stamps_ns: NDArray[np.int64]
    period_ns: int
    rates_bps: NDArray[np.int64] | None = None
    measures: Literal["capacity", "goodput"] = "capacity"
    direction: Direction | None = None
    technology: str | None = None
    format: str = ""
    path: Path | None = None
    sha256: str = ""
    notes: tuple[str, ...] = field(default=())
    delays_ns: NDArray[np.int64] | None = None
    gaps_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    samples: int = 0
    holds: Literal["before", "after"] | None = None

    @property
    def mean_bps(self) -> float:
        """Mean rate over a period, bit/s, filled gaps included: what a replay offers.

        Raise a `ValueError` for a trace of delays.
        """
        if self.kind == "opportunities":
            bits: float = 8.0 * OPPORTUNITY_BYTES * len(self.stamps_ns)
            return bits * 1e9 / self.period_ns
        if self.rates_bps is None:
            raise ValueError(f"a trace of kind '{self.kind}' has no rate")
        spans = np.diff(np.append(self.stamps_ns, self.period_ns))
        return float(np.dot(self.rates_bps.astype(float), spans) / self.period_ns)
