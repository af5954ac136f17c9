"""What every estimator of goodput can do."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Estimator(ABC):
    """Estimates what the uplink carries, from uploads that got through.

    It is fed with busy time only: from the first byte of a payload to its last, never with idle
    time, in which nothing can be learnt. Between uploads it knows how old its samples are.

    An estimator is a dataclass whose fields are its options. State belongs in `reset`.
    """

    @abstractmethod
    def reset(self) -> None:
        """Forget everything."""

    @abstractmethod
    def add(self, now_ns: int, payload_bytes: int, busy_ns: int) -> None:
        """Learn that an upload of `payload_bytes` took `busy_ns` > 0; known at `now_ns`."""

    @abstractmethod
    def bps(self, now_ns: int) -> float | None:
        """Return the goodput to expect of an upload now, bit/s; None before the first sample."""

    @property
    def overhead_ns(self) -> float:
        """Time that an upload takes beyond payload over goodput."""
        return 0.0


def goodput_bps(payload_bytes: int, busy_ns: int) -> float:
    """Return the goodput of one upload."""
    return payload_bytes * 8e9 / busy_ns
