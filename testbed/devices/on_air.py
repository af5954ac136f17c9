"""What is on the air: transfers in order, and the stretches in which the same of them are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Transfer = tuple[int, int, float, float, float]
"""start_ns, end_ns, alpha · rate in W, beta in W of the dearer direction in use, cap in W"""

_TRANSFER = np.dtype(
    [("start_ns", "i8"), ("end_ns", "i8"), ("rate_w", "f8"), ("beta_w", "f8"), ("cap_w", "f8")]
)

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""start_ns, end_ns, power_w"""


class Rows:
    """Transfers in order, as columns.

    Attributes:
        reach: The latest end of a transfer and those before it.
        head: The first of the transfers that one is chained to by overlaps, often itself.
    """

    __slots__ = ("_rows", "_transfers", "end", "head", "reach", "start")

    def __init__(self, transfers: list[Transfer]) -> None:
        self._transfers = transfers
        self._rows = np.array(transfers, _TRANSFER)
        self.start = np.ascontiguousarray(self._rows["start_ns"])
        self.end = np.ascontiguousarray(self._rows["end_ns"])
        self.reach = np.maximum.accumulate(self.end)
        places = np.arange(len(transfers))
        apart = np.append(True, self.start[1:] >= self.reach[:-1])
        self.head = np.maximum.accumulate(np.where(apart, places, 0))

    def stretches(self, first: int, last: int) -> Columns:
        """Return start, end and power of every stretch in which the same transfers are on the air.

        From the transfers `first` to `last`, the end not included, which overlap no others.
        """
        heads, counts = np.unique(self.head[first:last], return_counts=True)
        more = counts > 2
        shared = [
            stretch
            for head, count in zip(heads[more].tolist(), counts[more].tolist(), strict=True)
            for stretch in _stretches(self._transfers[head : head + count])
        ]
        begins, ends, powers = zip(*shared, strict=True) if shared else ((), (), ())
        parts = [
            self._alone(self._rows[heads[counts == 1]]),
            *self._pairs(heads[counts == 2]),
            (np.array(begins, np.int64), np.array(ends, np.int64), np.array(powers, np.float64)),
        ]
        start, end, power_w = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((end, start))
        return start[order], end[order], power_w[order]

    def _alone(self, rows: NDArray[np.void]) -> Columns:
        power_w = np.minimum(rows["rate_w"] + rows["beta_w"], rows["cap_w"])
        return rows["start_ns"], rows["end_ns"], power_w

    def _pairs(self, first: NDArray[np.int64]) -> tuple[Columns, ...]:
        """Return what two transfers that overlap make: the first alone, both, the longer alone."""
        one, two = self._rows[first], self._rows[first + 1]
        begin, end, alone_w = self._alone(one)
        begin_two, end_two, alone_two_w = self._alone(two)
        edge, last = np.minimum(end, end_two), np.maximum(end, end_two)
        base_w = np.maximum(one["beta_w"], two["beta_w"])
        both_w = np.minimum(
            one["rate_w"] + two["rate_w"] + base_w, np.maximum(one["cap_w"], two["cap_w"])
        )
        return (
            (begin, begin_two, alone_w),
            (begin_two, edge, both_w),
            (edge, last, np.where(end_two > end, alone_two_w, alone_w)),
        )


def _stretches(transfers: list[Transfer]) -> list[tuple[int, int, float]]:
    """Cut transfers that overlap, in order of their start, wherever one begins or ends."""
    found: list[tuple[int, int, float]] = []
    active: list[Transfer] = []
    taken, count, now = 0, len(transfers), transfers[0][0]
    while active or taken < count:
        while taken < count and transfers[taken][0] <= now:
            active.append(transfers[taken])
            taken += 1
        edge = min([transfer[1] for transfer in active])
        if taken < count and transfers[taken][0] < edge:
            edge = transfers[taken][0]
        if edge > now:
            found.append((now, edge, power_of(active)))
        active = [transfer for transfer in active if transfer[1] > edge]
        now = edge
    return found


def power_of(transfers: list[Transfer]) -> float:
    """Power of transfers that share the air: their rate terms, the largest base, one cap."""
    rate_w = base_w = most_w = 0.0
    for _, _, its_rate_w, beta_w, cap_w in transfers:
        rate_w += its_rate_w
        if beta_w > base_w:
            base_w = beta_w
        if cap_w > most_w:
            most_w = cap_w
    power_w = rate_w + base_w
    return power_w if power_w < most_w else most_w
