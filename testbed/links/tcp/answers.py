"""What the answers of a server cost the way of the payloads: their acknowledgements.

A client acknowledges an answer with 52 bytes, which share the link with its payloads. As Linux does
it (`tcp_cleanup_rbuf`, `tcp_event_data_sent`, `tcp_delack_timer`): at once when the application has
read it, unless the two are in a dialogue, where the client has sent data within 40 ms of an answer.
Then an acknowledgement waits for data to ride on, for 40 ms or until the next answer is there; if
none comes the dialogue is over.
"""

from __future__ import annotations

from testbed.links.tcp.output import MSS_BYTES
from testbed.links.tcp.receiver import Pace


class Answers:
    """The client's receiving half of one connection.

    Args:
        rtt_ns: Round trip without queues.

    Attributes:
        timer_ns: When an acknowledgement has waited long enough; None if none waits.
    """

    __slots__ = ("_dialogue", "_pace", "timer_ns")

    def __init__(self, rtt_ns: int) -> None:
        self.timer_ns: int | None = None
        self._dialogue = False
        self._pace = Pace(rtt_ns)

    def heard(self, now_ns: int, size_bytes: int) -> int:
        """Take in an answer; return how many acknowledgements leave at once.

        Of an answer of several segments every second one is acknowledged.
        """
        self._pace.heard(now_ns)
        pairs, odd = divmod(-(-size_bytes // MSS_BYTES), 2)
        if not odd:
            self.timer_ns = None
            return pairs
        if self._dialogue and self.timer_ns is None:
            self.timer_ns = self._pace.rings_ns(now_ns)
            return pairs
        self.timer_ns = None
        return pairs + 1

    def spoke(self, now_ns: int) -> None:
        """Let a segment of data leave, which acknowledges everything."""
        last_ns = self._pace.last_ns
        if last_ns is not None and now_ns - last_ns < self._pace.delay_ns:
            self._dialogue = True
        self.timer_ns = None

    def ring(self) -> None:
        """Let an acknowledgement leave that has waited long enough."""
        self.timer_ns = None
        self._pace.missed(dialogue=self._dialogue)
        self._dialogue = False
