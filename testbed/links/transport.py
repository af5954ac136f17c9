"""How a payload crosses a link: what every transport shares, and the ideal one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from testbed.model import LinkModel


class Loss(StrEnum):
    """Why a payload did not get through."""

    QUEUE = "queue"  # a full queue refused it
    MEDIUM = "medium"  # a part of it was lost on the way
    DEADLINE = "deadline"  # given up when its deadline had passed
    SUPERSEDED = "superseded"  # given up for a newer one


class Delivery(NamedTuple):
    """How a payload fared.

    Args:
        start_ns: When its first byte was the next to leave.
        sent_ns: When its last byte left the link, or when it was given up.
        wire_bytes: What crossed the link for it, headers and repetitions included.
        arrived_ns: When the receiver has all of it; None if it never will.
        loss: Why not; None if it does.
    """

    start_ns: int
    sent_ns: int
    wire_bytes: int
    arrived_ns: int | None
    loss: Loss | None = None


Done = Callable[[Delivery], None]


class Connection(Protocol):
    """Payloads from one sender to one receiver over one link.

    Whoever owns it calls `send`, `answered` and `advance` in the order of time, and `advance` no
    later than at `next_ns`. `done` is called exactly once for each payload, from within one of
    them, as soon as its times are known; they may lie in the future.
    """

    @property
    def next_ns(self) -> int | None:
        """When something happens next if nothing is sent; None if nothing will."""

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Hand over a payload, which is of no use after `deadline_ns`."""

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Let an answer reach the sender, which may acknowledge it over the link."""

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens by `now_ns`."""

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes handed over that have not left the link."""


class Transport(Protocol):
    """A transport part: its fields are its options."""

    def connect(self, link: LinkModel, back_ns: int) -> Connection:
        """Return a new connection over `link`, whose receiver answers after `back_ns`."""

    def wire_bytes(self, payload_bytes: int) -> int:
        """Return the bytes on the wire for a payload that is sent once."""

    @property
    def of_answers(self) -> Transport:
        """How answers cross the other direction."""


@dataclass(frozen=True)
class Ideal:
    """One message per payload: no headers, no handshake, no window, no repetition."""

    def wire_bytes(self, payload_bytes: int) -> int:
        """Return the bytes on the wire for a payload: the payload itself."""
        return payload_bytes

    @property
    def of_answers(self) -> Ideal:
        """How answers cross the other direction: likewise."""
        return self

    def connect(self, link: LinkModel, back_ns: int) -> IdealConnection:
        """Return a connection over one direction of a channel."""
        return IdealConnection(link)


class IdealConnection:
    """Messages over one link, in order; others may send over it as well."""

    __slots__ = ("_link", "_sent")

    next_ns = None

    def __init__(self, link: LinkModel) -> None:
        self._link = link
        self._sent: deque[tuple[int, int]] = deque()  # when a payload has left, and its size

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Compute at once how the payload fares."""
        link = self._link
        free_ns = link.free_ns
        start_ns = now_ns if now_ns > free_ns else free_ns
        sent_ns = link.send(now_ns, payload_bytes)
        if sent_ns is None:
            done(Delivery(now_ns, now_ns, 0, None, Loss.QUEUE))
            return
        self._sent.append((sent_ns, payload_bytes))
        arrived_ns = link.arrive(sent_ns)
        loss = Loss.MEDIUM if arrived_ns is None else None
        done(Delivery(start_ns, sent_ns, payload_bytes, arrived_ns, loss))

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Do nothing; nothing is acknowledged."""

    def advance(self, now_ns: int) -> None:
        """Do nothing; everything has been computed."""

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes of this sender that have not left the link.

        On a link of its own to the byte; on one that others use as well, a payload counts whole
        until it has left.
        """
        sent = self._sent
        while sent and sent[0][0] <= now_ns:
            sent.popleft()
        if not sent:
            return 0
        return min(sum([size for _, size in sent]), self._link.backlog_bytes(now_ns))
