"""The sending half of a TCP connection: what acknowledgements and timeouts mean.

A sender is told what was handed to it, what was acknowledged and when its timer rang, and says
which segment to transmit; it knows nothing of links. Everything is counted in segments and
numbered from 0.

Modelled, as in Linux 6.x `net/ipv4/tcp_input.c` and `tcp_timer.c`: selective acknowledgements and
RACK, tail loss probes (RFC 8985), proportional rate reduction (RFC 6937), timeouts with F-RTO
(RFC 5682) and the undoing of false ones by timestamps (Eifel, RFC 4015). Not modelled: the
receiver's window (taken to be large enough), ECN, pacing, path MTU.
"""

from __future__ import annotations

from collections.abc import Callable

from testbed.links.tcp.congestion import INFINITE, CongestionControl
from testbed.links.tcp.output import TIMEOUT_MIN_NS, Output, State, Timer
from testbed.links.tcp.scoreboard import Ack, Taken

_DUP_THRESHOLD = 3


class Sender(Output):
    """One direction of one connection.

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
        super().__init__(control, initial_window, idle_restart, transmit)
        self._high = 0  # what was to follow when the present state began
        self._probe_mark = 0  # 0: no probe outstanding
        self._probe_was_old = False
        self._frto = False
        self._timeouts = 0
        self._prr_delivered = 0
        self._prior_cwnd = self._prior_ssthresh = 0
        self._undo = False  # the present reduction may still prove to be a mistake

    def acknowledge(self, now_ns: int, ack: Ack) -> None:
        """Take in an acknowledgement and send what it allows."""
        board = self.board
        if ack.following < board.una:
            return
        was_out, lost_before = board.out, board.ever_lost
        advanced = ack.following > board.una
        got = board.take(now_ns, ack, self._high, self.trips.min_ns)
        if advanced:
            self._timeouts = 0
        self._learn_rtt(now_ns, ack, got, advanced)
        resend = push_new = False
        rearm = advanced
        suspicious = not advanced or got.sacked or ack.duplicate or self.state is not State.OPEN
        if suspicious and was_out:
            resend, push_new, waits = self._alert(now_ns, ack, got, advanced)
            rearm = advanced and not waits
        if self._probe_mark:
            self._after_probe(ack, advanced, got)
        if rearm and not self._arm_probe(now_ns, advancing=True):
            self._arm_retransmit(now_ns)
        if self._reducing:
            self._reduce(got.delivered, board.ever_lost - lost_before, advanced)
        elif advanced and got.delivered and self._limited():
            self._control.acknowledged(self.window, got.delivered, now_ns)
        if push_new:
            self._send_new(now_ns)
            resend = board.following <= self._high
            if resend:
                self._frto = False
        if resend:
            self._resend_lost(now_ns)
        self._send_new(now_ns)

    def _learn_rtt(self, now_ns: int, ack: Ack, got: Taken, advanced: bool) -> None:
        """Take the round trip of the oldest segment for timeouts, of the newest for the rest."""
        sacked_ns = got.sacked_ns
        if got.acked_ns and not got.resent:
            oldest_ns, newest_ns = got.acked_ns[0], (sacked_ns or got.acked_ns)[-1]
        elif sacked_ns:
            oldest_ns, newest_ns = sacked_ns[0], sacked_ns[-1]
        elif advanced:
            oldest_ns = newest_ns = ack.echo_ns
        else:
            return
        una, following = self.board.una, self.board.following
        self.trips.min_ns = min(self.trips.min_ns, now_ns - newest_ns)
        self.trips.learn(now_ns - oldest_ns, una, following)
        self._control.measured(self.window, now_ns - newest_ns, now_ns, una, following)

    # -- states --------------------------------------------------------------------------------

    def _alert(self, now_ns: int, ack: Ack, got: Taken, advanced: bool) -> tuple[bool, bool, bool]:
        """Change state on a suspicious acknowledgement (`tcp_fastretrans_alert`).

        Return whether to resend what is lost, whether to try new data first, and whether the
        timer has been set to look for losses later.
        """
        if self.state is State.OPEN:
            self._first_resent_ns = None
        elif self.state is State.RECOVERY and self.board.una >= self._high:
            if self._try_undo(ack):
                return False, False, False
            self._end_reduction()
            self.state = State.OPEN
        if self.state is State.LOSS:
            resend, push_new = self._after_timeout(ack, got, advanced)
            resent = self.board.resent
            waits = self._detect_losses(now_ns)
            if self.state is State.LOSS and self.board.resent >= resent:
                return resend, push_new, waits
        else:
            waits = self._detect_losses(now_ns)
            if self.state is State.RECOVERY:
                return True, False, waits
        if not self.board.lost:
            self._try_open()
            return False, False, waits
        self._enter_recovery()
        return True, False, waits

    def _detect_losses(self, now_ns: int) -> bool:
        """Mark what is lost; True if the timer was set because more may turn out to be."""
        if not self.board.out:
            return False
        wait_ns = self.board.find_lost(now_ns, self._slack_ns(), if_news=True)
        if wait_ns:
            self._set_timer(Timer.REORDER, now_ns, wait_ns + TIMEOUT_MIN_NS)
        return wait_ns > 0

    def _slack_ns(self) -> int:
        if self.state in (State.RECOVERY, State.LOSS) or self.board.sacked >= _DUP_THRESHOLD:
            return 0  # links here never reorder
        return min(self.trips.min_ns >> 2, self.trips.smoothed_ns)

    def _try_open(self) -> None:
        board = self.board
        if board.sacked or board.lost or board.resent:
            if self.state is State.OPEN:
                self.state = State.DISORDER
                self._high = board.following
        else:
            self.state = State.OPEN
            self._high = board.following

    # -- reductions of the window --------------------------------------------------------------

    def _enter_recovery(self) -> None:
        if not self._reducing:
            self._prior_ssthresh = self._kept_threshold()
            self._begin_reduction()
        self._undo = True
        self.state = State.RECOVERY

    def _begin_reduction(self) -> None:
        window = self.window
        self._high = self.board.following
        self._probe_mark = 0
        window.count = 0
        self._prior_cwnd = window.cwnd
        self._prr_delivered = self._prr_out = 0
        window.ssthresh = self._control.threshold(window)

    def _reduce(self, delivered: int, newly_lost: int, advanced: bool) -> None:
        """Set the window so that it shrinks in proportion to what arrives (RFC 6937)."""
        if delivered <= 0:
            return
        window = self.window
        in_flight = self.board.in_flight
        room = window.ssthresh - in_flight
        self._prr_delivered += delivered
        if room < 0:
            share = -(-window.ssthresh * self._prr_delivered // self._prior_cwnd)
            may = share - self._prr_out
        else:
            may = max(self._prr_delivered - self._prr_out, delivered)
            if advanced and not newly_lost:
                may += 1
            may = min(room, may)
        window.cwnd = in_flight + max(may, 0 if self._prr_out else 1)

    def _end_reduction(self) -> None:
        if self.window.ssthresh < INFINITE and (self.state is State.CWR or self._undo):
            self.window.cwnd = self.window.ssthresh

    def _try_undo(self, ack: Ack) -> bool:
        """Take a reduction back if its first retransmission was not needed (Eifel)."""
        early = self._first_resent_ns is not None and ack.echo_ns < self._first_resent_ns
        if self._undo and early:
            self._undo_reduction()
            return True
        return False

    def _undo_reduction(self) -> None:
        self.board.lose_nothing()
        window = self.window
        window.cwnd = max(window.cwnd, self._prior_cwnd)
        window.ssthresh = max(window.ssthresh, self._prior_ssthresh)
        self._undo = False
        self._timeouts = 0
        self.state = State.OPEN

    def _after_timeout(self, ack: Ack, got: Taken, advanced: bool) -> tuple[bool, bool]:
        """Find out whether a timeout was justified (F-RTO), and go on.

        Return whether to resend what is lost, and whether to try new data first.
        """
        board = self.board
        recovered = board.una >= self._high
        if advanced and self._try_undo(ack):
            return False, False
        if self._frto:
            if got.original and self._undo:
                self._undo_reduction()
                return False, False
            if board.following > self._high:
                if got.sacked or not (advanced or ack.duplicate):
                    self._frto = False
            elif advanced and not recovered:
                self._high = board.following
                if self.available > board.following:
                    return False, True
                self._frto = False
        if recovered:
            self.state = State.OPEN
            self._undo = False
            return False, False
        return True, False

    # -- timers --------------------------------------------------------------------------------

    def ring(self, now_ns: int) -> None:
        """Do what the timer was set for."""
        kind = self._timer
        self._timer, self.timer_ns = Timer.NONE, None
        if not self.board.out:
            return
        if kind is Timer.PROBE:
            self._probe(now_ns)
        elif kind is Timer.REORDER:
            self._after_wait(now_ns)
        else:
            self._time_out(now_ns)

    def _probe(self, now_ns: int) -> None:
        """Send something, so that the loss of the last segments does not go unnoticed."""
        board = self.board
        if self._probe_mark:
            self._timer = Timer.PROBE  # the timeout counts from when the head was sent
        else:
            self._probe_was_old = self.available == board.following
            if self._probe_was_old:
                self._resend(now_ns, board.following - 1)
            else:
                self._send_new(now_ns, probe=True)
            self._probe_mark = board.following
            self._timer = Timer.NONE
        self._arm_retransmit(now_ns)

    def _after_probe(self, ack: Ack, advanced: bool, got: Taken) -> None:
        mark = self._probe_mark
        if ack.following < mark:
            return
        if not self._probe_was_old or ack.duplicate:
            self._probe_mark = 0
        elif ack.following > mark:
            # The probe filled a hole: a loss that nobody noticed.
            self._begin_reduction()
            self.state = State.CWR
            self._end_reduction()
            self.state = State.OPEN
            self._try_open()
        elif not advanced and not got.sacked:
            self._probe_mark = 0

    def _after_wait(self, now_ns: int) -> None:
        in_flight = self.board.in_flight
        self.board.find_lost(now_ns, self._slack_ns(), if_news=False)
        self._timer = Timer.REORDER
        if in_flight != self.board.in_flight:
            if self.state is not State.RECOVERY:
                self._enter_recovery()
                self._reduce(1, 0, advanced=False)
            self._resend_lost(now_ns)
        if self._timer is not Timer.RETRANSMIT:
            self._arm_retransmit(now_ns)

    def _time_out(self, now_ns: int) -> None:
        board, window = self.board, self.window
        fresh = self.state not in (State.RECOVERY, State.LOSS)
        board.lose_old(now_ns)
        if (
            self.state in (State.OPEN, State.DISORDER)
            or self._high <= board.una
            or (self.state is State.LOSS and not self._timeouts)
        ):
            self._prior_ssthresh = self._kept_threshold()
            self._prior_cwnd = window.cwnd
            window.ssthresh = self._control.threshold(window)
            self._undo = True
            self._first_resent_ns = None
        window.cwnd = board.in_flight + 1
        window.count = 0
        self._control.timed_out(now_ns, board.following)
        self._frto = fresh or self._timeouts > 0
        self.state = State.LOSS
        self._high = board.following
        self._timeouts += 1
        self._resend(now_ns, board.una)
        self.trips.back_off()
        self._set_timer(Timer.RETRANSMIT, now_ns, self.trips.rto_ns)
