"""Two metrics at once: which policies no other beats in both, and how much a set covers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypedDict

from testbed.errors import TestbedError, UnknownName
from testbed.metrics import CONFIDENCE, METRICS, Figures
from testbed.streams import stream

Point = tuple[float, float]
"""What is better high, such as mAP, and what is better low, such as joules."""

RESAMPLES = 1999


class Coverage(TypedDict):
    """How much of the room between the best and the worst of two metrics a policy covers.

    `points` is how many different figures its settings gave, `on_front` how many of them nothing
    else beats; `hypervolume` is the share of the room that its points dominate, `low` and `high`
    its bootstrap interval over units (None for fewer than three), of which there are `n`.
    """

    policy: str
    points: int
    on_front: int
    hypervolume: float
    low: float | None
    high: float | None
    n: int


def front(points: Mapping[str, Point]) -> list[str]:
    """Return the names that no other point beats: as good in both, and better in one.

    In the order of what is better low; of equal points the first name.
    """
    chosen: list[str] = []
    best = float("-inf")
    for name in sorted(points, key=lambda n: (points[n][1], -points[n][0], n)):
        if points[name][0] > best:
            best = points[name][0]
            chosen.append(name)
    return chosen


def hypervolume(points: Iterable[Point], reference: Point) -> float:
    """Return the area that points dominate, up to a reference that is worse in both.

    Points that are not better than the reference in both add nothing. Sweeping a policy's weights
    and taking the area says more than any one weight, which could be picked to please.
    """
    least, most = reference
    inside = sorted((cost, gain) for gain, cost in points if gain > least and cost < most)
    area, reached = 0.0, least
    for cost, gain in inside:
        if gain > reached:
            area += (gain - reached) * (most - cost)
            reached = gain
    return area


def points_of(
    settings: Mapping[str, Mapping[str, Figures]], gain: str, cost: str
) -> dict[tuple[str, str], dict[str, Point]]:
    """Return (setting, policy) -> unit -> its two figures, each better the higher and the lower.

    A unit is what can be drawn anew: a world (a trace, with all else the same) if there are
    several, its seeds averaged, else a seed.

    Args:
        settings: From a setting of the weights to world to the figures of the run.
        gain: A metric that is better high.
        cost: A metric that is better low.

    Raises:
        UnknownName: No such metric.
        TestbedError: A metric is better the other way, or a figure is not finite.
    """
    for metric, better in ((gain, "higher"), (cost, "lower")):
        if metric not in METRICS:
            raise UnknownName("metric", metric, METRICS)
        if METRICS[metric].better != better:
            raise TestbedError(f"metric '{metric}' is not better {better}")
    several = len({world for worlds in settings.values() for world in worlds}) > 1
    out: dict[tuple[str, str], dict[str, Point]] = {}
    for setting, worlds in settings.items():
        for world, figures in worlds.items():
            for policy, seeds in figures.items():
                pairs = {str(seed): (f[gain], f[cost]) for seed, f in seeds.items()}
                if not all(math.isfinite(value) for pair in pairs.values() for value in pair):
                    raise TestbedError(f"{policy} has no finite {gain} and {cost} on every seed")
                found = {world: _middle(pairs.values())} if several else pairs
                out.setdefault((setting, policy), {}).update(found)
    return out


def coverage(
    points: Mapping[tuple[str, str], Mapping[str, Point]], *, confidence: float = CONFIDENCE
) -> list[Coverage]:
    """Return how much of the common room each policy covers, most first.

    The room is that between the best and the worst figures of all points; its worst corner is the
    reference, so that the area is a share between 0 and 1. Resampled units are the same for all
    policies. Units that a point lacks are left out for all.

    Args:
        points: From `points_of`.
        confidence: Of the intervals.
    """
    import numpy as np

    units = sorted(set.intersection(*(set(found) for found in points.values())))
    if not units:
        raise TestbedError("the runs have no seed and no world in common, so none can be compared")
    table = np.array([[found[unit] for unit in units] for found in points.values()])
    names = [policy for _, policy in points]
    whole = table.mean(axis=1)
    areas = _areas(names, whole)
    pairs = [(float(high), float(low)) for high, low in whole]
    chosen = front({str(i): pair for i, pair in enumerate(pairs)})
    n = len(units)
    drawn: dict[str, list[float]] = {policy: [] for policy in areas}
    if n > 2:
        picks = stream(0, "compare", "fronts").integers(n, size=(RESAMPLES, n))
        for pick in picks:
            for policy, area in _areas(names, table[:, pick].mean(axis=1)).items():
                drawn[policy].append(area)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    rows: list[Coverage] = []
    for policy, area in areas.items():
        low, high = np.quantile(drawn[policy], tails).tolist() if n > 2 else (None, None)
        rows.append(
            {
                "policy": policy,
                "points": len(
                    {pair for name, pair in zip(names, pairs, strict=True) if name == policy}
                ),
                "on_front": sum(names[int(i)] == policy for i in chosen),
                "hypervolume": area,
                "low": low,
                "high": high,
                "n": n,
            }
        )
    return sorted(rows, key=lambda row: (-row["hypervolume"], row["policy"]))


def _areas(names: list[str], table: Iterable[Iterable[float]]) -> dict[str, float]:
    """Return policy -> the share of the room that its points dominate."""
    pairs: list[Point] = [(float(gain), float(cost)) for gain, cost in table]
    gains, costs = zip(*pairs, strict=True)
    reference = min(gains), max(costs)
    room = (max(gains) - reference[0]) * (reference[1] - min(costs))
    own: dict[str, list[Point]] = {}
    for name, pair in zip(names, pairs, strict=True):
        own.setdefault(name, []).append(pair)
    return {p: hypervolume(found, reference) / room if room else 0.0 for p, found in own.items()}


def _middle(pairs: Iterable[Point]) -> Point:
    gains, costs = zip(*pairs, strict=True)
    return math.fsum(gains) / len(gains), math.fsum(costs) / len(costs)
