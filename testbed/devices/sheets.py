"""What a device or server file may say: one class per mapping, one field per key."""

# ruff: noqa: RUF009 - number, pair, part and their kin are dataclasses.field under another name

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.devices.figures import Figure, Sheet, number, pair, part, parts, text

Number = Figure[float]
Pair = Figure[tuple[float, float]]


@dataclass(frozen=True)
class ModeSheet(Sheet):
    """Another frequency mode of the device, or another processor of it.

    What is left out is as in the device's default mode; the spread is not carried over.
    """

    mode: str = text()
    rate_gmac_per_s: Number = number(positive=True)
    active_w: Number = number(positive=True)
    idle_w: Number | None = number(optional=True)
    context_idle_w: Number | None = number(optional=True)
    spread_gmac_per_s: Pair | None = pair(optional=True)
    jitter_cv: Number | None = number(high=2, optional=True)


@dataclass(frozen=True)
class NetworkSheet(Sheet):
    """A network whose time on this hardware somebody published; a check on the rate."""

    network: str = text()
    gmac: Number = number(positive=True)
    time_s: Number = number(positive=True)
    power_w: Number | None = number(positive=True, optional=True)


@dataclass(frozen=True)
class PointSheet(Sheet):
    """Measured time of one part of a detector at one width; it goes before MAC over rate.

    `time_s` is the mean. `switch_s` is what the first run after another width takes longer than the
    next, `peak_memory_mb` what a run needs beside the weights.
    """

    detector: str = text()
    width: Number = number(positive=True, high=1)
    time_s: Number = number(positive=True)
    input_side: Number | None = number(positive=True, optional=True)
    threads: Number | None = number(low=1, optional=True)
    gmac: Number | None = number(positive=True, optional=True)
    p50_s: Number | None = number(positive=True, optional=True)
    p90_s: Number | None = number(positive=True, optional=True)
    p99_s: Number | None = number(positive=True, optional=True)
    jitter_cv: Number | None = number(high=2, optional=True)
    active_w: Number | None = number(positive=True, optional=True)
    switch_s: Number | None = number(optional=True)
    peak_memory_mb: Number | None = number(optional=True)


@dataclass(frozen=True)
class BatterySheet(Sheet):
    """A battery: charge, nominal voltage, and how it answers to hard discharge.

    `peukert` is the exponent k of t = H · (C / (I · H))^k with the rated time H = `rated_h`;
    k = 1 means that the energy does not depend on the power. `cutoff` is the share of the charge
    at which the device shuts down.
    """

    capacity_mah: Number = number(positive=True)
    voltage_v: Number = number(positive=True)
    peukert: Number | None = number(low=1, high=2, optional=True)
    rated_h: Number | None = number(positive=True, optional=True)
    cutoff: Number | None = number(high=1, optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """Peukert's law needs the discharge time that the capacity is rated for."""
        if self.peukert is not None and self.peukert.value > 1 and self.rated_h is None:
            yield "peukert", "needs rated_h, the discharge time of the rated capacity"


@dataclass(frozen=True)
class ThermalSheet(Sheet):
    """One thermal resistance and capacity, and what the device does about heat.

    From `throttle_c` to `hard_c` its speed falls along a line from 1 to `floor_factor`; once slowed
    it gets faster again only `hysteresis_k` below where it was.
    """

    resistance_k_per_w: Number = number(positive=True)
    tau_s: Number = number(positive=True)
    throttle_c: Number = number(low=-40)
    hard_c: Number = number(low=-40)
    floor_factor: Number = number(positive=True, high=1)
    hysteresis_k: Number | None = number(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """The line falls to the right."""
        if self.hard_c.value < self.throttle_c.value:
            yield "hard_c", f"below throttle_c ({self.throttle_c.value:g})"


@dataclass(frozen=True)
class WeightsSheet(Sheet):
    """Where weights can lie, and what fetching them from there takes.

    `stream` is the path into a small weight memory, such as the USB of an accelerator; `storage`
    ends in DRAM, after `open_s` for opening and parsing. `first_inference_s` is what a runtime
    takes for its first inference on a new model.
    """

    sram_mb: Number | None = number(positive=True, optional=True)
    stream_mb_per_s: Number | None = number(positive=True, optional=True)
    dram_mb_per_s: Number | None = number(positive=True, optional=True)
    dram_pj_per_bit: Number | None = number(optional=True)
    storage_mb_per_s: Number | None = number(positive=True, optional=True)
    open_s: Number | None = number(optional=True)
    first_inference_s: Number | None = number(optional=True)


@dataclass(frozen=True)
class DeviceSheet(Sheet):
    """`devices/devices/*.yaml`: what runs the encoder.

    `idle_w` is the board doing nothing, `context_idle_w` with a runtime loaded and waiting for a
    frame, `active_w` while the encoder runs; each holds the one before. They are of the mode
    that `mode` names, the default; `modes` are the others.
    """

    title: str = text()
    rate_gmac_per_s: Number = number(positive=True)
    idle_w: Number = number()
    active_w: Number = number(positive=True)
    jitter_cv: Number = number(high=2)
    context_idle_w: Number | None = number(optional=True)
    spread_gmac_per_s: Pair | None = pair(optional=True)
    mode: str = text(optional=True)
    modes: tuple[ModeSheet, ...] = parts(ModeSheet)
    memory_gb: Number | None = number(positive=True, optional=True)
    points: tuple[PointSheet, ...] = parts(PointSheet)
    networks: tuple[NetworkSheet, ...] = parts(NetworkSheet)
    weights: WeightsSheet | None = part(WeightsSheet, optional=True)
    thermal: ThermalSheet | None = part(ThermalSheet, optional=True)
    battery: BatterySheet | None = part(BatterySheet, optional=True)
    notes: str = text(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """Powers are in order, rates lie within their spread, modes have names of their own."""
        yield from self._powers("", self.idle_w, self.context_idle_w, self.active_w)
        if self.spread_gmac_per_s is not None:
            low, high = self.spread_gmac_per_s.value
            if not low <= self.rate_gmac_per_s.value <= high:
                yield "spread_gmac_per_s", f"does not hold the rate {self.rate_gmac_per_s.value:g}"
        if self.modes and not self.mode:
            yield "modes", "the default mode needs a name: mode"
        names = {self.mode}
        for other in self.modes:
            if other.mode in names:
                yield "modes", f"mode '{other.mode}' stands twice"
            names.add(other.mode)
            waiting = other.context_idle_w or self.context_idle_w
            said = f"mode '{other.mode}': "
            for _, message in self._powers(
                said, other.idle_w or self.idle_w, waiting, other.active_w
            ):
                yield "modes", message

    @staticmethod
    def _powers(
        said: str, idle: Number, waiting: Number | None, active: Number
    ) -> Iterator[tuple[str, str]]:
        if waiting is not None and waiting.value < idle.value:
            yield "context_idle_w", f"{said}below idle_w ({idle.value:g})"
        floor = idle if waiting is None else waiting
        if active.value <= floor.value:
            yield "active_w", f"{said}not above the idle power ({floor.value:g})"


@dataclass(frozen=True)
class ServerSheet(Sheet):
    """`devices/servers/*.yaml`: what runs the decoder, per runtime and precision."""

    title: str = text()
    floor_s: Number = number()
    rate_gmac_per_s: Number = number(positive=True)
    spread_gmac_per_s: Pair | None = pair(optional=True)
    jitter_cv: Number | None = number(high=2, optional=True)
    idle_w: Number | None = number(optional=True)
    cap_w: Number | None = number(positive=True, optional=True)
    memory_gb: Number | None = number(positive=True, optional=True)
    points: tuple[PointSheet, ...] = parts(PointSheet)
    networks: tuple[NetworkSheet, ...] = parts(NetworkSheet)
    notes: str = text(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """The rate lies within its spread; the cap is above idle."""
        if self.spread_gmac_per_s is not None:
            low, high = self.spread_gmac_per_s.value
            if not low <= self.rate_gmac_per_s.value <= high:
                yield "spread_gmac_per_s", f"does not hold the rate {self.rate_gmac_per_s.value:g}"
        if self.idle_w and self.cap_w and self.cap_w.value <= self.idle_w.value:
            yield "cap_w", f"not above idle_w ({self.idle_w.value:g})"
