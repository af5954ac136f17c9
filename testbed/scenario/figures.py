"""The figures that a scenario's profiles hold: which of them a run rests on, and which are assumed.

A profile may say more than a run needs: the times of other networks, another mode's watts, a
battery that is not modelled. What a run does not read cannot make its results wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testbed import catalog
from testbed.catalog import Shelf
from testbed.devices.figures import line_of
from testbed.errors import InputErrors, Problem

if TYPE_CHECKING:
    from testbed.devices.figures import Figure
    from testbed.scenario.load import Scenario

# What no engine reads: for people, for other networks, for a server that decodes steadily and whose
# energy nobody counts.
_UNREAD = re.compile(r"(networks|modes)\[|spread_gmac_per_s$|memory_gb$|rtt_s$")
_UNREAD_OF_A_SERVER = re.compile(_UNREAD.pattern + r"|idle_w$|cap_w$|jitter_cv$")
_UNREAD_OF_A_DEVICE = re.compile(_UNREAD.pattern + r"|(battery|thermal|weights)\.")


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
    """Yield every figure of every profile that a scenario names, each profile once."""
    seen: set[str] = set()

    def of(
        shelf: Shelf,
        name: str,
        label: str,
        figures: list[tuple[str, Figure[Any]]],
        unread: re.Pattern[str],
    ) -> Iterator[Entry]:
        if label in seen:
            return
        seen.add(label)
        file = dict(catalog.entries(shelf)).get(name, Path(name))
        for key, figure in figures:
            yield Entry(label, file, key, figure, unread.match(key) is None)

    server = scenario.server
    named = scenario.spec.server.profile
    label = f"server {server.name}"
    yield from of("devices/servers", named, label, server.figures(), _UNREAD_OF_A_SERVER)
    for client in scenario.clients:
        device, radio, spec = client.device, client.radio, client.spec
        label = f"device {device.name}"
        figures = device.figures()
        yield from of("devices/devices", spec.device, label, figures, _UNREAD_OF_A_DEVICE)
        label = f"radio {radio.name}"
        yield from of("devices/radios", spec.radio, label, radio.figures(), _UNREAD)


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
