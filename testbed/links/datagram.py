"""Datagrams: packets without acknowledgement, given up when they are of no more use."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from testbed.links.transport import Delivery, Done, Loss
from testbed.model import NS_PER_MS, LinkModel


@dataclass(frozen=True)
class Datagram:
    """Payloads in packets over UDP: no repetition, cancelled at their deadline.

    A payload is of use only whole: one lost packet loses it.
    """

    packet_bytes: Annotated[
        int, Field(gt=0, le=65_535, description="Payload of a packet, at most.")
    ] = 1400
    header_bytes: Annotated[
        int, Field(ge=0, le=1000, description="Of a packet: 20 of IP, 8 of UDP, 12 of RTP.")
    ] = 40
    busy: Annotated[
        Literal["queue", "newest", "preempt", "drop"],
        Field(
            description="What a payload does that comes while another is being sent: wait its "
            "turn; wait, in place of what waits already; cut the other short; or give up."
        ),
    ] = "queue"
    cancel: Annotated[
        bool, Field(description="Whether what has not left by its deadline is given up.")
    ] = True
    tokens: Annotated[
        int | None,
        Field(ge=1, description="Most payloads sent and not yet known to have arrived."),
    ] = None
    patience_ms: Annotated[
        float,
        Field(gt=0, description="How long to wait for news of a payload before its token is free."),
    ] = 1000.0

    def wire_bytes(self, payload_bytes: int) -> int:
        """Return the bytes on the wire for a payload, headers included."""
        return payload_bytes + self.header_bytes * -(-payload_bytes // self.packet_bytes)

    @property
    def of_answers(self) -> Datagram:
        """How answers cross the other direction: likewise."""
        return self

    def connect(self, link: LinkModel, back_ns: int) -> DatagramFlow:
        """Return a flow of datagrams over one direction of a channel."""
        return DatagramFlow(link, back_ns, self)


@dataclass(slots=True)
class _Payload:
    left_bytes: int
    done: Done
    deadline_ns: int | None
    ready_ns: int  # since when nothing but the link has kept it from leaving
    start_ns: int | None = None
    sent_ns: int = 0
    arrived_ns: int = 0
    wire_bytes: int = 0
    loss: Loss | None = None


class DatagramFlow:
    """The datagrams of one sender.

    Whether a packet is sent is decided when the one before it has left, so that what is given up
    never enters the link's queue. A packet that has begun to leave is not called back. Those that
    do leave are booked as if they had waited in that queue: where several may leave in the same
    instant, they do, and a payload larger than the queue's limit loses what exceeds it.

    Args:
        link: Towards the receiver.
        back_ns: From the receiver back to the sender, for news of arrivals.
        options: Of the transport.
    """

    def __init__(self, link: LinkModel, back_ns: int, options: Datagram) -> None:
        self._link = link
        self._back_ns = back_ns
        self._options = options
        self._patience_ns = round(options.patience_ms * NS_PER_MS)
        self._current: _Payload | None = None
        self._waiting: deque[_Payload] = deque()
        self._tokens_ns: list[int] = []  # when the tokens that are out come back
        self._token_ns = 0  # when one last did
        self._now_ns = 0

    @property
    def next_ns(self) -> int | None:
        """When the next packet may leave; None if nothing waits."""
        if self._current is not None:
            return max(self._now_ns, self._link.free_ns)
        if not self._waiting:
            return None
        at_ns = self._link.free_ns
        if self._out_of_tokens():
            at_ns = max(at_ns, min(self._tokens_ns))
        return max(self._now_ns, at_ns)

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Hand over a payload."""
        self.advance(now_ns)
        until_ns = deadline_ns if self._options.cancel else None
        payload = _Payload(payload_bytes, done, until_ns, now_ns)
        busy = self._options.busy
        if busy == "preempt" and self._current is not None:
            self._give_up(self._current, Loss.SUPERSEDED, now_ns)
            self._current = None
        if busy in ("newest", "preempt"):
            while self._waiting:
                self._give_up(self._waiting.popleft(), Loss.SUPERSEDED, now_ns)
        elif busy == "drop" and (
            self._current is not None or self._out_of_tokens() or self._link.free_ns > now_ns
        ):
            self._give_up(payload, Loss.SUPERSEDED, now_ns)
            return
        self._waiting.append(payload)
        self.advance(now_ns)

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Do nothing; answers are datagrams as well."""

    def advance(self, now_ns: int) -> None:
        """Hand to the link all packets whose turn comes by `now_ns`."""
        while (at_ns := self.next_ns) is not None and at_ns <= now_ns:
            self._now_ns = at_ns
            self._step(at_ns)
        self._now_ns = now_ns

    def backlog_bytes(self, now_ns: int) -> int:
        """Return payload bytes not handed to the link, and what waits in it."""
        waiting = sum(payload.left_bytes for payload in self._waiting)
        if self._current is not None:
            waiting += self._current.left_bytes
        return waiting + self._link.backlog_bytes(now_ns)

    def _out_of_tokens(self) -> bool:
        limit = self._options.tokens
        if limit is None:
            return False
        back = [at_ns for at_ns in self._tokens_ns if at_ns <= self._now_ns]
        if back:
            self._token_ns = max(back)
            self._tokens_ns = [at_ns for at_ns in self._tokens_ns if at_ns > self._now_ns]
        return len(self._tokens_ns) >= limit

    def _step(self, now_ns: int) -> None:
        """Send one packet of the current payload, or of the next one."""
        payload = self._current
        if payload is None:
            self._out_of_tokens()
            payload = self._current = self._waiting.popleft()
            payload.ready_ns = max(payload.ready_ns, self._token_ns)
        if payload.deadline_ns is not None and now_ns >= payload.deadline_ns:
            self._current = None
            self._give_up(payload, Loss.DEADLINE, now_ns)
            return
        size = min(payload.left_bytes, self._options.packet_bytes)
        if payload.start_ns is None:
            payload.start_ns = now_ns
        payload.left_bytes -= size
        self._leave(payload, size)
        if payload.left_bytes == 0:
            self._current = None
            self._finish(payload)

    def _leave(self, payload: _Payload, size: int) -> None:
        """Let a packet with `size` bytes of a payload go over the link."""
        size += self._options.header_bytes
        release_ns = self._link.send(payload.ready_ns, size)
        if release_ns is None:
            payload.loss = Loss.QUEUE
        else:
            payload.wire_bytes += size
            payload.sent_ns = release_ns
            arrival_ns = self._link.arrive(release_ns)
            if arrival_ns is None:
                payload.loss = Loss.MEDIUM
            else:
                payload.arrived_ns = arrival_ns

    def _news_ns(self, payload: _Payload) -> int:
        """Return when the token of a payload that has left comes back."""
        if payload.loss is None:
            return payload.arrived_ns + self._back_ns
        return max(payload.sent_ns, self._now_ns) + self._patience_ns

    def _finish(self, payload: _Payload) -> None:
        assert payload.start_ns is not None
        arrived_ns = payload.arrived_ns if payload.loss is None else None
        self._tokens_ns.append(self._news_ns(payload))
        sent_ns = max(payload.sent_ns, payload.start_ns)
        delivery = Delivery(payload.start_ns, sent_ns, payload.wire_bytes, arrived_ns, payload.loss)
        payload.done(delivery)

    def _give_up(self, payload: _Payload, loss: Loss, now_ns: int) -> None:
        start_ns = now_ns if payload.start_ns is None else payload.start_ns
        end_ns = max(start_ns, payload.sent_ns)
        payload.done(Delivery(start_ns, end_ns, payload.wire_bytes, None, payload.loss or loss))
