"""Finds the data that ships with the testbed: traces, devices, scenarios.

The one place that knows where they lie: the folder named by `$TESTBED_CATALOG`, else `_catalog/`
inside the package (an installed wheel), else the folders beside the package (a checkout).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from testbed.errors import TestbedError, UnknownName

Shelf = Literal[
    "traces",
    "devices/devices",
    "devices/radios",
    "devices/servers",
    "scenarios",
    "scenarios/sweeps",
    "policies",
]

# What counts as an entry on each shelf; everything else there is documentation.
_SUFFIXES: dict[str, tuple[str, ...]] = {
    "traces": (".up", ".down", ".csv"),
    "devices/devices": (".yaml",),
    "devices/radios": (".yaml",),
    "devices/servers": (".yaml",),
    "scenarios": (".yaml",),
    "scenarios/sweeps": (".yaml",),
    "policies": (".safetensors",),
}
_SINGULAR = {
    "traces": "trace",
    "devices/devices": "device",
    "devices/radios": "radio",
    "devices/servers": "server",
    "scenarios": "scenario",
    "scenarios/sweeps": "sweep",
    "policies": "trained policy",
}
# What comes with the code that runs it, and so lies in the package wherever the rest is.
_PACKAGED: dict[str, Path] = {
    "policies": Path(__file__).resolve().parent / "policies" / "trained",
}


def root() -> Path:
    """Return the folder that holds `traces/`, `devices/` and `scenarios/`."""
    named = os.environ.get("TESTBED_CATALOG")
    if named:
        folder = Path(named)
        if not folder.is_dir():
            raise TestbedError(f"TESTBED_CATALOG names '{named}', which is not a folder")
        return folder
    package = Path(__file__).resolve().parent
    bundled = package / "_catalog"
    return bundled if bundled.is_dir() else package.parent


def _folder(shelf: str) -> Path:
    return _PACKAGED.get(shelf) or root() / shelf


def entries(shelf: Shelf) -> Iterator[tuple[str, Path]]:
    """Yield name and path of everything on a shelf, sorted by name.

    Traces are named with their suffix, everything else without, relative to the shelf. What lies on
    a shelf inside another belongs to the inner one alone.
    """
    folder = _folder(shelf)
    inner = [root() / other for other in _SUFFIXES if other.startswith(f"{shelf}/")]
    for path in sorted(folder.rglob("*")):
        if any(other in path.parents for other in inner):
            continue
        if path.suffix in _SUFFIXES[shelf] and path.is_file():
            name = path.relative_to(folder).as_posix()
            yield (name if shelf == "traces" else name.removesuffix(path.suffix), path)


def find(shelf: Shelf, name: str, *, beside: Path | None = None) -> Path:
    """Return the file a user means by `name`.

    In this order: a path as it stands, a path relative to `beside` (the folder of the file that
    names it), an entry of the catalogue. Raise `UnknownName` when none of them exists.
    """
    suffixes = _SUFFIXES[shelf]
    candidate = Path(name).expanduser()
    for path in (candidate, *([beside / candidate] if beside else [])):
        if path.is_file() or (path.exists() and path.suffix in suffixes):
            return path
    known = dict(entries(shelf))
    if name in known:
        return known[name]
    if "/" in name and (candidate.is_absolute() or name.startswith((".", "~"))):
        raise TestbedError(f"no such file: '{name}'")
    raise UnknownName(_SINGULAR[shelf], name, known)


def name_of(shelf: Shelf, path: Path) -> str | None:
    """Return the catalogue name of a file, or None if it is a file of the user's."""
    resolved = path.resolve()
    return next((name for name, entry in entries(shelf) if entry.resolve() == resolved), None)
