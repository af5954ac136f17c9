"""A measurement as the device or server file that says it, every figure with kind and source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.detectors.published import point_name
from testbed.devices.figures import Figure
from testbed.devices.profile import DeviceProfile
from testbed.devices.sheets import DeviceSheet, NetworkSheet, PointSheet, ServerSheet, WeightsSheet
from testbed.errors import EnvironmentLacks
from testbed.profiling.environment import Environment
from testbed.profiling.networks import PARTS, YARDSTICK, YARDSTICK_SIDE
from testbed.profiling.take import FLOOR_SIDE, Measurement, Point

IDLE_W_PER_CPU = 1.0
ACTIVE_W_PER_THREAD = 4.0


@dataclass(frozen=True)
class Watts:
    """Idle and active power of the whole board, and where they come from."""

    idle: Figure[float]
    active: Figure[float]


@dataclass(frozen=True)
class Origin:
    """What a source says beside the figures.

    Args:
        title: Of the file.
        machine: The class of the machine, without anything that names this one.
        date: Of the measurement, ISO 8601.
    """

    title: str
    machine: str
    date: str


def assumed_watts(cpus: int, threads: int) -> Watts:
    """Return watts nobody measured: the share of a server's processor that some cores take."""
    source = (
        f"nobody's measurement: {IDLE_W_PER_CPU:g} W per idle processor and "
        f"{ACTIVE_W_PER_THREAD:g} W more per busy thread, about what each of the 96 cores of a "
        "server's processor with a thermal design power of 360 W takes; from general knowledge "
        "and not verified"
    )
    idle_w = IDLE_W_PER_CPU * cpus
    active_w = idle_w + ACTIVE_W_PER_THREAD * threads
    return Watts(Figure(idle_w, "assumed", source), Figure(active_w, "assumed", source))


def borrowed_watts(device: DeviceProfile) -> Watts:
    """Return the watts of another device file, which are not measured here whatever they are."""

    def borrow(figure: Figure[float]) -> Figure[float]:
        kind = "published" if figure.kind == "measured" else figure.kind
        return Figure(figure.value, kind, f"as {device.name} has it: {figure.source}")

    return Watts(borrow(device.sheet.idle_w), borrow(device.sheet.active_w))


def measured_watts(found: Measurement, origin: Origin) -> Watts | None:
    """Return what the meter said, None without one. Raise if work cost nothing by its account."""
    active = [(p.active_w, p.times.mean) for p in found.points if p.active_w is not None]
    if found.idle_w is None or not active:
        return None
    active_w = sum(w * t for w, t in active) / sum(t for _, t in active)
    if active_w <= found.idle_w:
        raise EnvironmentLacks(
            f"the meter ({found.meter}) says {found.idle_w:.3g} W idle and {active_w:.3g} W "
            "computing; it does not cover the processor, or its clock is off"
        )
    source = _power_source(found, origin)
    return Watts(
        Figure(_round(found.idle_w), "measured", source),
        Figure(_round(active_w), "measured", source),
    )


def device_sheet(found: Measurement, origin: Origin, watts: Watts) -> DeviceSheet:
    """Return the device file of a measured encoder.

    The effective rate, for networks that were not measured, is all multiply-accumulates over all
    time; the jitter of the device is the root mean square over the points.
    """
    general = _time_source(found, origin, found.points)
    rates = [point.gmac_per_s for point in found.points]
    memory = found.before.memory_bytes
    return DeviceSheet(
        title=_title(found, origin),
        rate_gmac_per_s=Figure(_round(_rate(found.points)), "measured", general),
        spread_gmac_per_s=Figure((_down(min(rates)), _up(max(rates))), "measured", general),
        idle_w=watts.idle,
        active_w=watts.active,
        jitter_cv=Figure(_round(_jitter(found.points)), "measured", general),
        memory_gb=Figure(_round(memory / 1e9), "measured", "as the operating system tells it")
        if memory
        else None,
        points=_points(found, origin),
        networks=(_yardstick(found, general),),
        weights=WeightsSheet(
            first_inference_s=Figure(_round(found.first_ns / 1e9), "measured", general)
        ),
        notes=_notes(found),
    )


def server_sheet(found: Measurement, origin: Origin, watts: Watts) -> ServerSheet:
    """Return the server file of a measured decoder; batches of more than one were not measured."""
    assert found.floor is not None, "a decoder is measured with its floor"
    general = _time_source(found, origin, found.points)
    floor = f"the same on a picture of {FLOOR_SIDE} pixels, median; {general}"
    rates = [point.gmac_per_s for point in found.points]
    memory = found.before.memory_bytes
    return ServerSheet(
        title=_title(found, origin),
        floor_s=Figure(_round(found.floor.p50 / 1e9), "measured", floor),
        rate_gmac_per_s=Figure(_round(_rate(found.points)), "measured", general),
        spread_gmac_per_s=Figure((_down(min(rates)), _up(max(rates))), "measured", general),
        jitter_cv=Figure(_round(_jitter(found.points)), "measured", general),
        idle_w=watts.idle,
        cap_w=watts.active,
        memory_gb=Figure(_round(memory / 1e9), "measured", "as the operating system tells it")
        if memory
        else None,
        points=_points(found, origin),
        networks=(_yardstick(found, general),),
        notes=_notes(found),
    )


def _title(found: Measurement, origin: Origin) -> str:
    return f"{origin.title} (measured while busy)" if found.doubts else origin.title


def _rate(points: Sequence[Point]) -> float:
    return sum(point.mac for point in points) / sum(point.times.mean for point in points)


def _jitter(points: Sequence[Point]) -> float:
    squares = [point.times.jitter_cv**2 for point in points]
    return min(2.0, math.sqrt(sum(squares) / len(squares)))


def _points(found: Measurement, origin: Origin) -> tuple[PointSheet, ...]:
    power = _power_source(found, origin)
    threads = found.request.threads
    sheets = []
    for name, side, _ in found.request.groups:
        group = [p for p in found.points if (p.detector, p.side) == (name, side)]
        source = _time_source(found, origin, group)
        memory = "growth of the peak of the resident set in one run, allocator emptied before"
        counted = f"{' and '.join(PARTS[found.request.part])}, counted by ptflops"
        for point in group:
            t = point.times

            def figure(ns: float, source: str = source) -> Figure[float]:
                return Figure(_round(ns / 1e9), "measured", source)

            sheets.append(
                PointSheet(
                    detector=point_name(name, side),
                    width=Figure(point.width, "measured", source),
                    input_side=Figure(float(side), "measured", source),
                    threads=Figure(float(threads), "measured", source),
                    gmac=Figure(point.mac / 1e9, "measured", counted),
                    time_s=figure(t.mean),
                    p50_s=figure(t.p50),
                    p90_s=figure(t.p90),
                    p99_s=None if found.request.is_quick else figure(t.p99),
                    jitter_cv=Figure(_round(min(2.0, t.jitter_cv)), "measured", source),
                    active_w=None
                    if point.active_w is None
                    else Figure(_round(point.active_w), "measured", power),
                    switch_s=figure(point.switch_ns),
                    peak_memory_mb=None
                    if point.peak_bytes is None
                    else Figure(_round(point.peak_bytes / 1e6), "measured", memory),
                )
            )
    return tuple(sheets)


def _yardstick(found: Measurement, source: str) -> NetworkSheet:
    gmac = YARDSTICK_SIDE**3 / 1e9
    return NetworkSheet(
        network=YARDSTICK,
        gmac=Figure(gmac, "measured", f"a product of two square matrices, {YARDSTICK_SIDE}³"),
        time_s=Figure(_round(found.yardstick.p50 / 1e9), "measured", f"median; {source}"),
    )


def _time_source(found: Measurement, origin: Origin, points: Sequence[Point]) -> str:
    request = found.request
    waited = max(point.waited_share for point in points)
    threads = "1 thread" if request.threads == 1 else f"{request.threads} threads"
    said = [
        f"testbed profile, {origin.date}: {found.engine}, random weights, {threads}",
        origin.machine,
        f"{request.runs} runs of each width in turns, after {request.warm_up} to warm up",
    ]
    if request.is_quick:
        said.append("a quick look")
    if waited >= 0.005 and request.threads == 1:
        said.append(f"less what others had the processor for, up to {waited:.0%} of the time")
    if found.doubts:
        said.append("a busy machine, no claim about its speed")
    return "; ".join(said)


def _power_source(found: Measurement, origin: Origin) -> str:
    seconds = f"{found.request.window_s:g} s"
    return f"testbed profile, {origin.date}: {found.meter}, mean over {seconds}; {origin.machine}"


def _notes(found: Measurement) -> str:
    said = [f"{name} {value}" for name, value in found.before.facts() if name != "machine"]
    notes = [f"Before: {', '.join(said)}."]
    if found.after.load is not None:
        notes.append(f"Load after: {found.after.load:.2f}.")
    stick = found.yardstick
    notes.append(
        f"A matrix product timed in turns with the networks took {stick.p50 / 1e6:.2f} ms at the "
        f"median and {stick.p90 / 1e6:.2f} ms at p90."
    )
    if found.doubts:
        notes.append(f"No claim about the speed of the machine: {'; '.join(found.doubts)}.")
    if found.idle_w is None:
        notes.append(f"Watts were not measured: {found.meter}.")
    return " ".join(notes)


def machine_title(environment: Environment, threads: int) -> str:
    """Return a title for a file of this machine."""
    count = "1 thread" if threads == 1 else f"{threads} threads"
    machine = environment.machine
    return f"{machine[0].upper()}{machine[1:]}, PyTorch eager fp32, {count}"


def _round(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def _down(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return _round(math.floor(value / step) * step)


def _up(value: float) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return _round(math.ceil(value / step) * step)
