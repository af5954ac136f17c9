"""The server's end of datagrams: frames put together in bounded memory, answers, word of arrival.

Nobody is heard who has not opened a connection first and said there from which port its datagrams
come (`testbed.emulate.fragments.Terms`); what comes from anywhere else is counted and thrown away.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from testbed.emulate.bodies import Request
from testbed.emulate.fragments import (
    Head,
    Part,
    Reassembly,
    Terms,
    deadline_ns,
    fragments,
)
from testbed.emulate.journal import Journal
from testbed.emulate.protocol import Fault, WireError
from testbed.emulate.serving_peer import Limits, Peer
from testbed.model import NS_PER_S

BURST = 64
"""Datagrams read before anything else is looked at."""

_LONGEST_BYTES = 65_535
_BUFFER_BYTES = 4 << 20
_REMEMBERED = 1024  # whole frames of a sender, of which late copies are told from new frames


class Whole(NamedTuple):
    """A frame of which every fragment has come."""

    peer: Peer
    request: Request
    payload: bytes


class _Sender:
    """The port of a client."""

    def __init__(self, peer: Peer, terms: Terms, most_bytes: int) -> None:
        self.peer = peer
        self.terms = terms
        self.address = (peer.host, terms.port)
        self.partial = Reassembly(terms.packet_bytes, terms.padding_bytes, most_bytes)
        self.whole: deque[int] = deque(maxlen=_REMEMBERED)


class Datagrams:
    """All senders of datagrams to one port.

    Args:
        sock: Bound; the server owns it.
        limits: On what they may cost.
        journal: Gets their faults.
    """

    def __init__(self, sock: socket.socket, limits: Limits, journal: Journal) -> None:
        self._sock = sock
        self._limits = limits
        self._journal = journal
        self._senders: dict[tuple[str, int], _Sender] = {}
        self._of_peer: dict[Peer, _Sender] = {}
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._sock.fileno()

    @property
    def held_bytes(self) -> int:
        """Bytes of frames that are not whole."""
        return sum(sender.partial.held_bytes for sender in self._senders.values())

    @property
    def next_ns(self) -> int | None:
        """When a frame that is not whole is forgotten next; None if there is none."""
        at_ns = [sender.partial.oldest_ns for sender in self._senders.values()]
        return min((at for at in at_ns if at is not None), default=None)

    def open(self, peer: Peer, terms: Terms) -> None:
        """Hear a client's datagrams from now on. Raise a `WireError` for a port that is taken."""
        address = (peer.host, terms.port)
        if peer in self._of_peer or address in self._senders:
            message = f"datagrams of port {terms.port} have been agreed on already"
            raise WireError(Fault.UNEXPECTED, message)
        sender = _Sender(peer, terms, self._limits.payload_bytes)
        self._of_peer[peer] = self._senders[address] = sender

    def forget(self, peer: Peer) -> None:
        """Hear a client no more, and forget what has come of its frames."""
        if (sender := self._of_peer.pop(peer, None)) is not None:
            del self._senders[sender.address]

    def read(self, now_ns: int) -> Iterator[Whole]:
        """Yield the frames that become whole with what has come."""
        for _ in range(BURST):
            try:
                data, (host, port, *_) = self._sock.recvfrom(_LONGEST_BYTES)
            except OSError:  # nothing more, or word that somebody is not there any more
                return
            sender = self._senders.get((host, port))
            try:
                if sender is None:
                    raise WireError(Fault.REFUSED, f"a datagram from port {port} without terms")
                if (whole := self._take(sender, data, now_ns)) is not None:
                    yield whole
            except WireError as error:
                self._journal.fault(now_ns, host, error.fault, str(error))

    def _take(self, sender: _Sender, data: bytes, now_ns: int) -> Whole | None:
        head = Head.unpack(data)
        terms, limits = sender.terms, self._limits
        if head.part is not Part.FRAME or head.point >= len(terms.points):
            raise WireError(Fault.MALFORMED, f"a datagram {head.part.name}, point {head.point}")
        sender.peer.since_ns = now_ns
        if head.frame in sender.whole:
            message = f"a fragment of frame {head.frame}, which is whole"
            raise WireError(Fault.REPLAYED, message)
        until_ns = deadline_ns(head.deadline_us, now_ns)
        forgotten_ns = min(
            max(until_ns, now_ns) + terms.grace_ns, now_ns + round(limits.message_s * NS_PER_S)
        )
        payload = sender.partial.take(head, data, forgotten_ns)
        if payload is None:
            self._bound(now_ns)
            return None
        sender.whole.append(head.frame)
        self._send(sender, Head(Part.RECEIVED, head.frame))
        request = terms.points[head.point]._replace(frame=head.frame, deadline_ns=until_ns)
        return Whole(sender.peer, request, payload)

    def _bound(self, now_ns: int) -> None:
        """Forget frames of whoever holds most, should all of them be too much."""
        while self.held_bytes > self._limits.partial_bytes:
            most = max(self._senders.values(), key=lambda each: each.partial.held_bytes)
            frame = most.partial.drop_oldest()
            message = f"holds most of too many unfinished frames; frame {frame} is forgotten"
            self._journal.fault(now_ns, most.peer.host, Fault.FULL, message)

    def sweep(self, now_ns: int) -> None:
        """Forget the frames whose time is over, and say so to who sent them."""
        for sender in self._senders.values():
            for frame in sender.partial.overdue(now_ns):
                self._send(sender, Head(Part.INCOMPLETE, frame))

    def gives_up(self, peer: Peer, until_ns: int | None, now_ns: int) -> bool:
        """Return whether an answer is of no more use to a client."""
        cancel = self._of_peer[peer].terms.cancel
        return cancel and until_ns is not None and now_ns >= until_ns

    def answer(self, peer: Peer, frame: int, body: bytes) -> None:
        """Send an answer; whether it arrives nobody knows."""
        sender = self._of_peer[peer]
        self._send(sender, Head(Part.ANSWER, frame), body)

    def speaks(self, peer: Peer) -> bool:
        """Return whether a client sends datagrams."""
        return peer in self._of_peer

    def _send(self, sender: _Sender, head: Head, body: bytes = b"") -> None:
        terms = sender.terms
        for data in fragments(head, body, terms.packet_bytes, terms.padding_bytes):
            with suppress(OSError):  # no room, or nobody there: a datagram is lost, as it may be
                self._sock.sendto(data, sender.address)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
