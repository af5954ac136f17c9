"""A cell: a capacity shared by several clients at once.

Who gets how much changes when a client falls idle or wakes up, and only then is anything
recomputed. Within a client first in, first out. This module has what all disciplines share, and
processor sharing; round robin and proportional fair are next door.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from testbed.links.capacity import Capacity

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Departure:
    """A payload that has left the cell."""

    client: str
    token: Any
    start_ns: int
    sent_ns: int


@dataclass(slots=True)
class _Payload:
    size_bytes: int
    token: Any
    start_ns: int = 0


class SharedCell(ABC):
    """Several queues, one for each client, that share what a cell offers.

    The owner calls `join` when a payload arrives, asks `next_ns` when the next one will leave, and
    calls `depart` then. Every `join` may change the answer.

    Args:
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
    """

    def __init__(self, queue_bytes: int | None = None) -> None:
        self.queue_bytes = queue_bytes
        self.offered_bytes = 0
        self.dropped_bytes = 0
        self.departed_bytes = 0
        self._queues: dict[str, deque[_Payload]] = {}
        self._left: deque[Departure] = deque()  # not yet reported by `depart`

    def join(self, now_ns: int, client: str, size_bytes: int, token: Any = None) -> bool:
        """Queue a payload. Return False if the client's queue has no room for it."""
        self.offered_bytes += size_bytes
        limit = self.queue_bytes
        if limit is not None and self.backlog_bytes(now_ns, client) + size_bytes > limit:
            self.dropped_bytes += size_bytes
            return False
        self._serve_until(now_ns)
        queue = self._queues.setdefault(client, deque())
        queue.append(_Payload(size_bytes, token))
        if len(queue) == 1:
            queue[0].start_ns = now_ns
            self._begin(now_ns, client, size_bytes)
        return True

    def next_ns(self) -> int | None:
        """Return when the next payload leaves if nothing else arrives; None if all is quiet."""
        if self._left:
            return self._left[0].sent_ns
        upcoming = self._upcoming()
        return None if upcoming is None else upcoming[1]

    def depart(self, now_ns: int) -> Departure:
        """Return the payload that leaves at `now_ns`, which must be what `next_ns` returned."""
        if not self._left:
            self._serve_until(now_ns)
        departure = self._left.popleft()
        assert departure.sent_ns == now_ns
        return departure

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes of a client that have not left yet, a part of a byte as one."""
        self._serve_until(now_ns)
        queue = self._queues.get(client)
        if not queue:
            return 0
        waiting = sum(payload.size_bytes for payload in queue) - queue[0].size_bytes
        return waiting + self._head_bytes(client)

    def _serve_until(self, now_ns: int) -> None:
        """Share out everything offered until now, departures on the way included."""
        while (upcoming := self._upcoming()) is not None and upcoming[1] <= now_ns:
            client, sent_ns = upcoming
            self._finish(sent_ns, client)
            queue = self._queues[client]
            payload = queue.popleft()
            self.departed_bytes += payload.size_bytes
            self._left.append(Departure(client, payload.token, payload.start_ns, sent_ns))
            if queue:
                queue[0].start_ns = sent_ns
                self._begin(sent_ns, client, queue[0].size_bytes)
        self._serve(now_ns)

    @abstractmethod
    def _begin(self, now_ns: int, client: str, size_bytes: int) -> None:
        """Start serving the head of a client's queue."""

    @abstractmethod
    def _upcoming(self) -> tuple[str, int] | None:
        """Return whose head leaves next, and when, if nothing else arrives."""

    @abstractmethod
    def _finish(self, now_ns: int, client: str) -> None:
        """Serve until the head of a client, the next to leave, is gone."""

    @abstractmethod
    def _serve(self, now_ns: int) -> None:
        """Serve until now; nothing leaves before."""

    @abstractmethod
    def _head_bytes(self, client: str) -> int:
        """Return what is left of the head of a client's queue, a part of a byte as one."""


class ProcessorSharing(SharedCell):
    """All that have something to send share what is offered equally, at every instant.

    The classic device is virtual time, the amount every busy client has received so far: with n
    busy clients it grows by du/n while the curve offers du, and a payload that becomes the head of
    its queue at V leaves at V + its size (Parekh and Gallager, "A generalized processor sharing
    approach to flow control in integrated services networks", IEEE/ACM ToN 1993). It is kept as a
    fraction, so that it does not matter how often somebody looks; a departure is rounded up to a
    whole unit, so that the sum of the shares never exceeds what was offered.

    Args:
        capacity: What the cell offers to all together.
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
        efficiency: Millionths of the capacity that are left when a number of clients contend.
    """

    def __init__(
        self,
        capacity: Capacity,
        queue_bytes: int | None = None,
        efficiency: Callable[[int], int] | None = None,
    ) -> None:
        super().__init__(queue_bytes)
        self.capacity = capacity
        self._efficiency = efficiency
        self._leaves_at: dict[str, Fraction] = {}  # virtual time, of each busy client's head
        self._virtual = Fraction(0)
        self._units = 0  # of the curve, accounted for in `_virtual`

    def _begin(self, now_ns: int, client: str, size_bytes: int) -> None:
        self._leaves_at[client] = self._virtual + size_bytes * self.capacity.units_per_byte

    def _upcoming(self) -> tuple[str, int] | None:
        if not self._leaves_at:
            return None
        # Of several that leave together, the one that has been served the longest.
        client, virtual = min(self._leaves_at.items(), key=lambda item: item[1])
        return client, self.capacity.when(self._units_at(virtual))

    def _finish(self, now_ns: int, client: str) -> None:
        virtual = self._leaves_at[client]
        self._units = self._units_at(virtual)
        self._virtual = virtual
        del self._leaves_at[client]

    def _serve(self, now_ns: int) -> None:
        units = self.capacity.offered(now_ns)
        if units > self._units:
            busy = len(self._leaves_at)
            if busy:
                self._virtual += (units - self._units) * self._share(busy)
            self._units = units

    def _head_bytes(self, client: str) -> int:
        left = self._leaves_at[client] - self._virtual
        return math.ceil(left / self.capacity.units_per_byte)

    def _units_at(self, virtual: Fraction) -> int:
        """Return how far along the curve virtual time reaches `virtual`."""
        return self._units + math.ceil(
            (virtual - self._virtual) / self._share(len(self._leaves_at))
        )

    def _share(self, busy: int) -> Fraction:
        """Return what each of some busy clients gets of a unit."""
        if self._efficiency is None:
            return Fraction(1, busy)
        return Fraction(self._efficiency(busy), MILLION * busy)
