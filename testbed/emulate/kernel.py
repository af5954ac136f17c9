"""System calls that Python does not have, by their numbers. Standard library only.

Everything raises an `OSError` that names the call, so that whoever asked can say what is refused.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_PRIVATE = 0x4000, 0x4_0000
_MCL_CURRENT, _MCL_FUTURE = 1, 2

RELAY_PRIORITY = 50
ENDPOINT_PRIORITY = 20

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces; a new PID namespace is for its children only."""
    _call("unshare", flags)


def enter(namespace: int) -> None:
    """Move this process into the network namespace of a file descriptor."""
    _call("setns", namespace, CLONE_NEWNET)


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def exact_timers() -> None:
    """Let timers of this thread fire on time, not when it suits the kernel (50 µs late)."""
    _call("prctl", _PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)


def lock_memory() -> bool:
    """Keep the memory of this process where it is. Return whether that is allowed."""
    with suppress(OSError):
        _call("mlockall", _MCL_CURRENT | _MCL_FUTURE)
        return True
    return False


def realtime(priority: int) -> bool:
    """Schedule this process before all ordinary ones. Return whether that is allowed."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return True
    return False


def own_user_namespace() -> None:
    """Become root of a new user namespace, in which network namespaces may be made."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def own_proc() -> bool:
    """Mount a /proc that shows the processes of this PID namespace. Return whether that worked."""
    with suppress(OSError):
        _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        _call("mount", b"proc", b"/proc", b"proc", ctypes.c_ulong(flags), None)
        return True
    return False


def network_namespace() -> int:
    """Move this process into a new network namespace and return a descriptor that holds it.

    The namespace has no name anywhere: when the last descriptor and the last process are gone, so
    is everything in it.
    """
    unshare(CLONE_NEWNET)
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def set_sysctl(name: str, value: object) -> bool:
    """Write a setting of the network namespace of this process. Return whether that is allowed."""
    with suppress(OSError):
        Path("/proc/sys", *name.split(".")).write_text(str(value), encoding="ascii")
        return True
    return False


def sysctl(name: str) -> str | None:
    """Return a setting of the network namespace of this process; None if it has no such."""
    with suppress(OSError):
        text = Path("/proc/sys", *name.split(".")).read_text(encoding="ascii")
        return " ".join(text.split())
    return None
