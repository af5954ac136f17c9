"""The sending half of a TCP connection: what may leave, and when.

The window as Linux handles it in `net/ipv4/tcp_output.c`: slow start's restart after idle time
(`tcp_cwnd_restart`), the rule that a window grows only while it is in use (`tcp_cwnd_validate`),
the waiting for bursts of two segments (`tcp_tso_should_defer`), and the one timer that serves
retransmission, tail loss probes and reordering. What acknowledgements do is in `sender.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from testbed.links.tcp.congestion import CongestionControl, Window
from testbed.links.tcp.rtt import RTO_MIN_NS, TICK_NS, RoundTrips, rings_ns
from testbed.links.tcp.scoreboard import Scoreboard

MSS_BYTES = 1448
"""Payload of a full segment: 1500 less 20 of IP, 20 of TCP and 12 of timestamps."""

TIMEOUT_MIN_NS = 2 * TICK_NS
_OFFLOAD_BYTES = 65_536  # the most that is handed to the device at once
_DEFER_NS = 1_000_000


class State(Enum):
    """Where a sender stands (`tcp_ca_state`)."""

    OPEN = 0
    DISORDER = 1
    CWR = 2
    RECOVERY = 3
    LOSS = 4


class Timer(Enum):
    """What the one timer of a connection is for."""

    NONE = 0
    RETRANSMIT = 1
    PROBE = 2
    REORDER = 3


class Output:
    """The window, what leaves through it, and the timer.

    Args:
        control: Congestion control, of its own.
        initial_window: Segments.
        idle_restart: Whether the window falls back after a timeout's worth of idle time.
        transmit: Called with the time and the number of each segment that leaves.
    """

    def __init__(
        self,
        control: CongestionControl,
        initial_window: int,
        idle_restart: bool,
        transmit: Callable[[int, int], None],
    ) -> None:
        self.window = Window(initial_window)
        self.state = State.OPEN
        self.board = Scoreboard()
        self.trips = RoundTrips()
        self.available = 0  # segments the application has handed over
        self.timer_ns: int | None = None
        self._timer = Timer.NONE
        self._control = control
        self._initial_window = initial_window
        self._idle_restart = idle_restart
        self._transmit = transmit
        self._last_sent_ns = 0
        self._in_full_use = False  # the window was the limit when last looked at
        self._most_out = 0  # segments out at most, while it was not
        self._usage_mark = 0
        self._used = 0
        self._validated_ns = 0
        self._prr_out = 0  # segments sent since the present reduction began
        self._first_resent_ns: int | None = None

    def connected(self, now_ns: int, rtt_ns: int) -> None:
        """Begin with the round trip that the handshake measured."""
        self._last_sent_ns = self._validated_ns = now_ns
        self.trips.learn(rtt_ns, 0, 0)

    def greeted(self, rtt_ns: int) -> None:
        """Let the congestion control know the round trip of a few bytes on an empty path."""
        self._control.measured(self.window, rtt_ns, 0, 0, 0)

    def push(self, now_ns: int, segments: int) -> None:
        """Take over `segments` more from the application and send what may leave."""
        if self._idle_restart and self.board.out == 0:
            idle_ns = now_ns - self._last_sent_ns
            if idle_ns > self.trips.rto_ns:
                self._restart(idle_ns)
        self.available += segments
        self._send_new(now_ns)

    def used(self, now_ns: int, segments: int, out: int) -> int:
        """Note that `segments` went through the window on another path, all at once.

        Args:
            now_ns: When.
            segments: How many.
            out: How many are in flight with them.

        Returns:
            By how much the window grows until they are acknowledged.
        """
        window = self.window
        self._last_sent_ns = now_ns
        self._validate(now_ns, out >= window.cwnd, out)
        before = window.cwnd
        if self._limited() and window.in_slow_start:
            # It grows, two segments per acknowledgement, to twice what was in flight.
            lacking = max(0, 2 * segments - window.cwnd)
            window.slow_start(min(lacking + lacking % 2, segments))
        return window.cwnd - before

    def adopt(self, sent_ns: int, segments: int, grown: int) -> None:
        """Take over segments of `used` that are not acknowledged yet.

        Args:
            sent_ns: When they went.
            segments: How many.
            grown: What `used` returned, which their acknowledgements are going to do.
        """
        idle = self.board.out == 0
        self.window.cwnd -= grown
        self.available += segments
        for _ in range(segments):
            self.board.sent(sent_ns)
        if idle:
            self._arm_retransmit(sent_ns)
        self._arm_probe(sent_ns, advancing=False)

    def _restart(self, idle_ns: int) -> None:
        window = self.window
        window.ssthresh = self._kept_threshold()
        floor = min(self._initial_window, window.cwnd)
        idle_ns -= self.trips.rto_ns
        while idle_ns > 0 and window.cwnd > floor:
            window.cwnd >>= 1
            idle_ns -= self.trips.rto_ns
        window.cwnd = max(window.cwnd, floor)
        self._used = 0

    def _kept_threshold(self) -> int:
        window = self.window
        if self._reducing:
            return window.ssthresh
        return max(window.ssthresh, (window.cwnd >> 1) + (window.cwnd >> 2))

    @property
    def _reducing(self) -> bool:
        return self.state in (State.CWR, State.RECOVERY)

    # -- sending -------------------------------------------------------------------------------

    def _send(self, now_ns: int, number: int) -> None:
        if self.board.in_flight == 0:
            self._control.resumed(now_ns, self._last_sent_ns)
        self._last_sent_ns = now_ns
        self._transmit(now_ns, number)

    def _send_new(self, now_ns: int, *, probe: bool = False) -> None:
        """Send what the window allows, or one segment whatever it allows."""
        board = self.board
        first = board.following
        if first == self.available:
            return
        full = False
        burst = self._burst()
        limit = first + 1 if probe else self.available
        while board.following < limit:
            room = 1 if probe else self.window.cwnd - board.in_flight
            if room <= 0:
                break
            left = limit - board.following
            if left > 1 and self._defers(now_ns, room, burst):
                full = True
                break
            idle = board.out == 0
            for _ in range(min(room, burst, left)):
                self._send(now_ns, board.following)
                board.sent(now_ns)
            if idle or self._timer is Timer.PROBE:
                self._arm_retransmit(now_ns)
        full = full or board.in_flight >= self.window.cwnd
        sent = board.following - first
        if sent or full:
            self._validate(now_ns, full, board.out)
        if sent:
            if self._reducing:
                self._prr_out += sent
            if not probe:
                self._arm_probe(now_ns, advancing=False)

    def _burst(self) -> int:
        """Return how many segments the kernel likes to send at once (`tcp_tso_autosize`)."""
        window = self.window
        percent = 200 if 2 * window.cwnd < window.ssthresh else 120
        rtt_ns = max(1, self.trips.smoothed_ns)
        paced = max(window.cwnd, self.board.out) * MSS_BYTES * percent * 10_000_000 // rtt_ns >> 10
        steps = self.trips.min_ns // 1000 >> 9
        if steps < 32:
            paced += _OFFLOAD_BYTES >> steps
        return max(2, min(paced, _OFFLOAD_BYTES) // MSS_BYTES)

    def _defers(self, now_ns: int, room: int, burst: int) -> bool:
        """Say whether a small burst waits for the next acknowledgement to let it grow.

        It does if something has just been sent and that acknowledgement is due or overdue.
        """
        if room >= burst or self.state in (State.RECOVERY, State.LOSS) or not self.board.out:
            return False
        if now_ns - self._last_sent_ns > _DEFER_NS or 3 * room >= self.window.cwnd:
            return False
        rtt_ns = self.trips.smoothed_ns
        return self.board.head.sent_ns + rtt_ns - now_ns <= min(rtt_ns >> 1, _DEFER_NS)

    def _validate(self, now_ns: int, full: bool, out: int) -> None:
        """Keep track of how much of the window is used; let go of what has not been for long."""
        if (
            self.board.una >= self._usage_mark
            or full
            or (not self._in_full_use and out > self._most_out)
        ):
            self._in_full_use = full
            self._most_out = out
            self._usage_mark = self.board.following
        if self._limited():
            self._used = 0
            self._validated_ns = now_ns
            return
        self._used = max(self._used, out)
        if self._idle_restart and now_ns - self._validated_ns >= self.trips.rto_ns:
            window = self.window
            if self.state is State.OPEN:
                used = max(self._used, self._initial_window)
                if used < window.cwnd:
                    window.ssthresh = self._kept_threshold()
                    window.cwnd = (window.cwnd + used) >> 1
                self._used = 0
            self._validated_ns = now_ns

    def _limited(self) -> bool:
        if self._in_full_use:
            return True
        return self.window.in_slow_start and self.window.cwnd < 2 * self._most_out

    def _resend_lost(self, now_ns: int) -> None:
        board = self.board
        head_resent = False
        for number in range(board.una, board.following):
            if self.window.cwnd <= board.in_flight or board.resent >= board.lost:
                break
            segment = board.segments[number]
            if segment.lost and not segment.resent:
                self._resend(now_ns, number)
                self._prr_out += self._reducing
                head_resent = head_resent or number == board.una
        if head_resent and self._timer is not Timer.REORDER:
            self._set_timer(Timer.RETRANSMIT, now_ns, self.trips.rto_ns)

    def _resend(self, now_ns: int, number: int) -> None:
        self._send(now_ns, number)
        self.board.sent_again(now_ns, number)
        if self._first_resent_ns is None:
            self._first_resent_ns = now_ns

    # -- the timer -----------------------------------------------------------------------------

    def _set_timer(self, kind: Timer, now_ns: int, wait_ns: int) -> None:
        self._timer = kind
        self.timer_ns = rings_ns(now_ns, wait_ns)

    def _arm_retransmit(self, now_ns: int) -> None:
        if not self.board.out:
            self._timer, self.timer_ns = Timer.NONE, None
            return
        wait_ns = self.trips.rto_ns
        if self._timer in (Timer.REORDER, Timer.PROBE):
            wait_ns = max(self._until_timeout(now_ns), 1)
        self._set_timer(Timer.RETRANSMIT, now_ns, wait_ns)

    def _until_timeout(self, now_ns: int) -> int:
        return self.board.head.sent_ns + self.trips.rto_ns - now_ns

    def _arm_probe(self, now_ns: int, *, advancing: bool) -> bool:
        """Set the timer for a tail loss probe; False where none is due."""
        out = self.board.out
        if not out or self.state not in (State.OPEN, State.CWR):
            return False
        wait_ns = 2 * self.trips.smoothed_ns
        wait_ns += RTO_MIN_NS if out == 1 else TIMEOUT_MIN_NS
        until_ns = self.trips.rto_ns if advancing else self._until_timeout(now_ns)
        if until_ns > 0:
            wait_ns = min(wait_ns, until_ns)
        self._set_timer(Timer.PROBE, now_ns, wait_ns)
        return True
