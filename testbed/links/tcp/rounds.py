"""TCP a round trip at a time: a few look-ups per message, for links that never drop anything.

A window of k segments leaves at u; the next one, twice as large, when the first acknowledgement
returns. Once the window is larger than a message TCP is invisible but for its headers.
"""

from __future__ import annotations

from collections import deque

from testbed.links.fifo import FifoLink
from testbed.links.tcp.output import MSS_BYTES
from testbed.links.tcp.packets import HEADER_BYTES, SYN_BYTES, PacketFlow, Passed, Settings
from testbed.links.tcp.rtt import RTO_MIN_NS
from testbed.links.transport import Delivery, Done
from testbed.model import LinkModel

_FULL_BYTES = MSS_BYTES + HEADER_BYTES


class RoundFlow:
    """The round model of one connection, or of one per message.

    Args:
        link: Towards the receiver; must not drop packets.
        back_ns: From the receiver back to the sender.
        settings: Of the transport.
        per_frame: Whether every message opens a connection of its own.
    """

    next_ns = None

    def __init__(
        self, link: LinkModel, back_ns: int, settings: Settings, *, per_frame: bool = False
    ) -> None:
        self._link = link
        self._back_ns = back_ns
        self._settings = settings
        self._per_frame = per_frame
        self._window = settings.initial_window
        self._last_sent_ns = 0

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Compute at once when the message arrives."""
        link, host_ns = self._link, self._settings.host_ns
        at_ns = now_ns + host_ns
        start_ns = max(at_ns, link.free_ns)
        segments = -(-payload_bytes // MSS_BYTES)
        wire_bytes = left_bytes = payload_bytes + HEADER_BYTES * segments
        window, first_ack = self._window, 2 * _FULL_BYTES
        if self._per_frame:
            at_ns = self._answered(at_ns, SYN_BYTES)
            link.send(at_ns, HEADER_BYTES)
            at_ns += host_ns
            wire_bytes += SYN_BYTES + HEADER_BYTES
            window, first_ack = self._settings.initial_window, _FULL_BYTES
        elif self._settings.idle_restart:
            window = self._after_idle(at_ns, window)
        while (batch_bytes := window * _FULL_BYTES) < left_bytes:
            answered_ns = self._answered(at_ns, min(first_ack, batch_bytes))
            if batch_bytes > first_ack:
                self._answered(at_ns, batch_bytes - first_ack)
            left_bytes -= batch_bytes
            at_ns = answered_ns
            window *= 2
        sent_ns = link.send(at_ns, left_bytes)
        assert sent_ns is not None, "the round model needs a link that drops nothing"
        arrived_ns = link.arrive(sent_ns)
        assert arrived_ns is not None, "the round model needs a link that loses nothing"
        if not self._per_frame:
            last = -(-left_bytes // _FULL_BYTES)
            self._window = window + last if window < 2 * last else window
            self._last_sent_ns = at_ns
        done(Delivery(start_ns, sent_ns, wire_bytes, arrived_ns + host_ns))

    def _answered(self, at_ns: int, size_bytes: int) -> int:
        """Send something; return when its acknowledgement is back."""
        release_ns = self._link.send(at_ns, size_bytes)
        assert release_ns is not None, "the round model needs a link that drops nothing"
        arrival_ns = self._link.arrive(release_ns)
        assert arrival_ns is not None, "the round model needs a link that loses nothing"
        return arrival_ns + self._back_ns

    def _after_idle(self, at_ns: int, window: int) -> int:
        timeout_ns = RTO_MIN_NS + self._link.delay_ns + self._back_ns
        idle_ns = at_ns - self._last_sent_ns
        floor = min(self._settings.initial_window, window)
        while (idle_ns := idle_ns - timeout_ns) > 0 and window > floor:
            window >>= 1
        return max(window, floor)

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Let an answer arrive, whose acknowledgement is left out here."""

    def advance(self, now_ns: int) -> None:
        """Do nothing; everything has been computed."""

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes that have not left the link."""
        return self._link.backlog_bytes(now_ns)


class AutoFlow:
    """The packet model, with a short cut where it would make no difference.

    On a link that drops nothing, a message that fits into the window beside what is in flight
    leaves as a whole, and one look-up tells when it arrives. Everything else (the first
    messages, a restart after idle time, a message larger than the window) goes by packets, and so
    does what is in flight then: its segments left when the link's curve says. What the
    packet model knows of round trips, for timeouts and HyStart, comes from those alone, and a timer
    that rings for nothing in a long gap of the link, at the price of a segment, is not noticed.

    Args:
        link: Towards the receiver; must not drop packets.
        back_ns: From the receiver back to the sender.
        settings: Of the transport.
    """

    def __init__(self, link: FifoLink, back_ns: int, settings: Settings) -> None:
        self._link = link
        self._back_ns = back_ns
        self._host_ns = settings.host_ns
        self._passed: deque[tuple[int, int, Passed]] = deque()  # until, segments
        self._beside = 0  # segments of those
        self._idle_restart = settings.idle_restart
        self._packets = PacketFlow(link, back_ns, settings)
        self._last_ns = -RTO_MIN_NS

    def greeted(self) -> None:
        """Let both ends have exchanged a few bytes before the first message."""
        self._packets.greeted()

    @property
    def next_ns(self) -> int | None:
        """When something happens next; None if nothing will."""
        return self._packets.next_ns

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Hand a message over."""
        packets = self._packets
        packets.advance(now_ns)
        at_ns = now_ns + self._host_ns
        segments = -(-payload_bytes // MSS_BYTES)
        soon = not self._idle_restart or at_ns - self._last_ns <= RTO_MIN_NS
        self._last_ns = at_ns
        passed = self._passed
        while passed and passed[0][0] <= at_ns:
            self._beside -= passed.popleft()[1]
        free_ns = packets.free_ns
        grown = packets.passes(at_ns, segments, self._beside) if soon else None
        if grown is None:
            while passed:
                packets.adopt(passed.popleft()[2])
            self._beside = 0
            packets.send(now_ns, payload_bytes, done, deadline_ns)
            return
        link = self._link
        start_ns = max(at_ns, free_ns)
        wire_bytes = payload_bytes + HEADER_BYTES * segments
        sent_ns = link.send(at_ns, wire_bytes)
        assert sent_ns is not None, "the short cut needs a link that drops nothing"
        arrived_ns = link.arrive(sent_ns)
        assert arrived_ns is not None, "the short cut needs a link that loses nothing"
        message = Passed(payload_bytes, wire_bytes, at_ns, link.reach, arrived_ns - sent_ns, grown)
        passed.append((arrived_ns + self._back_ns, segments, message))
        self._beside += segments
        done(Delivery(start_ns, sent_ns, wire_bytes, arrived_ns + self._host_ns))

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Let an answer arrive."""
        self._packets.answered(now_ns, size_bytes)

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens by `now_ns`."""
        self._packets.advance(now_ns)

    def backlog_bytes(self, now_ns: int) -> int:
        """Return payload bytes not sent for the first time, and what waits in the link."""
        return self._packets.backlog_bytes(now_ns)
