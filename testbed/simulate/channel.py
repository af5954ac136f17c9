"""One direction of the network, driven by SimPy: who hands it a payload learns when it has left."""

from __future__ import annotations

from typing import Any, Protocol

import simpy

from testbed.links.capacity import Capacity
from testbed.links.cell import SharedCell
from testbed.links.fifo import FifoLink
from testbed.links.transport import Connection, Delivery, Done, Transport


class Channel(Protocol):
    """One direction between all clients and the server."""

    delay_ns: int

    def send(self, now_ns: int, client: str, payload_bytes: int, done: Done) -> bool:
        """Hand over a payload at `now_ns`, the present.

        `done` is called once its times are known: at once, with times that may lie in the future,
        or when it has left. Return False, and never call `done`, if the queue refuses it.
        """

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes of this client that have not left yet."""

    def byte_counts(self) -> tuple[int, int]:
        """Return bytes offered and bytes refused so far."""


class OwnLinks:
    """A link for each client, or one first-in-first-out link for all.

    Args:
        env: The simulation.
        links: From client to link; several clients may have the same one.
        transport: How a payload crosses.
        back_ns: From the receiver back to the sender, for acknowledgements.
    """

    def __init__(
        self,
        env: simpy.Environment,
        links: dict[str, FifoLink],
        transport: Transport,
        back_ns: int,
    ) -> None:
        self.delay_ns = next(iter(links.values())).delay_ns
        self._env = env
        self._links = links
        self._connections = {name: transport.connect(link, back_ns) for name, link in links.items()}
        self._woken_ns: dict[str, int] = {}  # earliest timer set for a connection

    def send(self, now_ns: int, client: str, payload_bytes: int, done: Done) -> bool:
        """Hand the payload to the client's connection."""
        connection = self._connections[client]
        refused = False

        def settle(delivery: Delivery) -> None:
            nonlocal refused
            if delivery.arrived_ns is None:
                refused = True
            else:
                done(delivery)

        connection.send(now_ns, payload_bytes, settle)
        if connection.next_ns is not None:
            self._wake(client, connection)
        return not refused

    def _wake(self, client: str, connection: Connection) -> None:
        """See to it that the connection advances when something happens next."""
        next_ns = connection.next_ns
        if next_ns is None or self._woken_ns.get(client, next_ns + 1) <= next_ns:
            return
        self._woken_ns[client] = next_ns

        def advance(_: simpy.Event) -> None:
            if self._woken_ns.get(client) != next_ns:
                return  # an earlier timer has taken over
            del self._woken_ns[client]
            connection.advance(next_ns)
            self._wake(client, connection)

        self._env.timeout(next_ns - self._env.now).callbacks.append(advance)

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes that have not left the client's link yet."""
        return self._connections[client].backlog_bytes(now_ns)

    def byte_counts(self) -> tuple[int, int]:
        """Return bytes offered and bytes refused so far."""
        links = {id(link): link for link in self._links.values()}.values()
        return sum(link.offered_bytes for link in links), sum(link.dropped_bytes for link in links)


class Cell:
    """Clients that share a capacity; a payload's end moves with what the others do.

    Args:
        env: The simulation.
        capacity: Of the cell.
        transport: Says how many bytes a payload is on the wire.
        delay_ns: Propagation delay.
        queue_bytes: Limit on what waits for each client.
    """

    def __init__(
        self,
        env: simpy.Environment,
        capacity: Capacity,
        transport: Transport,
        delay_ns: int,
        queue_bytes: int | None,
    ) -> None:
        self.delay_ns = delay_ns
        self._env = env
        self._transport = transport
        self._cell = SharedCell(capacity, queue_bytes)
        self._plan = 0  # number of the newest departure plan; older ones are void

    def send(self, now_ns: int, client: str, payload_bytes: int, done: Done) -> bool:
        """Queue the payload; its times are reported when it has left."""
        wire_bytes = self._transport.wire_bytes(payload_bytes)
        accepted = self._cell.join(now_ns, client, wire_bytes, (done, wire_bytes))
        if accepted:
            self._replan()
        return accepted

    def _replan(self) -> None:
        next_ns = self._cell.next_ns()
        self._plan += 1
        if next_ns is not None:
            timeout = self._env.timeout(next_ns - self._env.now, self._plan)
            timeout.callbacks.append(self._depart)

    def _depart(self, event: simpy.Event) -> None:
        if event.value != self._plan:
            return
        now: Any = self._env.now
        left = self._cell.depart(now)
        self._replan()
        done, wire_bytes = left.token
        arrived_ns = left.sent_ns + self.delay_ns
        done(Delivery(left.start_ns, left.sent_ns, wire_bytes, arrived_ns))

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes of a client that have not left the cell yet."""
        return self._cell.backlog_bytes(now_ns, client)

    def byte_counts(self) -> tuple[int, int]:
        """Return bytes offered and bytes refused so far."""
        return self._cell.offered_bytes, self._cell.dropped_bytes
