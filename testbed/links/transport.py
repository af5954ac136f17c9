"""How a payload crosses a link."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.model import LinkModel


@dataclass(frozen=True, slots=True)
class Delivery:
    """A payload that got through.

    Args:
        start_ns: When its first byte was the next to leave.
        sent_ns: When its last byte left the link; propagation comes on top.
        wire_bytes: What crossed the link for it, headers included.
    """

    start_ns: int
    sent_ns: int
    wire_bytes: int


@dataclass(frozen=True)
class Ideal:
    """One message per payload: no headers, no handshake, no window, no loss."""

    def wire_bytes(self, payload_bytes: int) -> int:
        """Return the bytes on the wire for a payload: the payload itself."""
        return payload_bytes

    def connect(self, link: LinkModel) -> IdealConnection:
        """Return a connection over one direction of a channel."""
        return IdealConnection(link)


class IdealConnection:
    """Messages over one link, in order."""

    __slots__ = ("_link",)

    def __init__(self, link: LinkModel) -> None:
        self._link = link

    def send(self, now_ns: int, payload_bytes: int) -> Delivery | None:
        """Return how the payload crosses the link, or None if the queue refuses it."""
        start_ns = max(now_ns, self._link.free_ns)
        sent_ns = self._link.send(now_ns, payload_bytes)
        return None if sent_ns is None else Delivery(start_ns, sent_ns, payload_bytes)
