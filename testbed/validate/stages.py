"""The arithmetic of a validation: two tables of frames in, an error per stage out.

The emulated run is what is true; an error is simulated − emulated, so that a positive one is a
simulator that is too slow. Relative errors are shares of the emulated time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from testbed.metrics import percentile
from testbed.model import NS_PER_MS

if TYPE_CHECKING:
    import pandas as pd

STAGES: dict[str, tuple[str, str]] = {
    "queue": ("captured_ns", "encode_start_ns"),
    "encode": ("encode_start_ns", "encode_end_ns"),
    "uplink_wait": ("encode_end_ns", "send_start_ns"),
    "transfer": ("send_start_ns", "arrived_ns"),
    "uplink": ("encode_end_ns", "arrived_ns"),
    "server_wait": ("arrived_ns", "batch_start_ns"),
    "decode": ("batch_start_ns", "decoded_ns"),
    "downlink": ("decoded_ns", "answered_ns"),
    "total": ("captured_ns", "answered_ns"),
}
"""Stage -> the two instants it lies between. `uplink` is waiting and transfer together: what an
application measures between handing a payload over and its last byte at the server."""

QUANTILES = (50, 90, 95, 99)

LEAST_NS = NS_PER_MS
"""A stage shorter than this when emulated has no relative error: it is the machine's noise."""

SAME_START_NS = 5 * NS_PER_MS
"""Payloads handed over within this of each other meet the same channel, as far as it is one."""

Key = tuple[str, int, str, int]
"""Policy, seed, client, number of the frame."""


@dataclass(frozen=True)
class Spread:
    """Mean and quantiles of one stage in one engine, ms; None where no frame completed it.

    Args:
        n: Frames that completed the stage.
        mean: Of them.
        p50: A quantile is an observed value (`testbed.metrics.percentile`).
        p90: As well.
        p95: As well.
        p99: As well.
    """

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class PerFrame:
    """Errors of the frames that both engines took through a stage under the same circumstances.

    Args:
        n: How many frames that are.
        bias_ms: Mean of simulated − emulated.
        median_ms: Median of its size.
        p95_ms: 95th percentile of its size.
        median_percent: The same as a share of the emulated time; None if the stage is too short.
        p95_percent: As well.
    """

    n: int
    bias_ms: float
    median_ms: float
    p95_ms: float
    median_percent: float | None
    p95_percent: float | None


@dataclass(frozen=True)
class Stage:
    """One stage in both engines.

    Args:
        name: Of `STAGES`.
        simulated: In the simulator.
        emulated: Over the kernel's network.
        error_percent: (simulated − emulated) / emulated of the mean and each quantile, by name.
        per_frame: Where frames can be compared one by one; None where too few can.
        ks: Largest distance between the two cumulative distributions, in [0, 1].
    """

    name: str
    simulated: Spread
    emulated: Spread
    error_percent: dict[str, float | None]
    per_frame: PerFrame | None
    ks: float | None


def matched(simulated: pd.DataFrame, emulated: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames that met the same circumstances in both engines, row by row the same.

    The same frame of the same client under the same policy and seed, at the same operating point,
    with the same fate, handed over within `SAME_START_NS` where it was handed over at all.
    """
    key = ["policy", "seed", "client", "frame"]
    left = simulated.astype({"policy": str, "client": str}).set_index(key).sort_index()
    right = emulated.astype({"policy": str, "client": str}).set_index(key).sort_index()
    both = left.index.intersection(right.index)
    left, right = left.loc[both], right.loc[both]
    same = np.ones(len(both), bool)
    for column in ("width", "bits", "mode", "fate"):
        one, other = left[column].to_numpy(object), right[column].to_numpy(object)
        same &= np.array([a == b or (a != a and b != b) for a, b in zip(one, other, strict=True)])
    starts = [_instants(frames, "encode_end_ns") for frames in (left, right)]
    missing = [np.isnan(start) for start in starts]
    near = np.abs(starts[0] - starts[1]) <= SAME_START_NS
    same &= near | (missing[0] & missing[1])
    return left[same], right[same]


def stages(simulated: pd.DataFrame, emulated: pd.DataFrame) -> list[Stage]:
    """Return every stage of `STAGES`, from the frames of a run of each engine."""
    pairs = matched(simulated, emulated)
    return [
        _stage(name, *(durations_ns(frames, name) for frames in (simulated, emulated, *pairs)))
        for name in STAGES
    ]


def ks_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return the largest distance between two empirical distributions; None without values.

    The two-sample statistic of Kolmogorov and Smirnov, without any test.
    """
    if not len(one) or not len(other):
        return None
    values = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(part), values, "right") / len(part) for part in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def _stage(
    name: str,
    simulated: NDArray[np.float64],
    emulated: NDArray[np.float64],
    paired: NDArray[np.float64],
    partner: NDArray[np.float64],
) -> Stage:
    complete = ~(np.isnan(simulated)), ~(np.isnan(emulated))
    left, right = simulated[complete[0]], emulated[complete[1]]
    spreads = _spread(left), _spread(right)
    errors = {
        key: _relative(getattr(spreads[0], key), getattr(spreads[1], key))
        for key in ("mean", *(f"p{q}" for q in QUANTILES))
    }
    return Stage(name, *spreads, errors, _per_frame(paired, partner), ks_distance(left, right))


def _per_frame(simulated: NDArray[np.float64], emulated: NDArray[np.float64]) -> PerFrame | None:
    complete = ~(np.isnan(simulated) | np.isnan(emulated))
    simulated, emulated = simulated[complete], emulated[complete]
    if not len(simulated):
        return None
    error = simulated - emulated
    size = np.sort(np.abs(error))
    median_percent = p95_percent = None
    if np.median(emulated) >= LEAST_NS:
        with np.errstate(divide="ignore"):
            share = np.sort(100 * np.abs(error) / emulated)
        median_percent, p95_percent = _quantile(share, 50), _quantile(share, 95)
    return PerFrame(
        len(error),
        float(error.mean()) / NS_PER_MS,
        _quantile(size, 50) / NS_PER_MS,
        _quantile(size, 95) / NS_PER_MS,
        median_percent,
        p95_percent,
    )


def _spread(durations: NDArray[np.float64]) -> Spread:
    if not len(durations):
        return Spread(0, None, None, None, None, None)
    ordered = np.sort(durations)
    quantiles = [_quantile(ordered, q) / NS_PER_MS for q in QUANTILES]
    return Spread(len(ordered), float(ordered.mean()) / NS_PER_MS, *quantiles)


def _quantile(ordered: NDArray[np.float64], q: int) -> float:
    """Return an observed value, as `testbed.metrics.percentile` does."""
    return float(ordered[percentile(np.arange(len(ordered)), q)])


def _relative(simulated: float | None, emulated: float | None) -> float | None:
    if simulated is None or emulated is None or emulated * NS_PER_MS < LEAST_NS:
        return None
    return 100 * (simulated - emulated) / emulated


def durations_ns(frames: pd.DataFrame, stage: str) -> NDArray[np.float64]:
    """Return how long a stage took, ns, of every frame; NaN where one did not get through it."""
    start, end = STAGES[stage]
    return _instants(frames, end) - _instants(frames, start)


def _instants(frames: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return instants as floats, NaN where missing; below 2⁵³ ns, 104 days, every one is exact."""
    values: NDArray[np.float64] = frames[name].to_numpy(np.float64, na_value=np.nan)
    return values
