"""The figures that a scenario's profiles hold: which of them a run rests on, and which are assumed.

A profile may say more than a run needs: the times of other networks, another mode's watts, a
battery that is not modelled. What a run does not read cannot make its results wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testbed import catalog
from testbed.catalog import Shelf
from testbed.devices.figures import line_of, walk
from testbed.devices.profile import load_device
from testbed.errors import InputErrors, Problem

if TYPE_CHECKING:
    from testbed.devices.figures import Figure
    from testbed.devices.sheets import PointSheet
    from testbed.scenario.load import Client, Scenario

# What no engine reads: for people, for other networks, for a server that decodes steadily and whose
# energy nobody counts.
_UNREAD = re.compile(r"(networks|modes)\[|spread_gmac_per_s$|memory_gb$|rtt_s$")
_UNREAD_OF_A_SERVER = re.compile(r"idle_w$|cap_w$|jitter_cv$")


class Entry(NamedTuple):
    """One figure of one profile.

    Args:
        profile: Kind and name of the profile.
        file: Where it stands.
        key: Its key path in there.
        figure: The value, its kind and its source.
        used: Whether a run of the scenario depends on it.
    """

    profile: str
    file: Path
    key: str
    figure: Figure[Any]
    used: bool


def entries(scenario: Scenario) -> Iterator[Entry]:
    """Yield every figure of every profile that a scenario names, each profile once.

    A device in two modes is two profiles. The options of the first group that has a device decide
    which of its figures are used.
    """
    server, named = scenario.server, scenario.spec.server.profile
    file = _file("devices/servers", named)
    detectors = {client.detector.timed_as for client in scenario.clients}
    for key, figure in server.figures():
        used = not _UNREAD.match(key) and not _UNREAD_OF_A_SERVER.match(key)
        used = used and _measured(key, server.sheet.points, detectors)
        yield Entry(f"server {server.name}", file, key, figure, used)
    seen: set[str] = set()
    for client in scenario.clients:
        device, radio = client.device, client.radio
        label = device_label(device.name, client.spec.mode)
        if label not in seen:
            yield from _of_device(label, client)
        if f"radio {radio.name}" not in seen:
            file = _file("devices/radios", client.spec.radio)
            for key, figure in radio.figures():
                used = not _UNREAD.match(key)
                yield Entry(f"radio {radio.name}", file, key, figure, used)
        seen |= {label, f"radio {radio.name}"}


def device_label(name: str, mode: str | None) -> str:
    """Return what the provenance calls a device in a mode."""
    return f"device {name}" if mode is None else f"device {name} in mode {mode}"


def _of_device(label: str, client: Client) -> Iterator[Entry]:
    spec, device = client.spec, client.device
    file = _file("devices/devices", spec.device)
    unused = {"modes[", "battery.", "thermal.", "weights."}
    if spec.battery is not None:
        unused.remove("battery.")
        if spec.battery.capacity_wh is not None:
            unused.add("battery.capacity_mah")
    if spec.ambient_c is not None:
        unused.remove("thermal.")
    if spec.weights is not None:
        unused.remove("weights.")
    moved = _keys_of_mode(file, spec.mode) if spec.mode is not None else {}
    for key, figure in device.figures():
        used = not _UNREAD.match(key) and not key.startswith(tuple(unused))
        used = used and _measured(key, device.sheet.points, {client.detector.timed_as})
        yield Entry(label, file, moved.get(key, key), figure, used)


def _keys_of_mode(file: Path, mode: str) -> dict[str, str]:
    """Return where in a device's file the figures of a mode stand, by where those of others do."""
    for place, other in enumerate(load_device(file).sheet.modes):
        if other.mode == mode:
            return {key: f"modes[{place}].{key}" for key, _ in walk(other)}
    return {}


def _measured(key: str, points: Sequence[PointSheet], detectors: set[str]) -> bool:
    """Return whether a figure, if it is of a measured point, is of one of these detectors."""
    found = re.match(r"points\[(\d+)\]\.(\w+)", key)
    if found is None:
        return True
    # The rest is for people; jitter is drawn from its coefficient of variation.
    read = ("width", "time_s", "jitter_cv", "active_w")
    return points[int(found[1])].detector in detectors and found[2] in read


def _file(shelf: Shelf, name: str) -> Path:
    return dict(catalog.entries(shelf)).get(name, Path(name))


def refuse_assumed(scenario: Scenario) -> None:
    """Raise `InputErrors` naming every figure that a run would use and that is only assumed."""
    problems = [
        Problem(
            str(entry.file),
            line_of(entry.file, entry.key),
            entry.key,
            f"{_shown(entry.figure.value)} is assumed ({entry.figure.source}); "
            "--strict takes what is measured or published",
        )
        for entry in entries(scenario)
        if entry.used and entry.figure.kind == "assumed"
    ]
    if problems:
        raise InputErrors(problems)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
