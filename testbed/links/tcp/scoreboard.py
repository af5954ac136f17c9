"""What a sender knows of the segments it has sent, and RACK: which of them are lost (RFC 8985).

A segment is lost when one that was sent later has arrived and enough time has passed for it to
have arrived too. Source: Linux 6.x `net/ipv4/tcp_recovery.c`, and the marking of segments in
`tcp_input.c` (`tcp_sacktag_one`, `tcp_clean_rtx_queue`).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Segment:
    """A segment that has been sent and not yet acknowledged."""

    sent_ns: int  # for the last time
    sacked: bool = False
    lost: bool = False
    resent: bool = False  # a retransmission of it is in flight
    ever_resent: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """What an acknowledgement says.

    Args:
        following: The first segment the receiver still lacks.
        sacked: Segments beyond it that have arrived since the last acknowledgement.
        echo_ns: Timestamp echo: when the segment that it answers was sent.
        duplicate: Whether it answers a segment that had come before (DSACK).
    """

    following: int
    sacked: tuple[int, ...]
    echo_ns: int
    duplicate: bool = False


@dataclass(slots=True)
class Taken:
    """What one acknowledgement brought.

    Args:
        delivered: Segments that are now known to have arrived.
        sacked: How many of them out of order.
        original: Whether one of them was never resent, and sent before the mark.
        resent: Whether one of them had been resent.
        acked_ns: When those acknowledged in order had been sent, unless resent.
        sacked_ns: The same of those selectively acknowledged.
    """

    delivered: int = 0
    sacked: int = 0
    original: bool = False
    resent: bool = False
    acked_ns: list[int] = field(default_factory=list)
    sacked_ns: list[int] = field(default_factory=list)


class Scoreboard:
    """Segments in flight, and what is known of each."""

    def __init__(self) -> None:
        self.una = 0  # first segment not acknowledged
        self.following = 0  # next segment never sent
        self.segments: dict[int, Segment] = {}
        self.sacked = self.lost = self.resent = 0  # how many are so marked
        self.ever_lost = 0
        self._newest = (-1, -1)  # of what has arrived: when it was sent, and its number
        self._newest_rtt_ns = 0
        self._advanced = False

    @property
    def out(self) -> int:
        """Segments sent and not acknowledged."""
        return self.following - self.una

    @property
    def in_flight(self) -> int:
        """Segments believed to be in the network."""
        return self.following - self.una - self.sacked - self.lost + self.resent

    @property
    def head(self) -> Segment:
        """The oldest segment not acknowledged."""
        return self.segments[self.una]

    def sent(self, now_ns: int) -> None:
        """Note that the next new segment has left."""
        self.segments[self.following] = Segment(now_ns)
        self.following += 1

    def sent_again(self, now_ns: int, number: int) -> None:
        """Note that a segment has left once more."""
        segment = self.segments[number]
        segment.sent_ns = now_ns
        segment.ever_resent = True
        if not segment.resent:
            segment.resent = True
            self.resent += 1

    def take(self, now_ns: int, ack: Ack, mark: int, min_rtt_ns: int) -> Taken:
        """Mark and remove what an acknowledgement speaks of.

        Args:
            now_ns: The present.
            ack: The acknowledgement.
            mark: Segments below it were sent before the sender's present state began.
            min_rtt_ns: The shortest round trip so far.
        """
        got = Taken()
        for number in ack.sacked:
            segment = self.segments.get(number)
            if segment is None or segment.sacked:
                continue
            if not segment.ever_resent:
                got.original = got.original or number < mark
                got.sacked_ns.append(segment.sent_ns)
            self._unmark(segment)
            segment.sacked = True
            self.sacked += 1
            got.sacked += 1
            got.delivered += 1
            self._arrived(now_ns, number, segment, min_rtt_ns)
        for number in range(self.una, ack.following):
            segment = self.segments.pop(number)
            self._unmark(segment)
            if segment.ever_resent:
                got.resent = True
            elif not segment.sacked:
                got.original = got.original or number < mark
                got.acked_ns.append(segment.sent_ns)
            if segment.sacked:
                self.sacked -= 1
            else:
                got.delivered += 1
                if not (segment.ever_resent and ack.echo_ns < segment.sent_ns):
                    # Else the timestamp says that it was the original that arrived.
                    self._arrived(now_ns, number, segment, min_rtt_ns)
        self.una = max(self.una, ack.following)
        return got

    def _unmark(self, segment: Segment) -> None:
        if segment.resent:
            segment.resent = False
            self.resent -= 1
        if segment.lost:
            segment.lost = False
            self.lost -= 1

    def _arrived(self, now_ns: int, number: int, segment: Segment, min_rtt_ns: int) -> None:
        rtt_ns = now_ns - segment.sent_ns
        if segment.ever_resent and rtt_ns < min_rtt_ns:
            return  # it may have been the original that arrived
        self._advanced = True
        self._newest_rtt_ns = rtt_ns
        self._newest = max(self._newest, (segment.sent_ns, number))

    def find_lost(self, now_ns: int, slack_ns: int, *, if_news: bool) -> int:
        """Mark what should have arrived by now; return how long to wait for the rest, 0 for none.

        Args:
            now_ns: The present.
            slack_ns: How much later than its successors a segment may arrive.
            if_news: Whether to look only if something has arrived since the last look.
        """
        if if_news:
            if not self._advanced:
                return 0
            self._advanced = False
        wait_ns = 0
        for number, segment in self.segments.items():
            if segment.sacked or (segment.lost and not segment.resent):
                continue
            if (segment.sent_ns, number) >= self._newest:
                continue
            left_ns = self._newest_rtt_ns + slack_ns - (now_ns - segment.sent_ns)
            if left_ns <= 0:
                self._lose(segment)
            else:
                wait_ns = max(wait_ns, left_ns)
        return wait_ns

    def lose_old(self, now_ns: int) -> None:
        """Mark the head lost, and everything that is older than the last round trip."""
        head = self.head
        for segment in self.segments.values():
            young = now_ns - segment.sent_ns < self._newest_rtt_ns
            if not segment.sacked and (segment is head or not young):
                self._lose(segment)

    def _lose(self, segment: Segment) -> None:
        if segment.resent:
            segment.resent = False
            self.resent -= 1
        self.ever_lost += 1
        if not segment.lost:
            segment.lost = True
            self.lost += 1

    def lose_nothing(self) -> None:
        """Take back every mark of loss."""
        for segment in self.segments.values():
            segment.lost = False
        self.lost = 0
