"""One direction of the network for real packets: when each of them is due at the other end.

A packet's fate is computed when it arrives, by the very link objects that the simulator drives:
nothing is stepped, and there is one timer, for the next packet that is due. Times here are
nanoseconds of whatever clock the caller reads; `start_ns` is where the links have their zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol

from testbed.links.link import Path
from testbed.model import NS_PER_S
from testbed.scenario.channels import OpenCell, OpenLinks

_NEVER = 1 << 62
FAR_NS = 366 * 24 * 3600 * NS_PER_S


class Due(NamedTuple):
    """A packet on its way. They are ordered by when they are due, then by when they came.

    Args:
        due_ns: When it is due at the other end.
        number: Counts the packets of a direction.
        client: Number of the client it is from or to.
        packet: The packet.
        arrived_ns: When it came.
    """

    due_ns: int
    number: int
    client: int
    packet: bytes
    arrived_ns: int


class Crossing(Protocol):
    """One direction between all clients and the server."""

    queue_drops: int
    losses: int
    on_loss: Callable[[int, int, int], None] | None
    """Told client, bytes and arrival of a packet that `arrive` took and that was lost after all."""

    @property
    def next_ns(self) -> int:
        """When something is due next; far away if nothing is."""

    def begin(self, start_ns: int) -> None:
        """Let the links have their time zero at an instant. Before it there is only the delay."""

    def arrive(self, now_ns: int, client: int, packet: bytes) -> str | None:
        """Take a packet. Return None, or why it will never get to the other end."""

    def take(self, now_ns: int) -> Due | None:
        """Return the next packet that is due by now; None if there is none."""


class Prelude:
    """Both kinds of crossing, before the links have begun: nothing but the propagation delay.

    Args:
        delay_ns: The delay.
    """

    def __init__(self, delay_ns: int) -> None:
        self.queue_drops = 0
        self.losses = 0
        self.on_loss: Callable[[int, int, int], None] | None = None
        self.start_ns = _NEVER
        self._delay_ns = delay_ns
        self._heap: list[Due] = []
        self._numbers = count()

    @property
    def next_ns(self) -> int:
        """When a packet is due next; far away if none is."""
        return self._heap[0].due_ns if self._heap else FAR_NS

    def begin(self, start_ns: int) -> None:
        """Let the links have their time zero at an instant."""
        self.start_ns = start_ns

    def take(self, now_ns: int) -> Due | None:
        """Return the next packet that is due by now; None if there is none."""
        heap = self._heap
        return heappop(heap) if heap and heap[0].due_ns <= now_ns else None

    def _put(self, due_ns: int, client: int, packet: bytes, arrived_ns: int) -> None:
        heappush(self._heap, Due(due_ns, next(self._numbers), client, packet, arrived_ns))


class LinksCrossing(Prelude):
    """A link for each client, or one for all of them.

    Args:
        channel: The links.
        clients: Names of the clients, in the order of their numbers.
        delay_ns: Propagation delay.
    """

    def __init__(self, channel: OpenLinks, clients: Sequence[str], delay_ns: int) -> None:
        super().__init__(delay_ns)
        self._links = [channel.links[name] for name in clients]

    def arrive(self, now_ns: int, client: int, packet: bytes) -> str | None:
        """Take a packet. Return None, or why it will never get to the other end."""
        start_ns = self.start_ns
        if now_ns < start_ns:
            self._put(now_ns + self._delay_ns, client, packet, now_ns)
            return None
        link = self._links[client]
        left_ns = link.send(now_ns - start_ns, len(packet))
        if left_ns is None:
            self.queue_drops += 1
            return "queue"
        there_ns = link.arrive(left_ns)
        if there_ns is None:
            self.losses += 1
            return "lost"
        self._put(start_ns + there_ns, client, packet, now_ns)
        return None


class DelayCrossing(Prelude):
    """The way through a medium without its capacity, which somebody else shapes: delay and loss.

    Args:
        path: Of the medium.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.delay_ns)
        self._path = path

    def arrive(self, now_ns: int, client: int, packet: bytes) -> str | None:
        """Take a packet. Return None, or why it will never get to the other end."""
        start_ns = self.start_ns
        if now_ns < start_ns:
            self._put(now_ns + self._delay_ns, client, packet, now_ns)
            return None
        there_ns = self._path.arrive(now_ns - start_ns)
        if there_ns is None:
            self.losses += 1
            return "lost"
        self._put(start_ns + there_ns, client, packet, now_ns)
        return None


class CellCrossing(Prelude):
    """A cell that clients share: when a packet leaves depends on what the others send meanwhile.

    Args:
        channel: The cell, and the ways out of it.
        clients: Names of the clients, in the order of their numbers.
        delay_ns: Propagation delay.
    """

    def __init__(self, channel: OpenCell, clients: Sequence[str], delay_ns: int) -> None:
        super().__init__(delay_ns)
        self._cell = channel.cell
        self._paths = channel.paths
        self._clients = list(clients)
        self._numbers_of = {name: number for number, name in enumerate(clients)}

    @property
    def next_ns(self) -> int:
        """When a packet leaves the cell or is due at the other end; far away if none is."""
        leaves_ns = self._cell.next_ns()
        due_ns = super().next_ns
        return due_ns if leaves_ns is None else min(due_ns, self.start_ns + leaves_ns)

    def arrive(self, now_ns: int, client: int, packet: bytes) -> str | None:
        """Take a packet. Return None, or why it is refused; it may still be lost later."""
        if now_ns < self.start_ns:
            self._put(now_ns + self._delay_ns, client, packet, now_ns)
            return None
        name = self._clients[client]
        if self._cell.join(now_ns - self.start_ns, name, len(packet), (packet, now_ns)):
            return None
        self.queue_drops += 1
        return "queue"

    def take(self, now_ns: int) -> Due | None:
        """Return the next packet that is due by now; None if there is none."""
        start_ns, cell = self.start_ns, self._cell
        while (leaves_ns := cell.next_ns()) is not None and start_ns + leaves_ns <= now_ns:
            left = cell.depart(leaves_ns)
            there_ns = self._paths[left.client].arrive(left.sent_ns)
            packet, arrived_ns = left.token
            if there_ns is None:
                self.losses += 1
                if self.on_loss is not None:
                    self.on_loss(self._numbers_of[left.client], len(packet), arrived_ns)
                continue
            self._put(start_ns + there_ns, self._numbers_of[left.client], packet, arrived_ns)
        return super().take(now_ns)


def crossing(channel: OpenLinks | OpenCell, clients: Sequence[str], delay_ns: int) -> Crossing:
    """Return the crossing of one direction.

    Args:
        channel: What `testbed.scenario.channels.open_channel` returned.
        clients: Names of the clients, in the order of their numbers.
        delay_ns: Propagation delay.
    """
    if isinstance(channel, OpenLinks):
        return LinksCrossing(channel, clients, delay_ns)
    return CellCrossing(channel, clients, delay_ns)
