"""The receiving half of a TCP connection: which arrivals are acknowledged, and when.

As Linux does it (`net/ipv4/tcp_input.c`, `__tcp_ack_snd_check`): every second segment, the first
three that are out of order, what is repeated or fills a hole, and what ends a message, because the
application reads it and answers. Further segments out of order wait a millisecond for company,
anything else 40. Until the application answers for the first time, each of the first segments is
acknowledged singly: 16, and before them all that make the receiver's window grow
(`tcp_grow_window`), 362 with a receive buffer of 4 MB (counted on Linux 6.18).

Once the window is as large as the buffer, an acknowledgement would have to shrink it for as long as
something is unread, so the kernel waits until the application reads (`tcp_cleanup_rbuf`). Of
segments that arrive in one instant it reads the first, and then all the others at once.
"""

from __future__ import annotations

from testbed.links.tcp.rtt import RTO_MIN_NS, rings_ns
from testbed.links.tcp.scoreboard import Ack

QUICK_ACKS = 16
GROWING_SEGMENTS = 362
DELAY_NS = 40_000_000
"""How long a lone segment waits for company, at least (TCP_ATO_MIN)."""

COMPRESSION_NS = 1_000_000
"""How long selective acknowledgements are held back once the sender has had three."""

_AT_ONCE = 3


class Pace:
    """How long an acknowledgement waits for company (`tcp_event_data_recv`).

    Args:
        rtt_ns: Round trip without queues. It waits no longer than that, or `DELAY_NS` if that is
            more.

    Attributes:
        delay_ns: By what has come in and has been waited for in vain.
        last_ns: When something came in the last time; None before that.
    """

    __slots__ = ("_most_ns", "delay_ns", "last_ns")

    def __init__(self, rtt_ns: int) -> None:
        self.delay_ns = DELAY_NS
        self.last_ns: int | None = None
        self._most_ns = max(rtt_ns, DELAY_NS)

    def rings_ns(self, now_ns: int) -> int:
        """Return when the timer rings that waits for company from now on."""
        return rings_ns(now_ns, min(self.delay_ns, self._most_ns))

    def missed(self, *, dialogue: bool) -> None:
        """Note that it has rung (`tcp_delack_timer_handler`)."""
        self.delay_ns = DELAY_NS if dialogue else min(2 * self.delay_ns, RTO_MIN_NS)

    def heard(self, now_ns: int) -> int:
        """Let the delay follow the time since the last segment; return that, 0 for the first."""
        gap_ns = 0
        if self.last_ns is not None:
            gap_ns = now_ns - self.last_ns
            if gap_ns <= DELAY_NS // 2:
                self.delay_ns = (self.delay_ns + DELAY_NS) // 2
            elif gap_ns < self.delay_ns:
                self.delay_ns = self.delay_ns // 2 + gap_ns
        self.last_ns = now_ns
        return gap_ns


class Receiver:
    """One direction of one connection.

    `arrive` and `ring` return the acknowledgement to send now, if any.

    Args:
        rtt_ns: Round trip without queues. Segments are acknowledged singly again after a silence of
            a timeout's length, unless the application answers messages.
    """

    def __init__(self, rtt_ns: int) -> None:
        self.following = 0  # first segment that has not arrived
        self.timer_ns: int | None = None
        self._idle_ns = RTO_MIN_NS + rtt_ns
        self._pace = Pace(rtt_ns)
        self._ahead: set[int] = set()
        self._held: list[int] = []  # of those ahead, not yet acknowledged
        self._repeats = 0  # acknowledgements of `following` while something was ahead
        self._acknowledged = 0
        self._quick = QUICK_ACKS
        self._growing = GROWING_SEGMENTS
        self._talks = False  # the application answers, which ends quick acknowledgements
        self._echo_ns = 0

    def arrive(
        self, now_ns: int, number: int, sent_ns: int, *, ends: bool, more: bool = False
    ) -> Ack | None:
        """Take in a segment.

        Args:
            now_ns: The present.
            number: Of the segment.
            sent_ns: When it was sent.
            ends: Whether it is the last of a message.
            more: Whether another one arrives in the same instant.
        """
        unread = more and now_ns == self._pace.last_ns and not self._growing
        if self._pace.heard(now_ns) > self._idle_ns:
            self._quick = QUICK_ACKS
        if number < self.following or number in self._ahead:
            self._quick, self._talks = QUICK_ACKS, False
            return self._ack(duplicate=True)
        if number > self.following:
            self._ahead.add(number)
            self._held.append(number)
            return self._ack_hole(now_ns)
        if number == self._acknowledged:
            self._echo_ns = sent_ns
        in_order = not self._ahead
        self.following += 1
        if self._growing:
            self._growing -= 1
            self._quick |= 1  # as the kernel does, so that what is left of the 16 stays
        while self.following in self._ahead:
            self._ahead.remove(self.following)
            self.following += 1
        if ends:
            self._talks = True
        filled = not in_order and not self._ahead
        quick = bool(self._quick) and not self._talks
        enough = self.following - self._acknowledged > 1 and not unread
        if filled or ends or quick or enough:
            return self._ack()
        if not in_order:
            return self._ack_hole(now_ns)
        self._wait(self._pace.rings_ns(now_ns))
        return None

    def greeted(self) -> None:
        """Note that the application has spoken before the first segment."""
        self._talks = True

    def heard(self, now_ns: int) -> None:
        """Note that a whole message arrived and was acknowledged on another path."""
        self._pace.last_ns = now_ns
        self._talks = True

    def ring(self) -> Ack:
        """Acknowledge what has waited long enough."""
        if not self._held:
            self._pace.missed(dialogue=self._talks)
            self._talks = False
        return self._ack()

    def _ack_hole(self, now_ns: int) -> Ack | None:
        if self._repeats < _AT_ONCE or (self._quick and not self._talks):
            self._repeats += 1
            return self._ack()
        self._wait(now_ns + COMPRESSION_NS)
        return None

    def _wait(self, until_ns: int) -> None:
        if self.timer_ns is None or until_ns < self.timer_ns:
            self.timer_ns = until_ns

    def _ack(self, *, duplicate: bool = False) -> Ack:
        self.timer_ns = None
        if self._acknowledged != self.following:
            self._repeats = 0
        self._acknowledged = self.following
        if self._quick:
            self._quick -= 1
        sacked, self._held = tuple(self._held), []
        return Ack(self.following, sacked, self._echo_ns, duplicate)
