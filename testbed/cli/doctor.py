"""What this machine can do: what each part of the testbed needs, and whether it is here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from testbed import catalog
from testbed.cli.page import Page, Table
from testbed.errors import TestbedError

DISTRIBUTION = "split-testbed"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

EXTRAS = {
    "dev": "developing: tests, linting, building",
    "emulate": "emulation over a real kernel network",
    "traces": "fetching and plotting traces",
}
"""What the extras of the distribution are for."""

# The system call itself, because Python has it from 3.12 on; in a process of its own, because
# there is no way back out of a namespace.
_UNSHARE = """
import ctypes, sys
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
sys.exit(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Args:
        what: Its name.
        found: Whether it is here and good enough.
        detail: Its version or place, or what is wrong with it.
        needed_for: What does not work without it.
        core: Whether nothing runs without it.
    """

    what: str
    found: bool
    detail: str
    needed_for: str
    core: bool = False

    @property
    def status(self) -> str:
        """`ok`, `missing` (nothing runs) or `absent` (something optional does not)."""
        return "ok" if self.found else "missing" if self.core else "absent"


def examine() -> tuple[Page, bool]:
    """Return what was found, and whether the core can run."""
    findings = [
        _python(),
        *_distributions(),
        _catalog(),
        _runs_folder(),
        _chromium(),
        *_backends(),
        _namespaces(),
        _root(),
    ]
    table = Table("findings", ("status", "what", "detail", "needed_for"))
    table.rows = [(f.status, f.what, f.detail, f.needed_for) for f in findings]
    missing = [f.what for f in findings if f.core and not f.found]
    page = Page(facts={"can_run": not missing}, tables=[table])
    if missing:
        page.notes = [f"Nothing runs without: {', '.join(missing)}."]
    return page, not missing


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    enough = sys.version_info >= (3, 11)
    detail = version if enough else f"{version}; 3.11 or later is needed"
    return Finding("Python", enough, detail, "everything", core=True)


def _distributions() -> Iterator[Finding]:
    """Look for every distribution that ours declares, of the core and of each extra."""
    try:
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        detail = f"not installed; run `pip install {DISTRIBUTION}` or `pip install -e .`"
        yield Finding(DISTRIBUTION, False, detail, "everything", core=True)
        return
    yield Finding(DISTRIBUTION, True, metadata.version(DISTRIBUTION), "everything", core=True)
    for requirement in declared:
        yield _distribution(requirement)


def _distribution(requirement: str) -> Finding:
    named = re.match(r"[\w.-]+", requirement)
    assert named is not None, requirement  # the installer has parsed it before us
    name = named[0]
    extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
    least = re.search(r">=\s*([\d.]+)", requirement)
    needed_for = "everything" if extra is None else EXTRAS.get(extra[1], f"extra '{extra[1]}'")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", needed_for, core=extra is None)
    enough = least is None or _numbers(version) >= _numbers(least[1])
    detail = version if least is None or enough else f"{version}; {least[1]} or later is needed"
    return Finding(name, enough, detail, needed_for, core=extra is None)


def _numbers(version: str) -> tuple[int, ...]:
    leading = re.match(r"[\d.]+", version)
    return tuple(int(part) for part in leading[0].split(".") if part) if leading else ()


def _catalog() -> Finding:
    what, use = "catalogue", "shipped traces, devices and scenarios"
    try:
        root = catalog.root()
    except TestbedError as error:
        return Finding(what, False, str(error), use, core=True)
    shelves: tuple[catalog.Shelf, ...] = ("traces", "devices/devices", "scenarios")
    counts = [f"{sum(1 for _ in catalog.entries(shelf))} {shelf}" for shelf in shelves]
    empty = any(count.startswith("0 ") for count in counts)
    return Finding(what, not empty, f"{root}: {', '.join(counts)}", use, core=True)


def _runs_folder() -> Finding:
    folder = Path("runs") if Path("runs").is_dir() else Path()
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        detail = f"{folder.resolve()}: {error.strerror}; `testbed run --out DIR` names another"
        return Finding("runs folder", False, detail, "writing results here", core=True)
    free_gb = shutil.disk_usage(folder).free / 1e9
    detail = f"{folder.resolve()}, {free_gb:.1f} GB free"
    return Finding("runs folder", True, detail, "writing results here", core=True)


def _chromium() -> Finding:
    use = "tests that open a report"
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    return Finding("chromium", path is not None, path or "not on the PATH", use)


def _backends() -> Iterator[Finding]:
    """Try every way of shaping packets, by measuring."""
    if sys.platform != "linux":
        yield Finding("emulation", False, "Linux only", "emulation over a real kernel network")
        return
    from testbed.emulate.backends import BACKENDS
    from testbed.emulate.probe import probe

    for name, use in BACKENDS.items():
        found = probe(name)
        yield Finding(f"emulation: {name}", found.works, found.detail, use)


def _namespaces() -> Finding:
    use = "emulation without root"
    if sys.platform != "linux":
        return Finding("user namespaces", False, "Linux only", use)
    tried = subprocess.run([sys.executable, "-c", _UNSHARE], capture_output=True, check=False)  # noqa: S603
    allowed = tried.returncode == 0
    detail = "with a network of their own" if allowed else "the kernel refuses them"
    return Finding("user namespaces", allowed, detail, use)


def _root() -> Finding:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    use = "emulation where user namespaces are refused"
    return Finding("root", root, "yes" if root else "no", use)
