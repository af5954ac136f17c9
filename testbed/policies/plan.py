"""Looking some frames ahead: value iteration over the wait for the uplink and the last point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.model import Mode, Observation
from testbed.policies.menu import Menu, Outlook, energy_j

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """What a frame is worth: accuracy if in time, minus switching, energy and misses.

    Args:
        switching: Of going from the first to the last point of the menu.
        energy: Of the energy of the dearest point.
        radio_nj_per_bit: What a bit costs the radio.
        miss: Of a frame that is not in time.
    """

    switching: float
    energy: float
    radio_nj_per_bit: float
    miss: float = 0.0


class Planner:
    """Picks the first of the next points that together are worth the most.

    The wait for the uplink is rounded up to one of `bins` steps up to the deadline, so that a plan
    that is in time on the grid is in time without it. An encoder that takes longer than a frame
    period loses the frames in between, so the worth of its frame is spread over them. Transfer
    times may be uncertain: each is multiplied by one of `factors`, drawn anew for every frame with
    the probability of its weight.

    Args:
        menu: What to choose from.
        weights: What a frame is worth.
        horizon: Frames to look ahead.
        bins: Steps of the wait.
    """

    def __init__(self, menu: Menu, weights: Weights, horizon: int, bins: int) -> None:
        rungs = menu.rungs
        count = len(rungs)
        self._horizon, self._bins = horizon, bins
        self._every = np.arange(count)
        self._accuracy = np.array([rung.accuracy for rung in rungs])
        self._payload = np.array([float(rung.payload_bytes) for rung in rungs])
        self._encode = np.array([float(rung.encode_ns) for rung in rungs])
        self._decode = np.array([float(rung.decode_ns) for rung in rungs])
        self._sends = self._payload > 0
        self._runs = np.array([rung.point.mode is not Mode.SKIP for rung in rungs])
        spent = np.array([energy_j(rung, weights.radio_nj_per_bit) for rung in rungs])
        self._miss = weights.miss
        self._spent = weights.energy * spent / (spent.max() or 1.0)
        apart = np.abs(np.subtract.outer(self._every, self._every))
        self._switch = weights.switching * apart / max(count - 1, 1)  # from, to

    def best(
        self,
        seen: Observation,
        outlook: Outlook,
        last: int | None,
        factors: Sequence[float] = (1.0,),
        chances: Sequence[float] = (1.0,),
    ) -> int:
        """Return the index on the menu of the point to take now."""
        allowed = float(seen.deadline_ns - seen.captured_ns)
        step = allowed / self._bins
        waits: Floats = np.arange(self._bins + 1, dtype=np.float64) * step
        chance = np.array(chances)
        transfer = self._payload[:, None] * outlook.byte_ns * np.array(factors)
        table = (transfer, chance, outlook, float(seen.period_ns), step)
        value = np.zeros((len(waits), len(self._every)))  # by wait and last point
        if self._horizon > 1:
            reward, wait_after = self._frame(waits, allowed, *table)
            for _ in range(self._horizon - 1):
                worth = reward + (value[wait_after, self._every[:, None]] @ chance)
                value = (worth[:, None, :] - self._switch).max(axis=2)
        now, after = self._frame(np.array([outlook.wait_ns]), outlook.left_ns, *table)
        worth = (now + value[after, self._every[:, None]] @ chance)[0]
        if last is not None:
            worth = worth - self._switch[last]
        return int(worth.argmax())

    def _frame(
        self,
        waits: Floats,
        allowed: float,
        transfer: Floats,
        chance: Floats,
        outlook: Outlook,
        period: float,
        step: float,
    ) -> tuple[Floats, NDArray[np.intp]]:
        """Return what a frame is worth by wait and point, and the bin of the next one's wait."""
        ready = np.maximum(waits[:, None], self._encode)
        sent = ready[:, :, None] + transfer
        answer = np.where(  # what is not sent is answered by the device itself
            self._sends[:, None],
            sent + outlook.fixed_ns + self._decode[:, None],
            self._encode[:, None],
        )
        in_time = (answer <= allowed) & self._runs[:, None]
        held = np.maximum(self._encode, period)
        served = (in_time @ chance) * (period / held)
        reward = served * (self._accuracy + self._miss) - self._miss - self._spent
        left = np.where(self._sends[:, None], sent, waits[:, None, None]) - held[:, None]
        bins = np.ceil(np.maximum(left, 0.0) / step)
        return reward, np.minimum(bins, self._bins).astype(np.intp)
