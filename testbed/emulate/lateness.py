"""How late a relay was, and whether a run with such a relay may be believed."""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass, field
from typing import Any

from testbed.model import NS_PER_MS

_BIN_NS = 1000
_BINS = 100_000


@dataclass(frozen=True, slots=True)
class Gate:
    """The lateness up to which a run is valid.

    Args:
        p99_ns: Of 99 % of all packets, at most.
        p999_ns: Of 99.9 %, at most.
    """

    p99_ns: int
    p999_ns: int


REALTIME_GATE = Gate(1 * NS_PER_MS, 5 * NS_PER_MS)
"""With real-time priority, which gives 0.1 to 0.3 ms on two busy cores."""

ORDINARY_GATE = Gate(5 * NS_PER_MS, 20 * NS_PER_MS)
"""Without it the tail is the kernel's scheduler: 1 to 5 ms on two busy cores. A frame that takes
100 ms is then off by up to 5 % in one of a hundred packets."""


class Lateness:
    """Counts of how late packets were, to the microsecond; memory does not grow with them."""

    def __init__(self) -> None:
        self.count = 0
        self.worst_ns = 0
        self._bins = array("Q", bytes(8 * (_BINS + 1)))

    def add(self, late_ns: int) -> None:
        """Count a packet."""
        self.count += 1
        late_ns = max(late_ns, 0)
        self.worst_ns = max(self.worst_ns, late_ns)
        at = late_ns // _BIN_NS
        self._bins[at if at < _BINS else _BINS] += 1

    def quantile_ns(self, per_mille: int) -> int:
        """Return what so many of a thousand did not exceed, rounded up to a microsecond."""
        wanted = -(-self.count * per_mille // 1000)
        seen = at = 0
        while (seen := seen + self._bins[at]) < wanted:
            at += 1
        return self.worst_ns if at == _BINS else min(self.worst_ns, (at + 1) * _BIN_NS)

    def counts(self) -> dict[str, int]:
        """Return the number of packets and how late they were, as `RelayReport` has it."""
        return {
            "packets": self.count,
            "late_p50_ns": self.quantile_ns(500),
            "late_p99_ns": self.quantile_ns(990),
            "late_p999_ns": self.quantile_ns(999),
            "late_max_ns": self.worst_ns,
        }


@dataclass(frozen=True)
class RelayReport:
    """What a relay did, and whether the run may be believed.

    Args:
        backend: What shaped the packets.
        realtime: Whether the relay ran with real-time priority.
        packets: Delivered, both directions.
        queue_drops: Refused by a full queue of a link.
        losses: Lost by a link on purpose.
        kernel_drops: Dropped by an interface, which is nobody's purpose.
        late_p50_ns: Lateness of the packets: when they were released, after they were due.
        late_p99_ns: 99 % were not later.
        late_p999_ns: 99.9 % were not later.
        late_max_ns: The latest.
        cpu_share: Of one core, that the relay took.
        load_average: Of the host, over the last minute.
        gate: The bounds that held for this run.
        settings: What the kernel of the hosts was set to, as read back.
        leaves_out: What the backend cannot do of what a link does.
    """

    backend: str
    realtime: bool
    packets: int
    queue_drops: int
    losses: int
    kernel_drops: int
    late_p50_ns: int
    late_p99_ns: int
    late_p999_ns: int
    late_max_ns: int
    cpu_share: float
    load_average: float
    gate: Gate
    settings: dict[str, str | None] = field(default_factory=dict)
    leaves_out: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why the run may not be believed; None if it may."""
        if self.kernel_drops:
            return f"interfaces dropped {self.kernel_drops} packets of their own accord"
        for name, late_ns, bound_ns in (
            ("99 %", self.late_p99_ns, self.gate.p99_ns),
            ("99.9 %", self.late_p999_ns, self.gate.p999_ns),
        ):
            if late_ns > bound_ns:
                return (
                    f"{name} of the packets were up to {late_ns / NS_PER_MS:.2f} ms late; "
                    f"at most {bound_ns / NS_PER_MS:g} ms is valid"
                )
        return None

    @property
    def valid(self) -> bool:
        """Whether the run may be believed."""
        return self.reason is None

    def as_json(self) -> dict[str, Any]:
        """Return everything, for a file."""
        return {**asdict(self), "valid": self.valid, "reason": self.reason}
