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
    token: object
    start_ns: int
    sent_ns: int


class SharedCell:
    """Processor sharing between clients over one capacity curve.

    The owner calls `join` when a payload arrives, asks `next_ns` when the next one will leave, and
    calls `depart` at that instant. Every `join` may change the answer.

    Args:
        capacity: What the cell offers to all together.
        delay_ns: Propagation delay, added by whoever asks.
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
    """

    def __init__(
        self, capacity: Capacity, delay_ns: int = 0, queue_bytes: int | None = None
    ) -> None:
        self.capacity = capacity
        self.delay_ns = delay_ns
        self.queue_bytes = queue_bytes
        self.offered_bytes = 0
        self.dropped_bytes = 0
        self.departed_bytes = 0
        self._queues: dict[str, deque[_Payload]] = {}
        self._heads: dict[str, _Payload] = {}  # of the busy clients
        self._virtual = 0
        self._units = 0  # of the curve, accounted for in `_virtual`

    def join(self, now_ns: int, client: str, size_bytes: int, token: object = None) -> bool:
        """Queue a payload. Return False if the client's queue has no room for it."""
        self.offered_bytes += size_bytes
        self._advance(self.capacity.offered(now_ns))
        queue = self._queues.setdefault(client, deque())
        limit = self.queue_bytes
        if limit is not None and self.backlog_bytes(now_ns, client) + size_bytes > limit:
            self.dropped_bytes += size_bytes
            return False
        queue.append(_Payload(size_bytes, token))
        if len(queue) == 1:
            self._promote(now_ns, client)
        return True

    def next_ns(self) -> int | None:
        """Return when the next payload leaves if nothing else arrives; None if all is quiet."""
        if not self._heads:
            return None
        return self.capacity.when(self._units_at(self._earliest()[1].leaves_at))

    def depart(self, now_ns: int) -> Departure:
        """Take out the payload that leaves at `now_ns`, which must be what `next_ns` returned."""
        client, head = self._earliest()
        self._advance(self._units_at(head.leaves_at))
        queue = self._queues[client]
        queue.popleft()
        del self._heads[client]
        if queue:
            self._promote(now_ns, client)
        self.departed_bytes += head.size_bytes
        return Departure(client, head.token, head.start_ns, now_ns)

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes of a client that have not left yet, a part of a byte as one."""
        self._advance(self.capacity.offered(now_ns))
        queue = self._queues.get(client)
        if not queue:
            return 0
        waiting = sum(payload.size_bytes for payload in queue) - queue[0].size_bytes
        left = max(0, queue[0].leaves_at - self._virtual)
        return waiting - (-left // (_SCALE * self.capacity.units_per_byte))

    def _promote(self, now_ns: int, client: str) -> None:
        head = self._queues[client][0]
        head.start_ns = now_ns
        head.leaves_at = self._virtual + head.size_bytes * self.capacity.units_per_byte * _SCALE
        self._heads[client] = head

    def _earliest(self) -> tuple[str, _Payload]:
        # Of several that leave together, the client that became busy first.
        return min(self._heads.items(), key=lambda item: item[1].leaves_at)

    def _units_at(self, virtual: int) -> int:
        """Return how far along the curve virtual time reaches `virtual`."""
        ahead = max(0, virtual - self._virtual)
        return self._units - (-ahead * len(self._heads) // _SCALE)

    def _advance(self, units: int) -> None:
        if units > self._units:
            if self._heads:
                self._virtual += (units - self._units) * _SCALE // len(self._heads)
            self._units = units
