"""A radio's sheet in the units of the hot path, and where two power lines cross."""

from __future__ import annotations

from typing import Literal, NamedTuple

from testbed.devices.profile import RadioProfile, whole_ns
from testbed.devices.radio_sheets import DirectionSheet

Line = tuple[float, float, float]
"""alpha · rate, beta and cap, all in W"""


class PowerLine:
    """The power line of one direction in the units of the hot path."""

    __slots__ = ("beta_w", "cap_w", "high", "low", "slope_w")

    def __init__(self, sheet: DirectionSheet) -> None:
        # Rates are in bytes per nanosecond here: 8000 Mbit/s each.
        self.slope_w = sheet.alpha_w_per_mbps.value * 8e3
        self.beta_w = sheet.beta_w.value
        self.cap_w = float("inf") if sheet.cap_w is None else sheet.cap_w.value
        low, high = (0.0, float("inf")) if sheet.valid_mbps is None else sheet.valid_mbps.value
        # An end rounded to a whole nanosecond makes no rate that is out of range.
        self.low, self.high = low * (1 - 1e-6) / 8e3, high * (1 + 1e-6) / 8e3


class Phase(NamedTuple):
    """A state after the last activity; begin and end count from there."""

    state: str
    begin_ns: int
    end_ns: int
    power_w: float
    cycle_ns: int
    on_ns: int
    resume_ns: int


def phases_of(profile: RadioProfile) -> tuple[Phase, ...]:
    """Return the tail of a radio, in order."""
    phases: list[Phase] = []
    begin = 0
    for sheet in profile.sheet.tail:
        end = begin + whole_ns(sheet.duration_s.value)
        cycle, on, resume = (
            0 if figure is None else whole_ns(figure.value)
            for figure in (sheet.cycle_s, sheet.on_s, sheet.resume_s)
        )
        phases.append(Phase(sheet.state, begin, end, sheet.mean_w, cycle, on, resume))
        begin = end
    return tuple(phases)


def crossover_mbps(
    one: RadioProfile, other: RadioProfile, direction: Literal["up", "down"]
) -> float | None:
    """Return the rate at which two radios draw the same power, None if their lines never meet."""
    a, b = getattr(one.sheet, direction), getattr(other.sheet, direction)
    slope = a.alpha_w_per_mbps.value - b.alpha_w_per_mbps.value
    if slope == 0:
        return None
    rate = float((b.beta_w.value - a.beta_w.value) / slope)
    return rate if rate >= 0 else None
