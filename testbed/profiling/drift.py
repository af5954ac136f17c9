"""A profile measured again: how far each point is from what the file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.devices.sheets import DeviceSheet, PointSheet, ServerSheet
from testbed.errors import TestbedError
from testbed.profiling.measure import LEAST_RUNS
from testbed.profiling.networks import YARDSTICK, Part, config_name
from testbed.profiling.take import Measurement, Request


@dataclass(frozen=True)
class Drift:
    """One point then and now, medians in seconds; means where the file has no median."""

    detector: str
    side: int
    width: float
    then_s: float
    now_s: float

    @property
    def share(self) -> float:
        """How much longer it takes now: 0.1 is a tenth."""
        return self.now_s / self.then_s - 1


def requests(
    name: str, sheet: DeviceSheet | ServerSheet, *, runs: int = LEAST_RUNS, warm_up: int = 20
) -> list[Request]:
    """Return what to measure again, one request per number of threads.

    Raise a `TestbedError` if the file has no measured points, or one of them says no threads;
    `UnknownName` for a point of a network that this testbed cannot build.
    """
    part: Part = "encoder" if isinstance(sheet, DeviceSheet) else "decoder"
    by_threads: dict[int, dict[tuple[str, int], list[float]]] = {}
    for point in sheet.points:
        if point.time_s.kind != "measured":
            continue
        threads, side = _settings(name, point)
        key = config_name(point.detector), side
        by_threads.setdefault(threads, {}).setdefault(key, []).append(point.width.value)
    if not by_threads:
        raise TestbedError(f"{name} has no measured points to check")
    return [
        Request(
            groups=tuple((*key, tuple(sorted(widths))) for key, widths in groups.items()),
            part=part,
            threads=threads,
            runs=runs,
            warm_up=warm_up,
        )
        for threads, groups in sorted(by_threads.items())
    ]


def drifts(sheet: DeviceSheet | ServerSheet, found: Measurement) -> list[Drift]:
    """Return then and now of every point that was measured again."""
    result = []
    for point in sheet.points:
        for now in found.points:
            same = (now.detector, now.width) == (config_name(point.detector), point.width.value)
            if same and point.input_side and now.side == point.input_side.value:
                median = point.p50_s is not None
                then_s = (point.p50_s or point.time_s).value
                now_s = (now.times.p50 if median else now.times.mean) / 1e9
                result.append(Drift(now.detector, now.side, now.width, then_s, now_s))
    return result


def machine_drift(sheet: DeviceSheet | ServerSheet, found: Sequence[Measurement]) -> float | None:
    """Return how much longer the matrix product takes now; None if the file has none."""
    for network in sheet.networks:
        if network.network == YARDSTICK:
            now_s = sum(m.yardstick.p50 for m in found) / len(found) / 1e9
            return now_s / network.time_s.value - 1
    return None


def verdict(
    all_drifts: Sequence[Drift], machine: float | None, busy: Sequence[str], tolerance: float
) -> tuple[bool, str]:
    """Return whether the profile still holds, and the sentence that says so.

    A machine that is busy or has another speed than then can neither confirm nor refute a drift
    of the networks; what lies within the tolerance nevertheless, holds.
    """
    worst = max(all_drifts, key=lambda drift: abs(drift.share))
    if abs(worst.share) <= tolerance:
        return True, f"It holds: the largest drift is {worst.share:+.1%}."
    said = (
        f"{worst.detector} at {worst.side} px and α {worst.width:g} drifted by {worst.share:+.1%}, "
        f"more than {tolerance:.0%}."
    )
    if busy:
        return False, f"{said} Not conclusive: {'; '.join(busy)}."
    if machine is not None and abs(machine) > tolerance / 2:
        return False, (
            f"{said} Not conclusive: a plain matrix product drifted by {machine:+.1%}, so the "
            "machine has another speed than then."
        )
    return False, f"{said} Measure it anew."


def _settings(name: str, point: PointSheet) -> tuple[int, int]:
    if point.threads is None or point.input_side is None:
        raise TestbedError(
            f"{name}: the point of {point.detector} at α {point.width.value:g} does not say its "
            "threads and input_side, so it cannot be measured again"
        )
    return int(point.threads.value), int(point.input_side.value)
