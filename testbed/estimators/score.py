"""How good an estimator is by itself: it foretells each upload before that is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from testbed.estimators.estimator import Estimator, goodput_bps


class _Curve(Protocol):
    """What a channel has offered by an instant; see `testbed.links.capacity`."""

    @property
    def units_per_byte(self) -> int: ...
    def offered(self, at_ns: int) -> int: ...
    def when(self, units: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload: when its first byte was the next to leave, and when its last had left."""

    start_ns: int
    sent_ns: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Score:
    """How estimates compare with what came.

    Args:
        uploads: Uploads that were foretold.
        mape: Mean of |estimate - goodput| / goodput.
        pinball_mbps: Mean pinball loss, Mbit/s: quantile · (goodput - estimate) where the estimate
            was too low, (1 - quantile) · (estimate - goodput) where it was too high.
        over: Share of the uploads whose goodput was over-estimated.
    """

    uploads: int
    mape: float
    pinball_mbps: float
    over: float


def uploads(
    curve: _Curve, duration_ns: int, period_ns: int, payload_bytes: int
) -> Iterator[Upload]:
    """Yield uploads over a channel, one asked for each period, first in first out.

    One that is due while the last is under way is left out, as a camera drops frames, so that a
    slow stretch of the channel counts once and not by the length of a queue.
    """
    free_ns = 0
    units = payload_bytes * curve.units_per_byte
    for asked_ns in range(0, duration_ns, period_ns):
        if asked_ns < free_ns:
            continue
        free_ns = curve.when(curve.offered(asked_ns) + units)
        if free_ns > duration_ns:
            return
        yield Upload(asked_ns, free_ns, payload_bytes)


def score(estimator: Estimator, made: Iterable[Upload], quantile: float = 0.5) -> Score:
    """Return how well an estimator foretells uploads; the first is only learnt from."""
    estimator.reset()
    errors, losses, over = [], [], 0
    for upload in made:
        busy_ns = max(1, upload.sent_ns - upload.start_ns)
        expected = estimator.bps(upload.start_ns)
        if expected is not None:
            # The goodput that the upload's time amounts to, overhead included.
            within_ns = estimator.overhead_ns + upload.payload_bytes * 8e9 / expected
            expected = upload.payload_bytes * 8e9 / within_ns
            came = goodput_bps(upload.payload_bytes, busy_ns)
            errors.append(abs(expected - came) / came)
            short = came - expected
            losses.append(max(quantile * short, (quantile - 1) * short))
            over += expected > came
        estimator.add(upload.sent_ns, upload.payload_bytes, busy_ns)
    n = len(errors)
    if not n:
        return Score(0, math.nan, math.nan, math.nan)
    return Score(n, math.fsum(errors) / n, math.fsum(losses) / n / 1e6, over / n)
