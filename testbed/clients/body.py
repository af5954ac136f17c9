"""What a device is besides a steady encoder: it gets warm, runs empty, loads other weights."""

from __future__ import annotations

from collections.abc import Callable

from testbed.devices.battery import Battery, of_capacity
from testbed.devices.ledger import Ledger
from testbed.devices.thermal import Thermal
from testbed.devices.weights import Cost
from testbed.model import NS_PER_S, FrameRecord, Mode, Observation, Rung
from testbed.scenario import Client as ClientSetup

FASTEST_MBPS = 1000.0
"""Up to which rate the power of a radio without a cap is foreseen."""

CLOSE_NS = 1_000_000
"""A battery that would last no longer than this, were everything at its most, is empty."""

Draw = Callable[[float], list[float]]
"""From a coefficient of variation to the jitter of every frame."""


def body_of(setup: ClientSetup, ledger: Ledger, end_ns: int, draw: Draw) -> Body | None:
    """Return the body of a client, None for one whose encoder is all there is to say."""
    spec = setup.spec
    plain = spec.battery is None and spec.ambient_c is None and spec.weights is None
    measured = any(point.detector == setup.detector.timed_as for point in setup.device.sheet.points)
    return None if plain and not measured else Body(setup, ledger, end_ns, draw)


class Body:
    """The battery, the heat and the weights of one client, and what was measured of its encoder.

    The battery is drained by whatever the ledger says. The processor is warmed by what the board
    draws, idle included, the radio not; it begins as warm as it gets while it waits. The weights
    that are used first are loaded before the run begins.

    Args:
        setup: Device, radio and options, from the scenario.
        ledger: Of the same client.
        end_ns: The run stops then.
        draw: Draws the jitter.
    """

    def __init__(self, setup: ClientSetup, ledger: Ledger, end_ns: int, draw: Draw) -> None:
        device, spec = setup.device, setup.spec
        self._ledger = ledger
        self._end_ns = end_ns
        self._off = False
        self._steady_w = ledger.idle_w + ledger.waiting_w
        self._plain = (draw(device.jitter_cv), device.compute_w)
        self._measured: dict[int, tuple[list[float], float]] = {}
        for rung in setup.ladder:
            point = device.point(setup.detector.timed_as, rung.point.width)
            if point and rung.point.mode is Mode.SPLIT:
                cv = point.jitter_cv.value if point.jitter_cv else device.jitter_cv
                power_w = device.compute_w
                if point.active_w:
                    power_w = point.active_w.value - device.idle_w
                self._measured[id(rung)] = (draw(cv), power_w)

        self._battery: Battery | None = None
        self._drawn_j, self._drawn_ns = 0.0, 0
        self._most_w = _most_w(setup)
        if spec.battery is not None:
            sheet = device.sheet.battery
            if spec.battery.capacity_wh is not None:
                sheet = of_capacity(spec.battery.capacity_wh, sheet)
            assert sheet is not None  # the scenario was checked
            self._battery = Battery(sheet, spec.battery.charge)

        self._thermal: Thermal | None = None
        self._warmed_ns, self._board_w = 0, self._steady_w
        if spec.ambient_c is not None:
            thermal = device.sheet.thermal
            assert thermal is not None  # the scenario was checked
            start_c = spec.ambient_c + self._steady_w * thermal.resistance_k_per_w.value
            self._thermal = Thermal(thermal, spec.ambient_c, start_c)

        self._switch: Cost | None = setup.switch_cost
        self._loaded: tuple[Mode, float] | None = None

    def captured(self, now_ns: int, frame: FrameRecord) -> None:
        """Note on a frame that is being captured what is left and how warm it is."""
        if self._battery is not None:
            frame.battery_j = self._drained(now_ns, self._battery).left_j
        if self._thermal is not None:
            frame.temperature_c = self._warmed(now_ns, self._thermal).temperature_c

    def seen(self, now_ns: int, observation: Observation) -> None:
        """Tell the policy of it."""
        if self._battery is not None:
            observation.battery = self._drained(now_ns, self._battery).charge
        if self._thermal is not None:
            observation.temperature_c = self._warmed(now_ns, self._thermal).temperature_c

    def encode(self, now_ns: int, frame: FrameRecord, rung: Rung) -> int:
        """Book an encoding that begins now; return how long it takes."""
        load_ns = self._load(now_ns, frame, rung.point.mode, rung.point.width)
        jitter, power_w = self._measured.get(id(rung), self._plain)
        busy_ns = rung.encode_ns * jitter[frame.frame]
        if self._thermal is not None:
            # Slower and, above idle, weaker: the energy stays (see `Thermal.speed`).
            speed = self._warmed(now_ns, self._thermal).speed
            busy_ns, power_w = busy_ns / speed, power_w * speed
            self._board_w = self._ledger.idle_w + power_w
        spent_ns = load_ns + int(busy_ns) + 1
        start_ns, end_ns = self._within(now_ns + load_ns), self._within(now_ns + spent_ns)
        frame.encode_j += self._ledger.compute(start_ns, end_ns, power_w)
        return spent_ns

    def rests(self, now_ns: int) -> None:
        """End an encoding."""
        if self._thermal is not None:
            self._warmed(now_ns, self._thermal)
            self._board_w = self._steady_w

    def lasts_ns(self, now_ns: int) -> int | None:
        """Return how long the battery lasts at least; 0 if it is empty, None if there is none."""
        if self._battery is None:
            return None
        lasts_ns = self._drained(now_ns, self._battery).lasts_ns(self._most_w)
        return 0 if lasts_ns is not None and lasts_ns < CLOSE_NS else lasts_ns

    def stop(self, now_ns: int) -> None:
        """Switch off: nothing is drawn any more, and the processor cools down."""
        self.rests(now_ns)
        self._board_w, self._off = 0.0, True

    def _load(self, now_ns: int, frame: FrameRecord, mode: Mode, width: float) -> int:
        """Book the loading of other weights than the last; return how long it takes."""
        before, self._loaded = self._loaded, (mode, width)
        cost = self._switch
        if cost is None or before is None or before == self._loaded or not cost.ns:
            return 0
        power_w = self._ledger.waiting_w + cost.joules * NS_PER_S / cost.ns
        end_ns = self._within(now_ns + cost.ns)
        frame.encode_j += self._ledger.compute(now_ns, end_ns, power_w)
        return cost.ns

    def _within(self, at_ns: int) -> int:
        return min(at_ns, self._end_ns)

    def _drained(self, now_ns: int, battery: Battery) -> Battery:
        """Drain the battery of what has been drawn since the last time, at its mean power."""
        duration_ns = now_ns - self._drawn_ns
        if duration_ns > 0 and not self._off:
            # While a transfer is under way the ledger can only estimate, and may come down again.
            joules = max(self._drawn_j, self._ledger.joules_by(now_ns))
            battery.drain((joules - self._drawn_j) * NS_PER_S / duration_ns, duration_ns)
            self._drawn_j, self._drawn_ns = joules, now_ns
        return battery

    def _warmed(self, now_ns: int, thermal: Thermal) -> Thermal:
        if now_ns > self._warmed_ns:
            thermal.advance(self._board_w, now_ns - self._warmed_ns)
            self._warmed_ns = now_ns
        return thermal


def _most_w(setup: ClientSetup) -> float:
    """Return more than the client ever draws at once."""
    device, radio = setup.device, setup.radio.sheet
    board_w = [device.active_w, *(p.active_w.value for p in device.sheet.points if p.active_w)]
    air_w = [step.power_w.value for step in (radio.promotion, radio.switch) if step]
    for line in (radio.up, radio.down):
        fast_w = line.alpha_w_per_mbps.value * FASTEST_MBPS + line.beta_w.value
        air_w.append(fast_w if line.cap_w is None else line.cap_w.value)
    cost = setup.switch_cost
    load_w = cost.joules * NS_PER_S / cost.ns if cost and cost.ns else 0.0
    return max(board_w) + load_w + sum(air_w)
