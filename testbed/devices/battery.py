"""How long a battery lasts, and when it cuts the device off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from testbed.devices.figures import Figure
from testbed.devices.ledger import Span
from testbed.devices.sheets import BatterySheet
from testbed.model import NS_PER_S

S_PER_H = 3600


def of_capacity(capacity_wh: float, sheet: BatterySheet | None = None) -> BatterySheet:
    """Return a battery of some capacity; everything else is as on `sheet`, or ideal without one."""
    volt = Figure(1.0, "assumed", "nominal; only its product with the charge matters")
    voltage_v = volt if sheet is None else sheet.voltage_v
    capacity_mah = Figure(1e3 * capacity_wh / voltage_v.value, "assumed", "chosen by the user")
    if sheet is None:
        return BatterySheet(capacity_mah, voltage_v)
    return replace(sheet, capacity_mah=capacity_mah)


class Battery:
    """A battery that is drained by stretches of constant power.

    Energy is capacity times nominal voltage. Under Peukert's law t = H · (C / (I · H))^k a power P
    uses up the charge (P / P_rated)^(k - 1) times as fast as its energy says, P_rated emptying the
    battery in the rated time H; k = 1 is the plain energy balance.

    Args:
        sheet: Capacity, voltage, exponent and cut-off.
        charge: State of charge at the start, in [0, 1].
    """

    __slots__ = ("_exponent", "_rated_w", "_used_j", "capacity_j", "cutoff")

    def __init__(self, sheet: BatterySheet, charge: float = 1.0) -> None:
        if not 0 <= charge <= 1:
            raise ValueError(f"charge must be in [0, 1], not {charge:g}")
        # mAh · V = mWh, and 1 mWh = 3.6 J.
        self.capacity_j = sheet.capacity_mah.value * sheet.voltage_v.value * 3.6
        self.cutoff = sheet.cutoff.value if sheet.cutoff else 0.0
        self._exponent = (sheet.peukert.value if sheet.peukert else 1.0) - 1.0
        rated_h = sheet.rated_h.value if sheet.rated_h else 1.0
        self._rated_w = self.capacity_j / (rated_h * S_PER_H)
        self._used_j = (1 - charge) * self.capacity_j

    def drain(self, power_w: float, duration_ns: int) -> None:
        """Draw `power_w` for `duration_ns`. Beyond empty there is nothing to draw."""
        used_j = self._used_j + self._effective_w(power_w) * duration_ns / NS_PER_S
        self._used_j = min(used_j, self.capacity_j)

    @property
    def left_j(self) -> float:
        """Energy left at the rated power, down to empty."""
        return self.capacity_j - self._used_j

    @property
    def charge(self) -> float:
        """State of charge in [0, 1]."""
        return self.left_j / self.capacity_j

    @property
    def empty(self) -> bool:
        """Whether the device has shut down."""
        return self.left_j <= self.cutoff * self.capacity_j

    def lasts_ns(self, power_w: float) -> int | None:
        """Return for how long a constant power can be drawn until the cut-off; None for ever."""
        effective_w = self._effective_w(power_w)
        if effective_w <= 0:
            return None
        usable_j = max(0.0, self.left_j - self.cutoff * self.capacity_j)
        return round(usable_j / effective_w * NS_PER_S)

    def _effective_w(self, power_w: float) -> float:
        if power_w <= 0 or self._exponent == 0:
            return power_w
        return power_w * float((power_w / self._rated_w) ** self._exponent)


def cutoff_ns(spans: Iterable[Span], battery: Battery) -> int | None:
    """Drain a battery by a ledger; return when it cuts the device off, None if it does not."""
    steps: dict[int, float] = {}
    for span in spans:
        steps[span.start_ns] = steps.get(span.start_ns, 0.0) + span.power_w
        steps[span.end_ns] = steps.get(span.end_ns, 0.0) - span.power_w
    now, power_w = 0, 0.0
    for at in sorted(steps):
        lasts = battery.lasts_ns(power_w)
        if battery.empty or (lasts is not None and lasts <= at - now):
            return now + (lasts or 0)
        battery.drain(power_w, at - now)
        now, power_w = at, power_w + steps[at]
    return now if battery.empty else None
