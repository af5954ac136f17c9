"""How a client's frames get to the server in datagrams: when each of them leaves, and what is told.

A sender of datagrams has to know when the packet before has left the device, as a modem tells its
driver: only so can it give up what has not left. The relay is no such modem, so the client opens
the link of the scenario itself, the very one that the relay has, and lets `DatagramFlow`, the
simulator's sender, decide by it when a packet goes, what is withdrawn and which frame is next.
Whether the packet then arrives is the relay's business, and news of that comes from the server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from testbed.emulate.bodies import Answer, Request
from testbed.emulate.clock import WallClock
from testbed.emulate.connection import Connection
from testbed.emulate.fragments import (
    LEAST_HEADER_BYTES,
    Head,
    Part,
    Reassembly,
    Terms,
    deadline_us,
    fragments,
)
from testbed.emulate.protocol import WireError
from testbed.links.datagram import Datagram, DatagramFlow
from testbed.links.fifo import FifoLink
from testbed.links.transport import Delivery, Done, Loss
from testbed.model import NS_PER_MS
from testbed.scenario.channels import OpenLinks, open_channel
from testbed.scenario.schema import LinkSpec

_LONGEST_BYTES = 65_535
_BUFFER_BYTES = 4 << 20
_MOST_ANSWER_BYTES = 1 << 20
_REORDER_NS = 10 * NS_PER_MS


class News(NamedTuple):
    """What the server says about a frame, and when, in time since the epoch.

    Args:
        part: `RECEIVED`, `INCOMPLETE` or `ANSWER`.
        frame: Its number.
        answer: If it is one.
        arrived_ns: When the server had all of the frame, if this is an answer.
    """

    part: Part
    frame: int
    answer: Answer | None = None
    arrived_ns: int = 0


@dataclass
class _Going:
    """A frame whose packets leave one after the other. It is what the flow tells of the end."""

    frame: int
    packets: list[bytes]
    done: Done
    next_index: int = 0

    def __call__(self, delivery: Delivery) -> None:
        self.done(delivery)


class PacedFlow(DatagramFlow):
    """Datagrams that leave by one link and cross another, of which only news tells.

    Args:
        link: By which they leave; it is asked whether a packet finds room, and when it has left.
        back_ns: From the receiver back.
        options: Of the transport.
        emit: Sends a packet.
    """

    def __init__(
        self, link: FifoLink, back_ns: int, options: Datagram, emit: Callable[[bytes], None]
    ) -> None:
        super().__init__(link, back_ns, options)
        self._delay_ns = link.delay_ns
        self._emit = emit
        self._token_of: dict[int, int] = {}  # when the token of a frame comes back without news

    def _leave(self, payload: Any, size: int) -> None:
        going = cast(_Going, payload.done)
        packet = going.packets[going.next_index]
        going.next_index += 1
        size += self._options.header_bytes
        release_ns = self._link.send(payload.ready_ns, size)
        if release_ns is None:
            payload.loss = Loss.QUEUE
            return
        self._link.arrive(release_ns)  # drawn, so that other draws keep in step; nobody looks
        payload.wire_bytes += size
        payload.sent_ns = release_ns
        payload.arrived_ns = release_ns + self._delay_ns
        self._emit(packet)

    def _news_ns(self, payload: Any) -> int:
        token_ns: int = max(payload.sent_ns, self._now_ns) + self._patience_ns
        self._token_of[payload.done.frame] = token_ns
        return token_ns

    def heard(self, frame: int, now_ns: int) -> None:
        """Take back the token of a frame of which there is news."""
        token_ns = self._token_of.pop(frame, None)
        if token_ns in self._tokens_ns:
            self._tokens_ns.remove(token_ns)
            self._tokens_ns.append(now_ns)
        self.advance(now_ns)


class DatagramUplink:
    """A UDP socket in the loop of a clock, and the connection over which its terms were agreed on.

    Args:
        clock: Keeps the time.
        take: Gets the news.
        line: The connection, open; the server takes datagrams at its port.
        link: By which packets leave.
        delays_ns: Propagation of the uplink and of the downlink.
        options: Of the transport.
        points: Every kind of frame that may be sent.

    Raises:
        WireError: The server takes no datagrams.
    """

    wants_write = False

    def __init__(
        self,
        clock: WallClock,
        take: Callable[[News], None],
        line: Connection,
        link: FifoLink,
        delays_ns: tuple[int, int],
        options: Datagram,
        points: Sequence[Request],
    ) -> None:
        self._clock = clock
        self._take = take
        self._line = line
        self._sock = line.beside(socket.SOCK_DGRAM)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self._flow = PacedFlow(link, delays_ns[1], options, self._emit)
        self._points = {(p.point, p.kind): n for n, p in enumerate(points)}
        patience_ns = round(options.patience_ms * NS_PER_MS)
        self._terms = Terms(
            port=self._sock.getsockname()[1],
            packet_bytes=options.packet_bytes,
            padding_bytes=options.header_bytes - LEAST_HEADER_BYTES,
            grace_ns=delays_ns[0] + (_REORDER_NS if options.cancel else patience_ns),
            cancel=options.cancel,
            points=tuple(points),
        )
        self._answers = Reassembly(
            options.packet_bytes, self._terms.padding_bytes, _MOST_ANSWER_BYTES
        )
        self._woken_ns: int | None = None
        self.malformed = 0
        try:
            line.agree(self._terms)
        except BaseException:
            self._sock.close()
            raise
        clock.watch(self, self._read, lambda: None)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._sock.fileno()

    def send(self, request: Request, payload: bytes, done: Done) -> None:
        """Hand over a frame; `done` is told when its last packet has left, or why none does."""
        assert request.deadline_ns is not None
        offset_ns = self._line.offset_ns or 0
        until_ns = self._clock.theirs(request.deadline_ns) + offset_ns
        head = Head(
            Part.FRAME,
            request.frame,
            point=self._points[request.point, request.kind],
            deadline_us=deadline_us(until_ns),
        )
        terms = self._terms
        packets = list(fragments(head, payload, terms.packet_bytes, terms.padding_bytes))
        going = _Going(request.frame, packets, done)
        self._flow.send(self._clock.now, len(payload), going, request.deadline_ns)
        self._wake()

    def backlog_bytes(self) -> int:
        """Return the bytes handed over that have not left the device."""
        return self._flow.backlog_bytes(self._clock.now)

    def _emit(self, packet: bytes) -> None:
        self._sock.send(packet)

    def _wake(self) -> None:
        """See to it that the flow advances when the next packet may leave."""
        next_ns = self._flow.next_ns
        if next_ns is None or (self._woken_ns is not None and self._woken_ns <= next_ns):
            return
        self._woken_ns = next_ns

        def advance(_: None) -> None:
            if self._woken_ns != next_ns:
                return  # an earlier call has taken over
            self._woken_ns = None
            self._flow.advance(self._clock.now)
            self._wake()

        self._clock.after(max(0, next_ns - self._clock.now), advance)

    def _read(self) -> None:
        while True:
            try:
                data = self._sock.recv(_LONGEST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            try:
                news = self._news(data)
            except WireError:
                self.malformed += 1
                continue
            if news is not None:
                self._flow.heard(news.frame, self._clock.now)
                self._take(news)
                self._wake()

    def _news(self, data: bytes) -> News | None:
        head = Head.unpack(data)
        now_ns = self._clock.now
        if head.part is not Part.ANSWER:
            return News(head.part, head.frame)
        self._answers.overdue(now_ns)
        body = self._answers.take(head, data, now_ns + self._terms.grace_ns)
        if body is None:
            return None
        answer = Answer.unpack(body)
        arrived_ns = self._clock.ours(self._line.ours(answer.arrived_ns))
        return News(head.part, answer.frame, answer, arrived_ns)

    def close(self) -> None:
        """Close socket and connection."""
        self._clock.forget(self)
        self._sock.close()
        self._line.close()


def own_link(spec: LinkSpec, client: str, seed: int) -> FifoLink:
    """Return a client's uplink, with the draws that the relay's has.

    Right for a client that has a link of its own, or is alone on a shared one.
    """
    channel = open_channel(spec, [client], "uplink", seed)
    assert isinstance(channel, OpenLinks), "alone in a cell nobody shares"
    return channel.links[client]
