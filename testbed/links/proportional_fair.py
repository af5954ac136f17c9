"""A cell whose clients have channels of their own and share the time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from testbed.links.capacity import Capacity
from testbed.links.cell import SharedCell


class ProportionalFair(SharedCell):
    """Each of n busy clients gets 1/n of the time, at the rate of its own channel.

    Proportional fairness maximises the sum of the logarithms of the rates, which gives everybody
    the same time whatever the channels (F. Kelly, "Charging and rate control for elastic traffic",
    1997). A scheduler that also waits for good instants of each channel gains on top of that; this
    gain of opportunism is not modelled.

    Args:
        capacities: What the cell would offer to each client alone.
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
    """

    def __init__(self, capacities: Mapping[str, Capacity], queue_bytes: int | None = None) -> None:
        super().__init__(queue_bytes)
        self._capacities = capacities
        self._needs: dict[str, Fraction] = {}  # units left of the head of each busy client
        self._marks: dict[str, int] = {}  # how far along its own curve each has been served
        self._carry: tuple[str, int] | None = None  # who has just finished, and its mark

    def _begin(self, now_ns: int, client: str, size_bytes: int) -> None:
        capacity = self._capacities[client]
        self._needs[client] = Fraction(size_bytes * capacity.units_per_byte)
        if self._carry is not None and self._carry[0] == client:
            self._marks[client] = self._carry[1]  # goes on in the opportunity just used in part
        else:
            self._marks[client] = capacity.offered(now_ns)

    def _reach(self, client: str) -> int:
        """Return how far along its curve a client's head will be done."""
        return self._marks[client] + max(1, math.ceil(self._needs[client] * len(self._needs)))

    def _leaves_ns(self, client: str) -> int:
        return self._capacities[client].when(self._reach(client))

    def _upcoming(self) -> tuple[str, int] | None:
        if not self._needs:
            return None
        client = min(self._needs, key=self._leaves_ns)
        return client, self._leaves_ns(client)

    def _finish(self, now_ns: int, client: str) -> None:
        reach = self._reach(client)
        self._serve(now_ns)
        self._carry = (client, reach)
        del self._needs[client], self._marks[client]

    def _serve(self, now_ns: int) -> None:
        self._carry = None
        busy = len(self._needs)
        for client in self._needs:
            units = self._capacities[client].offered(now_ns)
            served = Fraction(units - self._marks[client], busy)
            self._needs[client] = max(Fraction(0), self._needs[client] - served)
            self._marks[client] = units

    def _head_bytes(self, client: str) -> int:
        return math.ceil(self._needs[client] / self._capacities[client].units_per_byte)
