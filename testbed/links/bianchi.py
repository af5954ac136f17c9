"""What contention costs in Wi-Fi: Bianchi's model of saturated stations.

G. Bianchi, "Performance analysis of the IEEE 802.11 distributed coordination function", IEEE JSAC
18(3), 2000. A station transmits in a slot with probability tau, and collides with probability p if
any of the others does too; both follow from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Dcf:
    """A set of 802.11 parameters. Durations in µs, sizes in bits; defaults are Bianchi's table II.

    Args:
        window: Slots of the smallest contention window (W).
        stages: How often the window doubles (m).
        payload_bits: Of a frame.
        mac_bits: MAC header.
        phy_us: Preamble and PHY header.
        ack_bits: Of an acknowledgement, without PHY header.
        rts_bits: Of a request to send; with `cts_bits` only used with `rts`.
        cts_bits: Of a clear to send.
        rate_mbps: At which payload and MAC header are sent.
        control_mbps: At which acknowledgements, RTS and CTS are sent.
        slot_us: An idle slot.
        sifs_us: Short interframe space.
        difs_us: DCF interframe space.
        propagation_us: Propagation.
        rts: Whether frames are announced by RTS and CTS.
    """

    window: int = 32
    stages: int = 3
    payload_bits: int = 8184
    mac_bits: int = 272
    phy_us: float = 128.0
    ack_bits: int = 112
    rts_bits: int = 160
    cts_bits: int = 112
    rate_mbps: float = 1.0
    control_mbps: float = 1.0
    slot_us: float = 50.0
    sifs_us: float = 28.0
    difs_us: float = 128.0
    propagation_us: float = 1.0
    rts: bool = False

    def attempt(self, collision: float) -> float:
        """Return tau, the probability to transmit in a slot, when a share `collision` collides.

        Equation 7, with the geometric sum written out: at p = 1/2 the closed form is 0/0.
        """
        doubled = sum((2 * collision) ** stage for stage in range(self.stages))
        return 2 / (1 + self.window + collision * self.window * doubled)

    def solve(self, stations: int) -> tuple[float, float]:
        """Return tau and p for a number of saturated stations, by bisection."""
        if stations < 1:
            raise ValueError(f"stations must be at least 1, not {stations}")
        low, high = 0.0, 1.0
        for _ in range(60):
            tau = (low + high) / 2
            if self.attempt(1 - (1 - tau) ** (stations - 1)) > tau:
                low = tau
            else:
                high = tau
        tau = (low + high) / 2
        return tau, 1 - (1 - tau) ** (stations - 1)

    @property
    def success_us(self) -> float:
        """How long a successful transmission keeps the channel busy (Ts, equations 14 and 17)."""
        frame = self.phy_us + (self.mac_bits + self.payload_bits) / self.rate_mbps
        ack = self.phy_us + self.ack_bits / self.control_mbps
        exchange = frame + self.sifs_us + ack + self.difs_us + 2 * self.propagation_us
        if self.rts:
            cts = self.phy_us + self.cts_bits / self.control_mbps
            exchange += self._rts_us + cts + 2 * self.sifs_us + 2 * self.propagation_us
        return exchange

    @property
    def collision_us(self) -> float:
        """How long a collision keeps the channel busy (Tc)."""
        if self.rts:
            return self._rts_us + self.difs_us + self.propagation_us
        frame = self.phy_us + (self.mac_bits + self.payload_bits) / self.rate_mbps
        return frame + self.difs_us + self.propagation_us

    @property
    def _rts_us(self) -> float:
        return self.phy_us + self.rts_bits / self.control_mbps

    def throughput(self, stations: int) -> float:
        """Return S, the share of the time in which payload bits are sent (equation 13)."""
        tau, _ = self.solve(stations)
        busy = 1 - (1 - tau) ** stations
        success = stations * tau * (1 - tau) ** (stations - 1)
        payload_us = self.payload_bits / self.rate_mbps
        slot_us = (
            (1 - busy) * self.slot_us
            + success * self.success_us
            + (busy - success) * self.collision_us
        )
        return success * payload_us / slot_us


PRESETS = {
    "bianchi-2000": Dcf(),
    # 12 000-bit frames at 54 Mbit/s, ERP-OFDM with short slots (IEEE 802.11-2016, table 18-5);
    # acknowledgements at 24 Mbit/s.
    "802.11g": Dcf(
        window=16,
        stages=6,
        payload_bits=12_000,
        phy_us=20.0,
        rate_mbps=54.0,
        control_mbps=24.0,
        slot_us=9.0,
        sifs_us=10.0,
        difs_us=28.0,
    ),
    # Bursts of 32 kB (A-MPDU) at 130 Mbit/s: 20 MHz, two streams; block acknowledgement.
    "802.11n": Dcf(
        window=16,
        stages=6,
        payload_bits=262_144,
        mac_bits=272 * 22,
        phy_us=40.0,
        ack_bits=256,
        rate_mbps=130.0,
        control_mbps=24.0,
        slot_us=9.0,
        sifs_us=16.0,
        difs_us=34.0,
    ),
}
"""Sets of parameters by name."""


@cache
def efficiency(preset: str, stations: int) -> int:
    """Return the throughput of so many stations over that of one, in millionths."""
    dcf = PRESETS[preset]
    return round(1e6 * dcf.throughput(stations) / dcf.throughput(1))
