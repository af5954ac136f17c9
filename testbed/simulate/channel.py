"""One direction of the network, driven by SimPy: who hands it a payload learns when it has left."""

from __future__ import annotations

from typing import Protocol

from testbed.links.cell import SharedCell
from testbed.links.fifo import FifoLink
from testbed.links.link import Path
from testbed.links.transport import Connection, Delivery, Done, Loss, Transport
from testbed.simulate.clock import Clock


class Channel(Protocol):
    """One direction between all clients and the server."""

    delay_ns: int

    def send(
        self,
        now_ns: int,
        client: str,
        payload_bytes: int,
        done: Done,
        deadline_ns: int | None = None,
    ) -> None:
        """Hand over a payload at `now_ns`, the present; it is of no use after `deadline_ns`.

        `done` is called once, when it is known how the payload fares: at once, with times that may
        lie in the future, or when it has left or been given up.
        """

    def answered(self, now_ns: int, client: str, size_bytes: int) -> None:
        """Let an answer reach a client at `now_ns`, the present, which may acknowledge it here."""

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
        env: Clock,
        links: dict[str, FifoLink],
        transport: Transport,
        back_ns: int,
    ) -> None:
        self.delay_ns = next(iter(links.values())).delay_ns
        self._env = env
        self._links = links
        self._connections = {name: transport.connect(link, back_ns) for name, link in links.items()}
        self._woken_ns: dict[str, int] = {}  # earliest timer set for a connection

    def send(
        self,
        now_ns: int,
        client: str,
        payload_bytes: int,
        done: Done,
        deadline_ns: int | None = None,
    ) -> None:
        """Hand the payload to the client's connection."""
        connection = self._connections[client]
        connection.send(now_ns, payload_bytes, done, deadline_ns)
        if connection.next_ns is not None:
            self._wake(client, connection)

    def answered(self, now_ns: int, client: str, size_bytes: int) -> None:
        """Tell the client's connection."""
        connection = self._connections[client]
        connection.answered(now_ns, size_bytes)
        if connection.next_ns is not None:
            self._wake(client, connection)

    def _wake(self, client: str, connection: Connection) -> None:
        """See to it that the connection advances when something happens next."""
        next_ns = connection.next_ns
        if next_ns is None or self._woken_ns.get(client, next_ns + 1) <= next_ns:
            return
        self._woken_ns[client] = next_ns

        def advance(_: None) -> None:
            if self._woken_ns.get(client) != next_ns:
                return  # an earlier timer has taken over
            del self._woken_ns[client]
            connection.advance(next_ns)
            self._wake(client, connection)

        self._env.after(next_ns - self._env.now, advance)

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes that have not left the client's link yet."""
        return self._connections[client].backlog_bytes(now_ns)

    def byte_counts(self) -> tuple[int, int]:
        """Return bytes offered and bytes refused so far."""
        links = {id(link): link for link in self._links.values()}.values()
        return sum(link.offered_bytes for link in links), sum(link.dropped_bytes for link in links)


class Cell:
    """Clients that share a capacity; a payload's end moves with what the others do.

    A payload crosses as a whole, headers included: the windows, handshakes and repetitions of a
    transport are not modelled here, because what they would do depends on the shares of the others.

    Args:
        env: The simulation.
        cell: Who gets how much, and when.
        paths: From client to what happens after a payload has left.
        transport: Says how many bytes a payload is on the wire.
    """

    def __init__(
        self, env: Clock, cell: SharedCell, paths: dict[str, Path], transport: Transport
    ) -> None:
        self.delay_ns = next(iter(paths.values())).delay_ns
        self._env = env
        self._cell = cell
        self._paths = paths
        self._transport = transport
        self._plan = 0  # number of the newest departure plan; older ones are void

    def send(
        self,
        now_ns: int,
        client: str,
        payload_bytes: int,
        done: Done,
        deadline_ns: int | None = None,
    ) -> None:
        """Queue the payload; its times are reported when it has left."""
        wire_bytes = self._transport.wire_bytes(payload_bytes)
        if self._cell.join(now_ns, client, wire_bytes, (done, wire_bytes)):
            self._replan()
        else:
            done(Delivery(now_ns, now_ns, 0, None, Loss.QUEUE))

    def answered(self, now_ns: int, client: str, size_bytes: int) -> None:
        """Do nothing; acknowledgements are not modelled here either."""

    def _replan(self) -> None:
        next_ns = self._cell.next_ns()
        self._plan += 1
        if next_ns is not None:
            self._env.after(next_ns - self._env.now, self._depart, self._plan)

    def _depart(self, plan: int) -> None:
        if plan != self._plan:
            return
        left = self._cell.depart(self._env.now)
        self._replan()
        done, wire_bytes = left.token
        arrived_ns = self._paths[left.client].arrive(left.sent_ns)
        loss = Loss.MEDIUM if arrived_ns is None else None
        done(Delivery(left.start_ns, left.sent_ns, wire_bytes, arrived_ns, loss))

    def backlog_bytes(self, now_ns: int, client: str) -> int:
        """Return the bytes of a client that have not left the cell yet."""
        return self._cell.backlog_bytes(now_ns, client)

    def byte_counts(self) -> tuple[int, int]:
        """Return bytes offered and bytes refused so far."""
        return self._cell.offered_bytes, self._cell.dropped_bytes
