"""Cores that do not sleep, where the machine is a virtual one.

A virtual core with nothing to do is halted and given back to the host, which returns it late. So
each core that a run may use has a process that computes nothing, at a priority (`SCHED_IDLE`) that
every other process comes before. Such a process cannot even end while its core is busy. So it waits
where others compute, and whoever started it takes its priority back when it gets nowhere. That is a
right which not everybody has; without it nothing is kept awake. Standard library only.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from testbed.emulate import kernel

LOOK_S = 0.2
"""How often it is looked at how it fares, and for how long whether a core is idle."""

_IDLE_SHARE = 0.5


def can_keep_awake() -> bool:
    """Return whether this is a virtual machine, on which we may give and take priorities."""
    return _is_virtual() and _may_lift()


def _is_virtual() -> bool:
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        return " hypervisor " in text
    return False


class Wakeful:
    """A process for each core that this one may use, on a virtual machine; they die with this one.

    Attributes:
        processes: Their numbers.
    """

    def __init__(self) -> None:
        cores = os.sched_getaffinity(0) if can_keep_awake() else ()
        self.processes = [_start(core) for core in sorted(cores)]
        self._used: dict[int, bytes] = {}
        self._next_s = 0.0

    def look(self) -> None:
        """Lift those that have had nothing of their core for a while; call it often."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LOOK_S
        for pid in self.processes:
            with suppress(OSError):
                used = _used(pid)
                if used == self._used.get(pid) and os.sched_getscheduler(pid) == os.SCHED_IDLE:
                    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
                self._used[pid] = used


def _used(pid: int) -> bytes:
    """Return what says how much a process has had of processors."""
    return Path(f"/proc/{pid}/schedstat").read_bytes().split()[0]


def _may_lift() -> bool:
    """Return whether idle priority can be left again, tried in a process that ends at once."""
    pid = os.fork()
    if not pid:
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _start(core: int) -> int:
    pid = os.fork()
    if not pid:
        _stay_awake(core)
    return pid


def _stay_awake(core: int) -> NoReturn:
    try:
        kernel.die_with_parent()
        os.setsid()
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what it holds would outlive its owners
        os.sched_setaffinity(0, {core})
        while True:
            if _is_idle(core):
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
                _spin()
    finally:
        os._exit(1)


def _is_idle(core: int) -> bool:
    """Look for a while whether a core has little to do."""
    before = _idle_ticks(core)
    time.sleep(LOOK_S)
    ticks = LOOK_S * os.sysconf("SC_CLK_TCK")
    return _idle_ticks(core) - before >= _IDLE_SHARE * ticks


def _idle_ticks(core: int) -> int:
    text = Path("/proc/stat").read_text(encoding="ascii")
    return int(text.partition(f"\ncpu{core} ")[2].split()[3])


def _spin() -> None:
    """Do nothing until somebody lifts this process."""
    while os.sched_getscheduler(0) == os.SCHED_IDLE:
        pass
