"""How warm a device gets, and how much slower that makes it."""

from __future__ import annotations

import math

from testbed.devices.sheets import ThermalSheet
from testbed.model import NS_PER_S

AMBIENT_C = 25.0


class Thermal:
    """One thermal resistance and capacity: T → T_ambient + P · R with the time constant R · C.

    Solved exactly for a constant power, so how a stretch is cut into steps does not matter, except
    that heat is judged at the steps' ends. The governor is a line from full speed at `throttle_c`
    to `floor_factor` at `hard_c`, read at a temperature that follows a rise at once and a fall only
    `hysteresis_k` later.

    Args:
        sheet: Resistance, time constant and limits.
        ambient_c: Of the air.
        start_c: Of the device at the start; ambient if not given.
    """

    __slots__ = ("_ambient_c", "_judged_c", "_sheet", "_tau_ns", "temperature_c")

    def __init__(
        self, sheet: ThermalSheet, ambient_c: float = AMBIENT_C, start_c: float | None = None
    ) -> None:
        self._sheet = sheet
        self._ambient_c = ambient_c
        self._tau_ns = sheet.tau_s.value * NS_PER_S
        self.temperature_c = ambient_c if start_c is None else start_c
        self._judged_c = self.temperature_c

    def advance(self, power_w: float, duration_ns: int) -> float:
        """Dissipate `power_w` for `duration_ns`; return the temperature at the end."""
        settled_c = self._ambient_c + power_w * self._sheet.resistance_k_per_w.value
        decay = math.exp(-duration_ns / self._tau_ns)
        self.temperature_c = settled_c + (self.temperature_c - settled_c) * decay
        behind_k = self._sheet.hysteresis_k.value if self._sheet.hysteresis_k else 0.0
        highest_c = self.temperature_c + behind_k
        self._judged_c = max(self.temperature_c, min(self._judged_c, highest_c))
        return self.temperature_c

    @property
    def speed(self) -> float:
        """Share of the full speed the device runs at, in (0, 1].

        Times divide by it. The power above idle is multiplied by it: the energy of a frame stays
        the same, which understates what a lower voltage saves.
        """
        low_c, high_c = self._sheet.throttle_c.value, self._sheet.hard_c.value
        floor = self._sheet.floor_factor.value
        if self._judged_c >= high_c:
            return floor
        if self._judged_c <= low_c:
            return 1.0
        return 1.0 - (1.0 - floor) * (self._judged_c - low_c) / (high_c - low_c)
