"""What runs have in common and what tells them apart, read from their scenarios."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.records import Run

_NAMES = ("name", "sha256")
_OF_A_TRACE = (*_NAMES, "network.uplink", "clients.radio")
_WEIGHTS = ("utility", "policies")


def conditions(runs: Mapping[str, Run]) -> dict[str, list[str]]:
    """Return runs that differ in nothing but trace and radio, by what sets each group apart.

    Traces stand for each other only where all else is the same. The label of a group holds the
    keys in which the groups differ, with its values; it is empty if there is one group.
    """
    return _grouped(runs, lambda key: not _under(key, _OF_A_TRACE))


def weightings(runs: Mapping[str, Run]) -> dict[str, list[str]]:
    """Return runs with the same policies and weights, by what sets each group apart."""
    return _grouped(runs, lambda key: _under(key, _WEIGHTS))


def world_of(run: Run) -> str:
    """Return what the policies of a run meet, apart from who they are and what they want."""
    flat = _flat(run.scenario)
    kept = {k: v for k, v in flat.items() if not _under(_plain(k), (*_NAMES, *_WEIGHTS))}
    return json.dumps(kept, sort_keys=True)


def _grouped(runs: Mapping[str, Run], counts: Callable[[str], bool]) -> dict[str, list[str]]:
    flats = {
        name: {key: value for key, value in _flat(run.scenario).items() if counts(_plain(key))}
        for name, run in runs.items()
    }
    groups: dict[str, list[str]] = {}
    for name, flat in flats.items():
        groups.setdefault(json.dumps(flat, sort_keys=True), []).append(name)
    firsts = [flats[names[0]] for names in groups.values()]
    keys = dict.fromkeys(key for flat in firsts for key in flat)
    differ = [key for key in keys if len({json.dumps(f.get(key)) for f in firsts}) > 1]
    # A policy that takes a weight of the scenario says it once more.
    for key in sorted(differ, key=lambda key: not key.startswith("policies.")):
        if len(set(_labels(firsts, rest := [k for k in differ if k != key]))) == len(firsts):
            differ = rest
    return dict(zip(_labels(firsts, differ), groups.values(), strict=True))


def _labels(flats: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    return [", ".join(f"{key}={flat[key]}" for key in keys if key in flat) for flat in flats]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of a scenario by their key paths."""
    return dict(_leaves(value, path))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        inner = {str(i): item for i, item in enumerate(value)}.items()
    else:
        yield path, value
        return
    for key, item in inner:
        yield from _leaves(item, f"{path}.{key}" if path else str(key))


def _plain(key: str) -> str:
    """Return a key path without the numbers of lists."""
    return ".".join(part for part in key.split(".") if not part.isdigit())


def _under(key: str, groups: tuple[str, ...]) -> bool:
    return any(key == group or key.startswith(group + ".") for group in groups)
