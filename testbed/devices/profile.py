"""What is known about a device, a radio or a server, each figure with its source.

A profile is a sheet (`testbed.devices.sheets`, what the YAML file says) with a name and a checksum,
and answers in the units of the engines: nanoseconds, joules, watts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testbed.devices.figures import Figure, read_sheet, walk
from testbed.devices.radio_sheets import RadioSheet
from testbed.devices.sheets import DeviceSheet, PointSheet, ServerSheet
from testbed.errors import UnknownName
from testbed.model import NS_PER_S

__all__ = [
    "DeviceProfile",
    "Figure",
    "RadioProfile",
    "ServerProfile",
    "load_device",
    "load_radio",
    "load_server",
]


def whole_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds, rounded."""
    return round(seconds * NS_PER_S)


@dataclass(frozen=True)
class DeviceProfile:
    """What runs the encoder.

    Args:
        name: Stem of the file.
        sha256: Of the file.
        sheet: What the file says.
    """

    name: str
    sha256: str
    sheet: DeviceSheet

    @property
    def rate(self) -> float:
        """Effective 10⁹ multiply-accumulates per second in a batch of one."""
        return self.sheet.rate_gmac_per_s.value

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest effective rate over published networks; `rate` twice if unknown."""
        known = self.sheet.spread_gmac_per_s
        return known.value if known else (self.rate, self.rate)

    @property
    def idle_w(self) -> float:
        """What the board draws when it does nothing."""
        return self.sheet.idle_w.value

    @property
    def waiting_w(self) -> float:
        """What a loaded runtime that waits for a frame adds to the idle power."""
        known = self.sheet.context_idle_w
        return known.value - self.idle_w if known else 0.0

    @property
    def active_w(self) -> float:
        """What the board draws while the encoder runs, idle included."""
        return self.sheet.active_w.value

    @property
    def compute_w(self) -> float:
        """What the encoder adds to the idle power."""
        return self.active_w - self.idle_w

    @property
    def jitter_cv(self) -> float:
        """Coefficient of variation of the encode time: lognormal, the mean preserved."""
        return self.sheet.jitter_cv.value

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the frequency modes, the default first; empty if the file names none."""
        return (
            (self.sheet.mode, *(other.mode for other in self.sheet.modes))
            if self.sheet.mode
            else ()
        )

    def in_mode(self, mode: str) -> DeviceProfile:
        """Return this device in one of its `modes`. Raise `UnknownName` if it has no such mode."""
        if mode == self.sheet.mode:
            return self
        for other in self.sheet.modes:
            if other.mode == mode:
                sheet = replace(
                    self.sheet,
                    mode=mode,
                    modes=(),
                    rate_gmac_per_s=other.rate_gmac_per_s,
                    active_w=other.active_w,
                    idle_w=other.idle_w or self.sheet.idle_w,
                    context_idle_w=other.context_idle_w or self.sheet.context_idle_w,
                    spread_gmac_per_s=other.spread_gmac_per_s,
                    jitter_cv=other.jitter_cv or self.sheet.jitter_cv,
                    points=(),
                    networks=(),
                )
                return replace(self, sheet=sheet)
        raise UnknownName(f"mode of {self.name}", mode, self.modes)

    def encode_ns(self, mac: int, *, detector: str = "", width: float = 0.0) -> int:
        """Return the mean time of an encoding.

        The measured time where the file has one for this detector and width, else `mac`
        multiply-accumulates over the effective rate.
        """
        point = self.point(detector, width)
        return whole_ns(point.time_s.value if point else mac / (self.rate * 1e9))

    def encode_range_ns(self, mac: int) -> tuple[int, int]:
        """Return the times at the highest and the lowest rate of the spread, shortest first."""
        slow, fast = self.spread
        return whole_ns(mac / (fast * 1e9)), whole_ns(mac / (slow * 1e9))

    def encode_j(self, mac: int, *, detector: str = "", width: float = 0.0) -> float:
        """Return the mean energy of an encoding above idle."""
        point = self.point(detector, width)
        active = point.active_w if point and point.active_w else self.sheet.active_w
        duration_ns = self.encode_ns(mac, detector=detector, width=width)
        return (active.value - self.idle_w) * duration_ns / NS_PER_S

    def point(self, detector: str, width: float) -> PointSheet | None:
        """Return what was measured of a detector's encoder at a width, None if nothing was."""
        for point in self.sheet.points:
            if point.detector == detector and point.width.value == width:
                return point
        return None

    def figures(self) -> list[tuple[str, Figure[Any]]]:
        """Return every figure with its key path."""
        return list(walk(self.sheet))


@dataclass(frozen=True)
class ServerProfile:
    """What runs the decoder: `max(floor, batch · MAC / rate)`.

    Maximum and not sum, because launching one kernel overlaps with running another: a sum misfits
    an eager T4 at a batch of 16 by 70 %, the maximum by 11 %. A measured time goes before that, for
    a batch of one; a larger batch takes what the rate says, but no less than the longest of its
    members alone and no more than all of them one by one.
    """

    name: str
    sha256: str
    sheet: ServerSheet

    @property
    def floor_s(self) -> float:
        """Least time of a batch, whatever its size: launching the kernels."""
        return self.sheet.floor_s.value

    @property
    def rate(self) -> float:
        """Effective 10⁹ multiply-accumulates per second once the floor is left."""
        return self.sheet.rate_gmac_per_s.value

    @property
    def jitter_cv(self) -> float:
        """Coefficient of variation of the decode time; 0 if the file gives none."""
        known = self.sheet.jitter_cv
        return known.value if known else 0.0

    def decode_ns(self, mac: int, batch: int = 1, *, detector: str = "", width: float = 0.0) -> int:
        """Return the mean time of a batch of `batch` inputs of `mac` multiply-accumulates each.

        Of one input, the measured time where the file has one for this detector and width.
        """
        by_rate_ns = whole_ns(max(self.floor_s, batch * mac / (self.rate * 1e9)))
        for point in self.sheet.points:
            if point.detector == detector and point.width.value == width:
                alone_ns = whole_ns(point.time_s.value)
                return bounded_ns(by_rate_ns, [alone_ns] * batch)
        return by_rate_ns

    def figures(self) -> list[tuple[str, Figure[Any]]]:
        """Return every figure with its key path."""
        return list(walk(self.sheet))


def bounded_ns(batch_ns: int, alone_ns: Sequence[int]) -> int:
    """Return the time of a batch, held between the longest of its members alone and their sum."""
    return max(max(alone_ns), min(sum(alone_ns), batch_ns))


@dataclass(frozen=True)
class RadioProfile:
    """What a radio draws in each state and how it moves between them."""

    name: str
    sha256: str
    sheet: RadioSheet

    @property
    def idle_w(self) -> float:
        """Mean power when idle: the floor, and what listening for pages adds."""
        idle = self.sheet.idle
        floor_w = idle.floor_w.value
        if idle.page_w is None or idle.page_s is None or idle.cycle_s is None:
            return floor_w
        share = idle.page_s.value / idle.cycle_s.value
        return share * idle.page_w.value + (1 - share) * floor_w

    @property
    def tail_ns(self) -> int:
        """From the last byte to idle."""
        return sum(whole_ns(phase.duration_s.value) for phase in self.sheet.tail)

    def figures(self) -> list[tuple[str, Figure[Any]]]:
        """Return every figure with its key path."""
        return list(walk(self.sheet))


def load_device(path: Path) -> DeviceProfile:
    """Read a device file. Raise `InputErrors` with every problem in it."""
    sheet, sha256 = read_sheet(DeviceSheet, path)
    return DeviceProfile(path.stem, sha256, sheet)


def load_server(path: Path) -> ServerProfile:
    """Read a server file. Raise `InputErrors` with every problem in it."""
    sheet, sha256 = read_sheet(ServerSheet, path)
    return ServerProfile(path.stem, sha256, sheet)


def load_radio(path: Path) -> RadioProfile:
    """Read a radio file. Raise `InputErrors` with every problem in it."""
    sheet, sha256 = read_sheet(RadioSheet, path)
    return RadioProfile(path.stem, sha256, sheet)
