"""A cell: one capacity curve shared by several clients at once.

Processor sharing: the clients that have something to send share what is offered equally, at every
instant. Within a client first in, first out. Shares change when a client falls idle or wakes up,
and only then is anything recomputed.

The classic device is virtual time, the amount every busy client has received so far: with n busy
clients it grows by du/n while the curve offers du, and a payload that becomes the head of its
queue at V leaves at V + its size (Parekh and Gallager, "A generalized processor sharing approach
to flow control in integrated services networks", IEEE/ACM ToN 1993). It is kept as a whole number
of 2⁻³² units and rounded so that the sum of the shares never exceeds what was offered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from testbed.links.capacity import Capacity

_SCALE = 1 << 32


@dataclass(slots=True)
class _Payload:
    size_bytes: int
    token: object
    start_ns: int = 0
    leaves_at: int = 0  # virtual time


@dataclass(frozen=True, slots=True)
class Departure:
    """A payload that has left the cell."""

    client: str
    token: Any
    start_ns: int
    sent_ns: int


class SharedCell:
    """Processor sharing between clients over one capacity curve.

    The owner calls `join` when a payload arrives, asks `next_ns` when the next one will leave, and
    calls `depart` then. Every `join` may change the answer.

    Args:
        capacity: What the cell offers to all together.
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
    """

    def __init__(self, capacity: Capacity, queue_bytes: int | None = None) -> None:
        self.capacity = capacity
        self.queue_bytes = queue_bytes
        self.offered_bytes = 0
        self.dropped_bytes = 0
        self.departed_bytes = 0
        self._queues: dict[str, deque[_Payload]] = {}
        self._heads: dict[str, _Payload] = {}  # of the busy clients
        self._left: deque[Departure] = deque()  # not yet reported by `depart`
        self._virtual = 0
        self._units = 0  # of the curve, accounted for in `_virtual`

    def join(self, now_ns: int, client: str, size_bytes: int, token: object = None) -> bool:
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
            self._promote(now_ns, client)
        return True

    def next_ns(self) -> int | None:
        """Return when the next payload leaves if nothing else arrives; None if all is quiet."""
        if self._left:
            return self._left[0].sent_ns
        if not self._heads:
            return None
        return self.capacity.when(self._units_at(self._earliest()[1].leaves_at))

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
        left = queue[0].leaves_at - self._virtual
        return waiting - (-left // (_SCALE * self.capacity.units_per_byte))

    def _serve_until(self, now_ns: int) -> None:
        """Share out everything offered until now, departures on the way included."""
        units = self.capacity.offered(now_ns)
        while self._heads:
            client, head = self._earliest()
            end = self._units_at(head.leaves_at)
            if end > units:
                self._virtual += (units - self._units) * _SCALE // len(self._heads)
                break
            self._virtual, self._units = head.leaves_at, end
            sent_ns = self.capacity.when(end)
            self._left.append(Departure(client, head.token, head.start_ns, sent_ns))
            self.departed_bytes += head.size_bytes
            queue = self._queues[client]
            queue.popleft()
            del self._heads[client]
            if queue:
                self._promote(sent_ns, client)
        self._units = max(self._units, units)

    def _promote(self, now_ns: int, client: str) -> None:
        head = self._queues[client][0]
        head.start_ns = now_ns
        head.leaves_at = self._virtual + head.size_bytes * self.capacity.units_per_byte * _SCALE
        self._heads[client] = head

    def _earliest(self) -> tuple[str, _Payload]:
        # Of several that leave together, the one that has been served the longest.
        return min(self._heads.items(), key=lambda item: item[1].leaves_at)

    def _units_at(self, virtual: int) -> int:
        """Return how far along the curve virtual time reaches `virtual`."""
        return self._units - ((self._virtual - virtual) * len(self._heads) // _SCALE)
