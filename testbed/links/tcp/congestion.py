"""Congestion control as Linux does it: how the window grows, and how far it falls on a loss.

Windows are counted in segments, as in the kernel. Sources: Linux 6.x `net/ipv4/tcp_cubic.c` and
`tcp_cong.c`; S. Ha, I. Rhee, L. Xu, "CUBIC", ACM SIGOPS OSR 2008; S. Ha, I. Rhee, "Taming the
elephants: new TCP slow start" (HyStart), Computer Networks 2011; RFC 5681 (Reno).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from testbed.links.tcp.rtt import TICK_NS

INFINITE = 0x7FFFFFFF
"""A slow-start threshold that has never been set."""


@dataclass(slots=True)
class Window:
    """What a sender may have in flight.

    Args:
        cwnd: Congestion window, segments.
        ssthresh: Below it the window doubles each round trip.
        count: Acknowledged segments saved up for the next step of a linear growth.
    """

    cwnd: int
    ssthresh: int = INFINITE
    count: int = 0

    @property
    def in_slow_start(self) -> bool:
        """Whether the window is below its threshold."""
        return self.cwnd < self.ssthresh

    def slow_start(self, acked: int) -> int:
        """Grow by a segment for each acknowledged one; return how many were not needed for it."""
        cwnd = min(self.cwnd + acked, self.ssthresh)
        left = acked - (cwnd - self.cwnd)
        self.cwnd = cwnd
        return left

    def grow_linearly(self, per_step: int, acked: int) -> None:
        """Grow by a segment for every `per_step` acknowledged ones (`tcp_cong_avoid_ai`)."""
        if self.count >= per_step:
            self.count = 0
            self.cwnd += 1
        self.count += acked
        if self.count >= per_step:
            steps, self.count = divmod(self.count, per_step)
            self.cwnd += steps


class CongestionControl(Protocol):
    """What a sender asks of its congestion control."""

    def acknowledged(self, window: Window, acked: int, now_ns: int) -> None:
        """Grow the window: `acked` segments have arrived and the window was in full use."""

    def measured(self, window: Window, rtt_ns: int, now_ns: int, una: int, following: int) -> None:
        """Learn a round trip, when `una` was not acknowledged and `following` not sent yet."""

    def threshold(self, window: Window) -> int:
        """Return the window to fall to on a loss."""

    def timed_out(self, now_ns: int, following: int) -> None:
        """Forget the path: a retransmission timeout."""

    def resumed(self, now_ns: int, last_sent_ns: int) -> None:
        """Learn that a segment is about to leave after nothing was in flight."""


class Reno:
    """Additive increase, halving on a loss (RFC 5681)."""

    def __init__(self, scatter_ns: int = 0) -> None:
        pass

    def acknowledged(self, window: Window, acked: int, now_ns: int) -> None:
        """Double the window in a round trip, or add a segment to it."""
        if window.in_slow_start:
            acked = window.slow_start(acked)
            if not acked:
                return
        window.grow_linearly(window.cwnd, acked)

    def measured(self, window: Window, rtt_ns: int, now_ns: int, una: int, following: int) -> None:
        """Do nothing; Reno knows only losses."""

    def threshold(self, window: Window) -> int:
        """Return half the window."""
        return max(window.cwnd >> 1, 2)

    def timed_out(self, now_ns: int, following: int) -> None:
        """Do nothing; there is nothing to forget."""

    def resumed(self, now_ns: int, last_sent_ns: int) -> None:
        """Do nothing; an idle time is no reason to grow."""


_BETA = 717  # of 1024: what a loss leaves of the window
_RENO_SCALE = 15  # 8 * (1024 + 717) / 3 / (1024 - 717)
_CUBE_SCALE = 410  # C = 0.4, in units of 2^-40 segments per (1/1024 s)³
_LOW_WINDOW = 16  # HyStart stays out below it
_TRAIN_GAP_NS = 2_000_000
_TRAIN_SLACK_NS = 1_000_000  # what segmentation offload may hold an acknowledgement back
_MIN_SAMPLES = 8
_DELAY_MIN_NS, _DELAY_MAX_NS = 4_000_000, 16_000_000


class Cubic:
    """CUBIC with HyStart, Linux's default.

    Args:
        scatter_ns: By how much the shortest of many round trips lies below what is usual, because
            hosts are late by varying amounts. Without it HyStart's comparison of the two would be
            free of the luck that every real connection has after a few hundred segments.
    """

    def __init__(self, scatter_ns: int = 0) -> None:
        self._scatter_ns = scatter_ns
        self._delay_min_ns = 0
        self._found = False  # HyStart has ended a slow start; only a timeout makes it look again
        self._reset_epoch()
        self._round_start_ns = self._last_ack_ns = 0
        self._round_end = 0
        self._round_rtt_ns = 0
        self._samples = 0

    def _reset_epoch(self) -> None:
        self._last_max = 0
        self._epoch_ns = 0  # 0: not begun
        self._last_cwnd = 0
        self._last_update_ns = -1
        self._origin = 0
        self._k = 0  # 1/1024 s
        self._per_step = 0
        self._reno_cwnd = 0
        self._reno_acked = 0

    def acknowledged(self, window: Window, acked: int, now_ns: int) -> None:
        """Double the window in a round trip, or follow the cubic curve."""
        if window.in_slow_start:
            acked = window.slow_start(acked)
            if not acked:
                return
        self._update(window.cwnd, acked, now_ns)
        window.grow_linearly(self._per_step, acked)

    def _update(self, cwnd: int, acked: int, now_ns: int) -> None:
        self._reno_acked += acked
        tick = now_ns // TICK_NS
        if self._last_cwnd == cwnd and now_ns - self._last_update_ns <= 7 * TICK_NS:
            return
        if not (self._epoch_ns and tick == self._last_update_ns // TICK_NS):
            self._last_cwnd = cwnd
            self._last_update_ns = now_ns
            if self._epoch_ns == 0:
                self._epoch_ns = now_ns
                self._reno_acked = acked
                self._reno_cwnd = cwnd
                if self._last_max <= cwnd:
                    self._k = 0
                    self._origin = cwnd
                else:
                    self._k = round(((self._last_max - cwnd) * 2**40 / _CUBE_SCALE) ** (1 / 3))
                    self._origin = self._last_max
            at = (now_ns - self._epoch_ns + self._delay_min_ns) * 1024 // 1_000_000_000
            step = (_CUBE_SCALE * abs(at - self._k) ** 3) >> 40
            target = self._origin - step if at < self._k else self._origin + step
            self._per_step = cwnd // (target - cwnd) if target > cwnd else 100 * cwnd
            if self._last_max == 0:
                self._per_step = min(self._per_step, 20)  # nothing known: 5 % per round trip
        # Never slower than Reno would be.
        per_segment = (cwnd * _RENO_SCALE) >> 3
        if self._reno_acked > per_segment:
            steps = (self._reno_acked - 1) // per_segment
            self._reno_acked -= steps * per_segment
            self._reno_cwnd += steps
        if self._reno_cwnd > cwnd:
            self._per_step = min(self._per_step, cwnd // (self._reno_cwnd - cwnd))
        self._per_step = max(self._per_step, 2)

    def measured(self, window: Window, rtt_ns: int, now_ns: int, una: int, following: int) -> None:
        """Keep the shortest round trip, and let HyStart look for the end of slow start."""
        if self._epoch_ns and now_ns - self._epoch_ns < 1_000_000_000:
            return  # right after a recovery delays say little
        if self._delay_min_ns == 0 or rtt_ns < self._delay_min_ns:
            self._delay_min_ns = rtt_ns
        if not self._found and window.in_slow_start:
            self._hystart(window, rtt_ns, now_ns, una, following)

    def _hystart(self, window: Window, rtt_ns: int, now_ns: int, una: int, following: int) -> None:
        if una > self._round_end:
            self._new_round(now_ns, following)
        if window.cwnd < _LOW_WINDOW:
            return
        # A train: acknowledgements in close succession for half of the shortest round trip.
        if now_ns - self._last_ack_ns <= _TRAIN_GAP_NS:
            self._last_ack_ns = now_ns
            if now_ns - self._round_start_ns > (self._delay_min_ns + _TRAIN_SLACK_NS) // 2:
                self._found = True
                window.ssthresh = window.cwnd
        # A queue: the first round trips of a round are longer than the shortest ever.
        self._round_rtt_ns = min(self._round_rtt_ns, rtt_ns)
        if self._samples < _MIN_SAMPLES:
            self._samples += 1
            return
        shortest_ns = self._delay_min_ns - self._scatter_ns
        slack_ns = min(max(shortest_ns >> 3, _DELAY_MIN_NS), _DELAY_MAX_NS)
        if self._round_rtt_ns > shortest_ns + slack_ns:
            self._found = True
            window.ssthresh = window.cwnd

    def _new_round(self, now_ns: int, following: int) -> None:
        self._round_start_ns = self._last_ack_ns = now_ns
        self._round_end = following
        self._round_rtt_ns = 1 << 62
        self._samples = 0

    def threshold(self, window: Window) -> int:
        """Return 0.7 of the window; remember where the loss was."""
        self._epoch_ns = 0
        cwnd = window.cwnd
        # Fast convergence: a flow that lost below its last maximum makes room for others.
        self._last_max = cwnd * (1024 + _BETA) // 2048 if cwnd < self._last_max else cwnd
        return max(cwnd * _BETA // 1024, 2)

    def timed_out(self, now_ns: int, following: int) -> None:
        """Forget the curve; the shortest round trip is forgotten with it."""
        self._reset_epoch()
        self._delay_min_ns = 0
        self._found = False
        self._new_round(now_ns, following)

    def resumed(self, now_ns: int, last_sent_ns: int) -> None:
        """Stop the curve's clock for as long as nothing was sent."""
        if self._epoch_ns:
            self._epoch_ns = min(self._epoch_ns + max(0, now_ns - last_sent_ns), now_ns)


CONTROLS: dict[str, type[Cubic | Reno]] = {"cubic": Cubic, "reno": Reno}
