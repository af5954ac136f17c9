"""`--set a.b.c=VALUE`: changes to a scenario from the command line.

A path is made of keys, and of numbers where there is a list: `clients.0.count`. A key that itself
has dots in it, such as a policy called `narrow-0.25`, is found too. A value is YAML: `10`, `true`,
`null`, `[1, 2]`, `{kind: constant, mbps: 5}`. A group that the file leaves out may be begun this
way (`server.batch.max=8`); whether its keys exist is checked with the rest of the scenario.

Setting the `kind` of a part to another one removes the options of the old part and keeps the keys
that every part has in that place (`delay_ms` of a link). Kinds are set first, whatever the order
on the command line, so that the options of the new part can be given beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from testbed.errors import InputErrors, Problem
from testbed.parts import PartSpec
from testbed.scenario.schema import LinkSpec
from testbed.scenario.source import OVERRIDES, KeyPath, Place, Source, parse_value


def apply(source: Source, overrides: Iterable[str]) -> list[Problem]:
    """Change the data of `source`; return what is wrong with the overrides."""
    problems: list[Problem] = []
    changes: list[tuple[str, Any]] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            wanted = "write KEY=VALUE, such as network.uplink.delay_ms=10"
            problems.append(Problem(OVERRIDES, None, "", f"'{text}' is not an override; {wanted}"))
            continue
        try:
            changes.append((key, parse_value(value, OVERRIDES, key)))
        except InputErrors as error:
            problems += error.problems
    for key, value in sorted(changes, key=lambda change: not change[0].endswith(".kind")):
        if fault := _set(source, key, value):
            problems.append(Problem(OVERRIDES, None, key, fault))
    return problems


def _set(source: Source, key: str, value: Any) -> str | None:
    """Set one key; return what is wrong with it, or None."""
    path: KeyPath = ()
    rest = key
    while True:
        here = source.get(path)
        if isinstance(here, list):
            step, _, rest = rest.partition(".")
            if not step.isdecimal() or int(step) >= len(here):
                which = f"has entries 0 to {len(here) - 1}" if here else "is empty"
                return f"no entry '{step}': {'.'.join(map(str, path))} {which}"
            path = (*path, int(step))
        elif isinstance(here, dict):
            name, rest = _first_key(rest, here)
            path = (*path, name)
        else:
            return f"{'.'.join(map(str, path))} is not a group of keys"
        if not rest:
            break
        if source.get(path) is None:
            source.put(path, {})
            source.places[path] = Place(OVERRIDES, None)
    if path[-1] == "kind" and source.get(path) not in (None, value):
        _forget_options(source, path[:-1])
    source.put(path, value)
    for old in [p for p in source.places if p[: len(path)] == path]:
        del source.places[old]
    source.places[path] = Place(OVERRIDES, None)
    return None


def _first_key(rest: str, here: dict[str, Any]) -> tuple[str, str]:
    """Split off the first key: the longest one there is, or everything up to the next dot."""
    whole = [key for key in here if rest == key or rest.startswith(f"{key}.")]
    key = max(whole, key=len, default=rest.partition(".")[0])
    return key, rest[len(key) + 1 :]


def _forget_options(source: Source, path: KeyPath) -> None:
    part = source.get(path)
    common = LinkSpec.model_fields if path[0] == "network" else PartSpec.model_fields
    for option in [key for key in part if key not in common]:
        del part[option]
