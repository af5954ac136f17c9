"""What a link part is: a frozen dataclass that can be opened, any number of times.

Most links are a capacity curve with something around it. Such a part says what in `medium`, and a
part that holds another one adds its own effect to what the inner one says. A link that is no curve
overrides `open` and returns a `testbed.model.LinkModel` of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from testbed.links.capacity import Capacity
from testbed.links.fifo import FifoLink

if TYPE_CHECKING:
    import numpy as np


class Wake(Protocol):
    """How long a link that has been silent takes to carry something again."""

    def __call__(self, silence_ns: int) -> int:
        """Return the time after a silence, ns."""


class ManagedQueue(Protocol):
    """A queue that drops of its own accord; asked once per packet, in order."""

    def drops(self, arrival_ns: int, dequeue_ns: int, waiting_bytes: int) -> bool:
        """Say whether a packet is dropped that waits from arrival to dequeue behind others."""


@dataclass(frozen=True, slots=True)
class Medium:
    """What one opening of a link consists of. Everything but the capacity may be left out.

    Args:
        capacity: What is offered, to all who share it.
        lost: Says of a packet that leaves at an instant, ns, whether it is lost on the way; asked
            once per packet, in order.
        delay: Delay on top of the propagation of what leaves at an instant, ns.
        wake: How long the link takes to carry something after a silence.
        queue: Active queue management, in place of plain drop-tail.
        efficiency: Share of the capacity that is left when a number of clients contend for it, as
            a whole number of millionths; None where sharing costs nothing.
    """

    capacity: Capacity
    lost: Callable[[int], bool] | None = None
    delay: Callable[[int], int] | None = None
    wake: Wake | None = None
    queue: ManagedQueue | None = None
    efficiency: Callable[[int], int] | None = None

    def link(self, delay_ns: int = 0, queue_bytes: int | None = None) -> FifoLink:
        """Return the link that this is for one sender."""
        if self.wake is None and self.queue is None and not self.alters_path:
            return FifoLink(self.capacity, delay_ns, queue_bytes)
        return MediumLink(self, delay_ns, queue_bytes)

    @property
    def alters_path(self) -> bool:
        """Whether something may happen to a packet after it has left."""
        return self.lost is not None or self.delay is not None


class Link(ABC):
    """A link part: its fields are its options."""

    @abstractmethod
    def medium(self, rng: np.random.Generator) -> Medium:
        """Return what the link consists of, with its own random draws from `rng`."""

    def open(
        self, rng: np.random.Generator, delay_ns: int = 0, queue_bytes: int | None = None
    ) -> FifoLink:
        """Return the link for one sender.

        Args:
            rng: Its random stream.
            delay_ns: Propagation delay.
            queue_bytes: Drop-tail limit on what waits; None for an unlimited queue.
        """
        return self.medium(rng).link(delay_ns, queue_bytes)


class Path:
    """What happens to packets after they have left the link: propagation, delay, loss.

    Order is kept: a packet that would overtake an earlier one arrives together with it.

    Args:
        medium: Of the link.
        delay_ns: Propagation delay.
    """

    __slots__ = ("_delay", "_last_ns", "_lost", "delay_ns")

    def __init__(self, medium: Medium, delay_ns: int) -> None:
        self.delay_ns = delay_ns
        self._lost = medium.lost
        self._delay = medium.delay
        self._last_ns = 0

    def arrive(self, release_ns: int) -> int | None:
        """Return when what leaves at `release_ns` arrives; None if it is lost."""
        if self._lost is not None and self._lost(release_ns):
            return None
        arrival_ns = release_ns + self.delay_ns
        if self._delay is not None:
            arrival_ns += self._delay(release_ns)
        self._last_ns = max(self._last_ns, arrival_ns)
        return self._last_ns


class MediumLink(FifoLink):
    """A first-in-first-out link with everything that a medium may add.

    Args:
        medium: Of the link.
        delay_ns: Propagation delay.
        queue_bytes: Drop-tail limit on what waits; None for an unlimited queue.
    """

    __slots__ = ("_awake_ns", "_last_ns", "_medium", "_path")

    def __init__(self, medium: Medium, delay_ns: int, queue_bytes: int | None) -> None:
        super().__init__(medium.capacity, delay_ns, queue_bytes)
        self._medium = medium
        self._path = Path(medium, delay_ns)
        self._awake_ns = 0
        self._last_ns = 0

    @property
    def may_drop(self) -> bool:
        """Whether the queue has a limit or the medium loses packets."""
        medium = self._medium
        limited = self.queue_bytes is not None or medium.queue is not None
        return limited or medium.lost is not None

    def send(self, arrival_ns: int, size_bytes: int) -> int | None:
        """Return when the last byte leaves the link, or None if the queue drops the packet."""
        medium = self._medium
        if medium.wake is not None:
            arrival_ns = self._waken(arrival_ns, medium.wake)
        if medium.queue is not None:
            dequeue_ns = max(arrival_ns, self.free_ns)
            waiting = super().backlog_bytes(arrival_ns)
            if medium.queue.drops(arrival_ns, dequeue_ns, waiting):
                self.offered_bytes += size_bytes
                self.dropped_bytes += size_bytes
                return None
        return super().send(arrival_ns, size_bytes)

    def _waken(self, arrival_ns: int, wake: Wake) -> int:
        """Return when the link can take what arrives now."""
        silent_ns = max(self._last_ns, self.free_ns)
        if arrival_ns > max(silent_ns, self._awake_ns):
            self._awake_ns = arrival_ns + wake(arrival_ns - silent_ns)
        self._last_ns = arrival_ns
        return max(arrival_ns, self._awake_ns)

    def arrive(self, release_ns: int) -> int | None:
        """Return when what leaves at `release_ns` arrives; None if it is lost."""
        return self._path.arrive(release_ns)

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes accepted and not yet released at `now_ns`."""
        # While the link wakes, what it offers passes by.
        return super().backlog_bytes(max(now_ns, self._awake_ns))
