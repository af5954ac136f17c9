"""Two metrics at once: which policies no other beats in both, and how much a set covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Point = tuple[float, float]
"""What is better high, such as mAP, and what is better low, such as joules."""


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
