"""What a frame is worth: one definition for the optimum, policies, learning and summaries.

    u = accuracy · [in time] - miss · [not in time] - switching · |place - last| / (points - 1)
        - energy · encode_j / that of the dearest point - age · frames since the last in time / 15

Accuracy on time less switching is the form of the QoE of adaptive streaming (Yin et al., SIGCOMM
2015); its weights here are our own choice, and a scenario's key `utility` sets them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from testbed.model import Rung

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGE_CAP = 15
"""Frames after which an answer is as old as it can get."""

UNDECIDED = -1
"""The place of a frame that was dropped before the policy decided about it."""


@dataclass(frozen=True, slots=True)
class Utility:
    """What a frame is worth: accuracy if in time, minus switching, energy, age and misses.

    Args:
        switching: Of a switch from the first to the last point of the ladder; others in proportion
            to how many places lie between.
        energy: Of the encoding energy of the dearest point; others in proportion. The radio's is
            not in it, since it depends on what other frames do.
        age: Of 15 frames or more since the last frame that was answered in time; fewer in
            proportion.
        miss: Of a frame that is not answered in time, whatever the reason.
    """

    switching: float = 0.05
    energy: float = 0.1
    age: float = 0.0
    miss: float = 0.0

    def __post_init__(self) -> None:
        if min(self.switching, self.energy, self.age, self.miss) < 0:
            raise ValueError("weights must not be negative")


class Worth:
    """What the frames of one client are worth on its ladder.

    A frame's utility is `cost`, known when its point is chosen, plus `gain`, known when its
    deadline has passed.

    Args:
        rungs: The ladder; a place is an index into it.
        utility: The weights.

    Attributes:
        accuracy: Of each rung.
        price: What each rung's energy costs, in utility.
        step: What a switch by one place costs, in utility.
    """

    def __init__(self, rungs: Sequence[Rung], utility: Utility) -> None:
        self.utility = utility
        self.accuracy: Floats = np.array([rung.accuracy for rung in rungs])
        joules = np.array([rung.encode_j for rung in rungs])
        self.price: Floats = utility.energy * joules / (joules.max() or 1.0)
        self.step = utility.switching / max(len(rungs) - 1, 1)

    def cost(self, place: int, last: int | None) -> float:
        """Return what choosing a place costs after `last`, the place before it if there was one."""
        switch = 0.0 if last is None else self.step * abs(place - last)
        return float(self.price[place]) + switch

    def gain(self, place: int, in_time: bool, age: int) -> float:
        """Return what a frame brings, its cost not counted.

        Args:
            place: Of its point; `UNDECIDED` if it was dropped before.
            in_time: Whether it was answered within the deadline.
            age: Frames since the last in time, this one counted: 0 if it is in time itself.
        """
        weights = self.utility
        brought = float(self.accuracy[place]) if in_time else -weights.miss
        return brought - weights.age * min(age, AGE_CAP) / AGE_CAP

    def of(self, places: Ints, in_time: NDArray[np.bool_]) -> Floats:
        """Return the utility of each frame, (n,), of consecutive frames from the first on.

        Args:
            places: (n,) place of each frame's point, or `UNDECIDED`.
            in_time: (n,) whether it was answered within the deadline.
        """
        weights, numbers = self.utility, np.arange(len(places))
        newest = np.maximum.accumulate(np.where(in_time, numbers, -1))
        age = np.minimum(numbers - newest, AGE_CAP)
        worth = np.where(in_time, self.accuracy[places], -weights.miss)
        worth = worth - weights.age * age / AGE_CAP
        decided = np.flatnonzero(places != UNDECIDED)
        worth[decided] -= self.price[places[decided]]
        worth[decided[1:]] -= self.step * np.abs(np.diff(places[decided]))
        return np.asarray(worth, np.float64)


def places_of(frames: pd.DataFrame, rungs: Sequence[Rung]) -> Ints:
    """Return the place on a ladder of each frame's point, (n,); `UNDECIDED` where it has none.

    Where rows do not tell codecs apart, the rung with the frame's payload is meant.

    Args:
        frames: Rows of `frames.parquet`.
        rungs: The ladder.

    Raises:
        ValueError: A point is not on the ladder.
    """
    keys = ["width", "bits", "mode"] + ["codec"] * ("codec" in frames)
    known: dict[tuple[object, ...], list[int]] = {}
    for place, rung in enumerate(rungs):
        point = rung.point
        key = (point.width, point.bits, point.mode.value, point.codec)
        known.setdefault(key[: len(keys)], []).append(place)
    places: Ints = np.full(len(frames), UNDECIDED, np.int64)
    decided = np.flatnonzero(frames["mode"].notna().to_numpy())
    rows = frames.iloc[decided]
    columns = [rows[key].tolist() for key in (*keys, "payload_bytes")]
    for at, (*wanted, payload) in zip(decided.tolist(), zip(*columns, strict=True), strict=True):
        found = known.get(tuple(wanted))
        if not found:
            raise ValueError(f"no point {wanted} on the ladder")
        fits = (place for place in found if rungs[place].payload_bytes == payload)
        places[at] = found[0] if len(found) == 1 else next(fits, found[0])
    return places


def in_time(frames: pd.DataFrame, deadline_ns: int) -> NDArray[np.bool_]:
    """Return which frames were answered within the deadline, (n,)."""
    answered = frames["answered_ns"]
    latency = answered.to_numpy(np.int64, na_value=0) - frames["captured_ns"].to_numpy(np.int64)
    return np.asarray(answered.notna().to_numpy() & (latency <= deadline_ns))


def total(frames: pd.DataFrame, rungs: Sequence[Rung], utility: Utility, deadline_ns: int) -> float:
    """Return the sum of the utility of all frames of one client, policy and seed.

    Args:
        frames: Their rows of `frames.parquet`, in any order.
        rungs: The client's ladder.
        utility: The weights.
        deadline_ns: From capture to answer.
    """
    ordered = frames.sort_values("frame")
    worth = Worth(rungs, utility)
    each = worth.of(places_of(ordered, rungs), in_time(ordered, deadline_ns))
    return math.fsum(each.tolist())


def mean_per_seed(
    frames: pd.DataFrame,
    ladders: Mapping[str, Sequence[Rung]],
    utility: Utility,
    deadline_ns: int,
) -> dict[tuple[str, int], float]:
    """Return (policy, seed) -> mean utility over the captured frames of all clients.

    Args:
        frames: The rows of `frames.parquet`, in any order.
        ladders: From client to its ladder; without one for each, nothing is returned.
        utility: The weights.
        deadline_ns: From capture to answer.
    """
    if not set(frames["client"].unique()) <= set(ladders):
        return {}
    sums: dict[tuple[str, int], tuple[float, int]] = {}
    for found, rows in frames.groupby(["policy", "seed", "client"], observed=True, sort=True):
        policy, seed, client = cast(tuple[str, int, str], found)
        value, count = sums.get((policy, int(seed)), (0.0, 0))
        value += total(rows, ladders[client], utility, deadline_ns)
        sums[policy, int(seed)] = value, count + len(rows)
    return {key: value / count for key, (value, count) in sums.items()}
