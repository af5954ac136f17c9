"""One scenario on many traces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from testbed.scenario import Scenario, load

Named = Scenario | Path | str
"""A scenario, or the file or the name in the catalogue of one."""


def loaded(scenario: Named | Sequence[Named]) -> tuple[Scenario, ...]:
    """Return scenarios from themselves or from their names."""
    many = [scenario] if isinstance(scenario, Scenario | Path | str) else scenario
    return tuple(each if isinstance(each, Scenario) else load(each) for each in many)


def on_traces(
    scenario: Path | str, traces: Iterable[str], overrides: Iterable[str] = ()
) -> tuple[Scenario, ...]:
    """Return a scenario once for each trace, which its uplink replays from a random start.

    Args:
        scenario: A file, or the name of one in the catalogue; its uplink must be a `replay`, or
            hold one in its `link`.
        traces: Names in the catalogue, or paths.
        overrides: Of other keys, as for `testbed run --set`.

    Raises:
        InputErrors: Something is wrong with one of them.
    """
    others, key = list(overrides), "network.uplink"
    uplink = load(scenario, others).spec.network.uplink
    while not hasattr(uplink, "trace") and hasattr(uplink, "link"):
        key, uplink = f"{key}.link", uplink.link
    own = f"{key}.start_s=random"
    return tuple(load(scenario, [*others, own, f"{key}.trace={json.dumps(t)}"]) for t in traces)
