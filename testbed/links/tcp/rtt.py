"""How long a round trip takes, and how long to wait for one (`tcp_rtt_estimator`, RFC 6298)."""

from __future__ import annotations

TICK_NS = 4_000_000
"""The kernel's clock for timers and cubic's epoch: HZ = 250, the default of Debian and Ubuntu."""

RTO_MIN_NS = 200_000_000
RTO_MAX_NS = 120_000_000_000


def ticks(duration_ns: int) -> int:
    """Round a duration up to whole ticks of the kernel's clock."""
    return -(-duration_ns // TICK_NS) * TICK_NS


def rings_ns(now_ns: int, wait_ns: int) -> int:
    """Return when a timer of the kernel rings that is set now (`kernel/time/timer.c`).

    It counts whole ticks, never rings early, and is the less exact the longer it is: from 63 ticks
    on it rings at every eighth tick, from 504 on at every 64th. So a wait of 200 ms becomes 200 to
    204, and one of a second 1.000 to 1.032 (measured on Linux 6.18: 60 repeated SYNs after 1.0005
    to 1.0302 s). The ticks are those of time zero, as good as any.
    """
    count = ticks(wait_ns) // TICK_NS
    grain = 1
    while count >= 63 * grain:
        grain *= 8
    return ((now_ns // TICK_NS + count) // grain + 1) * grain * TICK_NS


class RoundTrips:
    """Smoothed round trip, its deviation, and the timeout that follows from them."""

    __slots__ = ("_mark", "_mdev_max_ns", "_mdev_ns", "_rttvar_ns", "_srtt_ns", "min_ns", "rto_ns")

    def __init__(self) -> None:
        self.rto_ns = 1_000_000_000
        self.min_ns = 1 << 62
        self._srtt_ns = 0  # eight times the smoothed round trip
        self._mdev_ns = self._mdev_max_ns = self._rttvar_ns = 0  # four times the deviation
        self._mark = 0

    @property
    def smoothed_ns(self) -> int:
        """The smoothed round trip; 0 before the first."""
        return self._srtt_ns >> 3

    def learn(self, rtt_ns: int, una: int, following: int) -> None:
        """Take in a round trip.

        Args:
            rtt_ns: As measured.
            una: First segment not acknowledged.
            following: Next segment never sent; the deviation may fall once per round trip.
        """
        if self._srtt_ns:
            error = rtt_ns - (self._srtt_ns >> 3)
            self._srtt_ns += error
            if error < 0:
                error = -error - (self._mdev_ns >> 2)
                if error > 0:
                    error >>= 3  # a fall of the round trip is no reason for a longer timeout
            else:
                error -= self._mdev_ns >> 2
            self._mdev_ns += error
            if self._mdev_ns > self._mdev_max_ns:
                self._mdev_max_ns = self._mdev_ns
                self._rttvar_ns = max(self._rttvar_ns, self._mdev_max_ns)
            if una > self._mark:
                if self._mdev_max_ns < self._rttvar_ns:
                    self._rttvar_ns -= (self._rttvar_ns - self._mdev_max_ns) >> 2
                self._mark = following
                self._mdev_max_ns = RTO_MIN_NS
        else:
            self._srtt_ns = rtt_ns << 3
            self._mdev_ns = rtt_ns << 1
            self._rttvar_ns = self._mdev_max_ns = max(self._mdev_ns, RTO_MIN_NS)
            self._mark = following
        self._srtt_ns = max(8, self._srtt_ns)
        self.rto_ns = min(ticks((self._srtt_ns >> 3) + self._rttvar_ns), RTO_MAX_NS)

    def back_off(self) -> None:
        """Double the timeout, until the next round trip is known."""
        self.rto_ns = min(2 * self.rto_ns, RTO_MAX_NS)
