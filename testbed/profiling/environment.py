"""What the machine is, and how busy it was: what a measured figure needs to be believed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PROC, SYSFS = Path("/proc"), Path("/sys")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A machine at one instant. What it does not tell is None.

    Args:
        processor: Model of the processor, or of the board.
        virtual: Whether it is a virtual machine.
        cpus: Logical processors this process may use.
        governor: Of their clocks.
        mhz_min, mhz_max, mhz_now: Their clocks; `now` is the mean over the processors.
        temperature_c: The hottest thermal zone.
        power_mode: As `nvpmodel` tells it on a Jetson.
        memory_bytes: In all.
        load: Processes that ran or wanted to, mean of the last minute.
        python, torch: Versions.
    """

    processor: str
    virtual: bool
    cpus: int
    governor: str | None = None
    mhz_min: float | None = None
    mhz_max: float | None = None
    mhz_now: float | None = None
    temperature_c: float | None = None
    power_mode: str | None = None
    memory_bytes: int | None = None
    load: float | None = None
    python: str = ""
    torch: str | None = None

    @property
    def machine(self) -> str:
        """The class of the machine, without anything that names this one."""
        kind = "virtual machine" if self.virtual else "machine"
        cores = "core" if self.cpus == 1 else "cores"
        return f"{kind}, {self.cpus} {cores}, {self.processor}"

    def facts(self) -> Iterator[tuple[str, object]]:
        """Yield name and value of everything known, units in the names."""
        yield "machine", self.machine
        if self.governor:
            yield "governor", self.governor
        clocks = {"min": self.mhz_min, "now": self.mhz_now, "max": self.mhz_max}
        known = [f"{name} {mhz:.0f}" for name, mhz in clocks.items() if mhz is not None]
        if known:
            yield "clock_mhz", ", ".join(known)
        if self.temperature_c is not None:
            yield "temperature_c", self.temperature_c
        if self.power_mode:
            yield "power_mode", self.power_mode
        if self.memory_bytes is not None:
            yield "memory_gb", round(self.memory_bytes / 1e9, 1)
        if self.load is not None:
            yield "load", round(self.load, 2)
        yield "python", self.python
        if self.torch:
            yield "torch", self.torch


def read(proc: Path = PROC, sysfs: Path = SYSFS) -> Environment:
    """Return what this machine tells of itself."""
    info = _text(proc / "cpuinfo")
    clocks = sysfs / "devices/system/cpu"
    now = _all_mhz(clocks, "scaling_cur_freq") or [
        float(mhz) for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", info, re.MULTILINE)
    ]
    lows, highs = _all_mhz(clocks, "cpuinfo_min_freq"), _all_mhz(clocks, "cpuinfo_max_freq")
    governors = {_text(p) for p in clocks.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    zones = [float(t) for p in sysfs.glob("class/thermal/thermal_zone*/temp") if (t := _text(p))]
    memory = re.search(r"^MemTotal:\s*(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    load = _text(proc / "loadavg").split()
    return Environment(
        processor=_processor(info, proc),
        virtual=bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.MULTILINE)),
        cpus=usable_cpus(),
        governor=", ".join(sorted(governors)) or None,
        mhz_min=min(lows, default=None),
        mhz_max=max(highs, default=None),
        mhz_now=sum(now) / len(now) if now else None,
        temperature_c=max(zones) / 1e3 if zones else None,
        power_mode=_power_mode(),
        memory_bytes=int(memory[1]) * 1024 if memory else None,
        load=float(load[0]) if load else None,
        python=platform.python_version(),
        torch=_version("torch"),
    )


def usable_cpus() -> int:
    """Return how many logical processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def queued_ns(proc: Path = PROC) -> int:
    """Return how long the threads of this process have queued for a processor that others had.

    All threads together, as Linux counts it; 0 where the kernel does not tell.
    """
    total = 0
    for stat in proc.glob("self/task/*/schedstat"):
        try:
            total += int(stat.read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):  # a thread that has just ended
            continue
    return total


def _processor(info: str, proc: Path) -> str:
    board = _text(proc / "device-tree/model").rstrip("\0")
    if board:
        return board
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return " ".join(model[1].split()) if model else platform.machine()


def _all_mhz(clocks: Path, name: str) -> list[float]:
    return [int(t) / 1e3 for p in clocks.glob(f"cpu[0-9]*/cpufreq/{name}") if (t := _text(p))]


def _power_mode() -> str | None:
    """Return the power mode of a Jetson, which nothing else on the board gives away."""
    program = shutil.which("nvpmodel")
    if program is None:
        return None
    told = subprocess.run([program, "-q"], capture_output=True, text=True, check=False)  # noqa: S603
    mode = re.search(r"NV Power Mode:\s*(\S+)", told.stdout)
    return mode[1] if mode else None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
