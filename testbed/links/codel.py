"""CoDel: a queue that drops when packets have waited too long for too long (RFC 8289)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from testbed.links.link import Link, Medium
from testbed.model import NS_PER_MS
from testbed.parts import Nested

if TYPE_CHECKING:
    import numpy as np

_PACKET_BYTES = 1500
_RESUME_INTERVALS = 16


class Codel:
    """The state machine of RFC 8289, section 5.

    The queue here is a computed one: the fate of a packet is decided when it arrives, from the
    instant at which it will leave the queue, which is known then because everything before it is.
    One thing is not: what will stand behind it by then. The test for a queue of one packet is
    therefore made with what stands before it.

    Args:
        target_ns: Waiting time that is acceptable.
        interval_ns: For how long it may be exceeded; of the order of a round trip.
    """

    def __init__(self, target_ns: int, interval_ns: int) -> None:
        self._target_ns = target_ns
        self._interval_ns = interval_ns
        self._above_ns: int | None = None  # when the waiting time will have been too long for long
        self._dropping = False
        self._next_ns = 0
        self._count = self._last_count = 0
        self._has_dropped = False  # the packet before this one, while dropping

    def drops(self, arrival_ns: int, dequeue_ns: int, waiting_bytes: int) -> bool:
        """Say whether a packet is dropped when its turn comes.

        Args:
            arrival_ns: When it joins the queue.
            dequeue_ns: When the last one before it will have left.
            waiting_bytes: What stands before it.
        """
        too_long = self._too_long(arrival_ns, dequeue_ns, waiting_bytes)
        if self._dropping:
            if not too_long:
                self._dropping = self._has_dropped = False
                return False
            if self._has_dropped:
                self._next_ns = self._law(self._next_ns)
                self._has_dropped = False
            if dequeue_ns < self._next_ns:
                return False
            self._count += 1
            self._has_dropped = True
            return True
        if not too_long:
            return False
        self._dropping = True
        grown = self._count - self._last_count
        recent = dequeue_ns - self._next_ns < _RESUME_INTERVALS * self._interval_ns
        self._count = grown if grown > 1 and recent else 1
        self._next_ns = self._law(dequeue_ns)
        self._last_count = self._count
        return True

    def _too_long(self, arrival_ns: int, dequeue_ns: int, waiting_bytes: int) -> bool:
        if dequeue_ns - arrival_ns < self._target_ns or waiting_bytes <= _PACKET_BYTES:
            self._above_ns = None
            return False
        if self._above_ns is None:
            self._above_ns = dequeue_ns + self._interval_ns
            return False
        return dequeue_ns >= self._above_ns

    def _law(self, from_ns: int) -> int:
        """Return when to drop next: the interval over the root of the count."""
        return from_ns + (self._interval_ns << 16) // isqrt(self._count << 32)


@dataclass(frozen=True)
class CodelQueue(Link):
    """A link whose queue is managed by CoDel."""

    link: Annotated[Any, Nested("link"), Field(description="The link behind the queue.")]
    target_ms: Annotated[float, Field(gt=0, description="Waiting time that is acceptable, ms.")] = (
        5.0
    )
    interval_ms: Annotated[
        float, Field(gt=0, description="For how long it may be exceeded, ms; about a round trip.")
    ] = 100.0

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with a managed queue."""
        queue = Codel(round(self.target_ms * NS_PER_MS), round(self.interval_ms * NS_PER_MS))
        medium: Medium = self.link.medium(rng)
        return replace(medium, queue=queue)
