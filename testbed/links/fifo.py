"""One queue in front of one capacity curve: the link both engines use."""

from __future__ import annotations

from testbed.links.capacity import Capacity


class FifoLink:
    """First in, first out, in virtual time: a release time is computed when something arrives.

    Its only state is how far along the capacity curve the queue reaches. It implements
    `testbed.model.LinkModel`.

    Args:
        capacity: What the channel offers.
        delay_ns: Propagation delay, added after the link by whoever asks; never busy time.
        queue_bytes: Drop-tail limit on what waits; None for an unlimited queue.
    """

    __slots__ = (
        "_reach",
        "capacity",
        "delay_ns",
        "dropped_bytes",
        "free_ns",
        "offered_bytes",
        "queue_bytes",
    )

    def __init__(
        self, capacity: Capacity, delay_ns: int = 0, queue_bytes: int | None = None
    ) -> None:
        self.capacity = capacity
        self.delay_ns = delay_ns
        self.queue_bytes = queue_bytes
        self.offered_bytes = 0  # of all that arrived
        self.dropped_bytes = 0  # of what the queue refused
        self.free_ns = 0  # when the last byte accepted so far leaves
        self._reach = 0  # units of the curve up to which everything is spoken for

    @property
    def may_drop(self) -> bool:
        """Whether the queue has a limit."""
        return self.queue_bytes is not None

    def send(self, arrival_ns: int, size_bytes: int) -> int | None:
        """Return when the last byte leaves the link, or None if the queue has no room for it."""
        self.offered_bytes += size_bytes
        capacity = self.capacity
        passed = capacity.offered(arrival_ns)
        reach = self._reach
        if reach <= passed:
            reach = passed  # idle: what was offered until now is lost
            waiting = 0
        else:
            waiting = -((passed - reach) // capacity.units_per_byte)
        if self.queue_bytes is not None and waiting + size_bytes > self.queue_bytes:
            self.dropped_bytes += size_bytes
            return None
        self._reach = reach = reach + size_bytes * capacity.units_per_byte
        self.free_ns = release_ns = capacity.when(reach)
        return release_ns

    @property
    def reach(self) -> int:
        """Units of the capacity curve up to which everything is spoken for."""
        return self._reach

    def left_ns(self, reach: int, behind_bytes: int) -> int:
        """Return when a byte left that had `behind_bytes` after it in what was sent at once.

        Args:
            reach: Of the link right after that was sent.
            behind_bytes: From that byte to the end.
        """
        return self.capacity.when(reach - behind_bytes * self.capacity.units_per_byte)

    def arrive(self, release_ns: int) -> int | None:
        """Return when what left at `release_ns` arrives: one propagation delay later."""
        return release_ns + self.delay_ns

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes accepted and not yet released at `now_ns`, a part of a byte as one."""
        if now_ns >= self.free_ns:
            return 0
        behind = self._reach - self.capacity.offered(now_ns)
        return -(-behind // self.capacity.units_per_byte) if behind > 0 else 0
