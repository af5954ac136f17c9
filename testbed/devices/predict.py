"""What the rate model is worth: jobs priced in every mode, published times predicted."""

from __future__ import annotations

from typing import NamedTuple

from testbed.devices.profile import DeviceProfile, ServerProfile
from testbed.model import NS_PER_S


class JobEnergy(NamedTuple):
    """Energy of one encoding and of the waiting until the next."""

    total_j: float
    net_j: float
    """Above the board's idle power."""


def job_energy(device: DeviceProfile, mac: int, period_ns: int | None = None) -> JobEnergy:
    """Return the energy of one encoding per `period_ns`, or back to back without a period.

    E = P · t + P_waiting · (T - t). Back to back a fast mode may win because the board's idle
    power runs for less time (race to idle); at a fixed period that power runs anyway, and only
    what is above it decides. Raise a `ValueError` if the encoding takes longer than the period.
    """
    busy_ns = device.encode_ns(mac)
    period_ns = busy_ns if period_ns is None else period_ns
    if busy_ns > period_ns:
        raise ValueError(f"an encoding takes {busy_ns} ns, longer than the period of {period_ns}")
    waiting_j = device.waiting_w * (period_ns - busy_ns) / NS_PER_S
    net_j = device.compute_w * busy_ns / NS_PER_S + waiting_j
    return JobEnergy(net_j + device.idle_w * period_ns / NS_PER_S, net_j)


class Prediction(NamedTuple):
    """A published time beside what the rate model says."""

    network: str
    published_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Relative error of the prediction; 0.5 is half again too long."""
        return self.predicted_s / self.published_s - 1


def predictions(profile: DeviceProfile | ServerProfile) -> list[Prediction]:
    """Predict every network the file has a published time for, in a batch of one."""
    predicted = profile.encode_ns if isinstance(profile, DeviceProfile) else profile.decode_ns
    return [
        Prediction(
            known.network,
            known.time_s.value,
            predicted(round(known.gmac.value * 1e9)) / NS_PER_S,
        )
        for known in profile.sheet.networks
    ]
