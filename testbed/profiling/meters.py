"""Joules from what the machine has, and a word on which meter that was.

Counters are read here, meters that tell a power in `testbed.profiling.sampled`. What is read, and
its traps: `docs/profiling.md`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from testbed.errors import EnvironmentLacks
from testbed.profiling.sampled import MeterFile, ina3221

SYSFS = Path("/sys")


class EnergyMeter(Protocol):
    """Whatever can tell the joules between two instants."""

    @property
    def name(self) -> str:
        """Which meter it is, and what it covers: a clause for the source of a figure."""

    def begin(self) -> None:
        """Begin a window."""

    def end(self) -> float:
        """End the window and return its joules."""


@dataclass(frozen=True)
class Counter:
    """A running count of energy.

    Args:
        label: What it covers.
        read: Returns the count.
        joules: Of one count.
        wraps_after: The largest count, which 0 follows; None for a counter that never wraps.
    """

    label: str
    read: Callable[[], int]
    joules: float
    wraps_after: int | None = None

    def between(self, before: int, after: int) -> float:
        """Return the joules between two counts, at most one wrap apart.

        The smallest of these counters wraps after some minutes at full power, a window is seconds.
        """
        if after < before:
            if self.wraps_after is None:
                raise EnvironmentLacks(f"the energy counter of {self.label} ran backwards")
            after += self.wraps_after + 1
        return (after - before) * self.joules


class Counters:
    """A meter made of counters that cover different things."""

    def __init__(self, kind: str, counters: Sequence[Counter]) -> None:
        self.name = f"{kind} ({', '.join(counter.label for counter in counters)})"
        self.counters = tuple(counters)
        self._before: list[int] = []

    def begin(self) -> None:
        """Begin a window."""
        self._before = [counter.read() for counter in self.counters]

    def end(self) -> float:
        """End the window and return its joules."""
        after = [counter.read() for counter in self.counters]
        pairs = zip(self.counters, self._before, after, strict=True)
        return sum(counter.between(first, last) for counter, first, last in pairs)


def rapl(sysfs: Path = SYSFS) -> Counters | None:
    """Return the counters of Linux's powercap for all packages and their DRAM; None without any.

    Cores and uncore are within their package and left out, and so is `psys`, which holds the
    packages; DRAM is not within them. `intel-rapl-mmio` shows the packages a second time.

    Raises:
        EnvironmentLacks: They are there, and may not be read.
    """
    found: dict[str, Counter] = {}
    for zone in sorted((sysfs / "class/powercap").glob("intel-rapl:*")):
        label = _line(zone / "name")
        parent = ":".join(zone.name.split(":")[:2])
        if label == "dram":
            label = f"dram of {_line(zone.parent / parent / 'name')}"
        elif not label.startswith("package"):
            continue
        wraps = int(_line(zone / "max_energy_range_uj"))
        counter = Counter(label, partial(_count, zone / "energy_uj"), 1e-6, wraps)
        counter.read()
        found.setdefault(label, counter)
    return Counters("RAPL", list(found.values())) if found else None


def nvml() -> Counters | None:
    """Return the energy counters of all NVIDIA GPUs; None without `pynvml` or such a GPU."""
    try:
        library: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        library.nvmlInit()
        counters = []
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            read = partial(library.nvmlDeviceGetTotalEnergyConsumption, handle)
            read()
            counters.append(Counter(f"GPU {index}", read, 1e-3))
    except library.NVMLError:
        return None
    return Counters("NVML", counters) if counters else None


CHOICES = ("auto", "rapl", "ina3221", "nvml", "none")
"""What `--meter` takes beside a file."""


def choose(wanted: str = "auto", sysfs: Path = SYSFS) -> tuple[EnergyMeter | None, str]:
    """Return the meter, or None, and a sentence on why this one.

    `auto` takes a board's own sensor before the processor's counters, and no GPU's, because the
    networks run on the processor.

    Args:
        wanted: One of `CHOICES`, or the path of a meter's log.
        sysfs: Where the kernel's files are.

    Raises:
        EnvironmentLacks: A meter was asked for by name and is not here.
    """
    if wanted == "none":
        return None, "no meter was asked for"
    if wanted not in CHOICES:
        log = MeterFile(Path(wanted))
        return log, f"measured by {log.name}"
    makers: dict[str, Callable[[], EnergyMeter | None]] = {
        "ina3221": lambda: ina3221(sysfs),
        "rapl": lambda: rapl(sysfs),
        "nvml": nvml,
    }
    if wanted != "auto":
        meter = makers[wanted]()
        if meter is None:
            raise EnvironmentLacks(f"no meter '{wanted}' on this machine; {_MISSING[wanted]}")
        return meter, f"measured by {meter.name}"
    remarks = []
    for name in ("ina3221", "rapl"):
        try:
            if meter := makers[name]():
                return meter, f"measured by {meter.name}"
            remarks.append(_MISSING[name])
        except EnvironmentLacks as error:
            remarks.append(str(error))
    return None, f"no meter ({'; '.join(remarks)})"


_MISSING = {
    "ina3221": "no INA3221 sensor, which Jetson boards have",
    "rapl": "no RAPL counters under /sys/class/powercap, as in most virtual machines",
    "nvml": "NVML needs the package nvidia-ml-py and an NVIDIA GPU of 2017 or later",
}


def _count(path: Path) -> int:
    return int(_line(path))


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except PermissionError:
        raise EnvironmentLacks(
            f"{path} may not be read; since Linux 5.10 only root may, until "
            f"`chmod a+r {path}` or a udev rule allows it"
        ) from None
    except OSError as error:
        raise EnvironmentLacks(f"{path} cannot be read: {error.strerror}") from None
