"""Runs both engines on one scenario and compares them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testbed import records
from testbed.devices.hosts import UNMEASURED
from testbed.emulate.engine import Options
from testbed.emulate.run import refuse_inimitable
from testbed.run import write
from testbed.scenario import Scenario
from testbed.validate.bounds import TAKEN, Bound, bounds_of
from testbed.validate.calibrate import EVERY, calibrated, retimed
from testbed.validate.pages import html, markdown
from testbed.validate.verdict import PolicyVerdict, as_json, verdicts

WAITED = (
    "of the scenario's profiles; both engines let the same times pass, so that what differs is the "
    "network and the machine"
)

LIVE = (
    "a real network encodes and decodes; a frame that is compared takes what the frame before it "
    "took, which is not, or what the rehearsal right before took where a point has few of them"
)


@dataclass(frozen=True)
class Validation:
    """A validation that took place.

    Args:
        folder: Holds `simulated/`, the same `-without-host` times, with a live network the same
            `-as-rehearsed` and `-as-taken`, `emulated/`, and `validation.json`, `.md` and `.html`.
        result: The content of `validation.json`.
    """

    folder: Path
    result: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether the simulator is within its bounds."""
        return bool(self.result["holds"])


def validate(
    scenario: Scenario,
    out: Path,
    options: Options | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Validation:
    """Simulate and emulate a scenario, and write down how far apart they are.

    Args:
        scenario: What to run: its policies and seeds, in real time.
        out: Where the folder goes, `<out>/<name>-<digest>-validation`.
        options: Of the emulator.
        progress: Told the seconds that have passed, and all there will be.

    Raises:
        EnvironmentLacks: This machine cannot emulate, or the folder cannot be written.
    """
    folder = out / f"{scenario.spec.name}-{scenario.digest}-validation"
    options = options or Options()
    kind, bounds = bounds_of(scenario, options.backend, live=options.network is not None)
    refuse_inimitable(scenario, options)
    live = options.network is not None
    rehearsed = calibrated(scenario, options)
    write(scenario, folder / "emulated", emulation=options, progress=progress)
    emulated = records.read(folder / "emulated")
    frames = emulated.frames
    every = EVERY if live else 1
    told = retimed(rehearsed, frames[frames["frame"] % every != 0]) if live else rehearsed

    def verdicts_on(
        played: Scenario, name: str, bounds: Sequence[Bound] = (), every: int = every
    ) -> list[PolicyVerdict]:
        write(played, folder / name)
        return verdicts(records.read(folder / name), emulated, bounds, every)

    result = as_json(
        emulated,
        kind,
        verdicts_on(told, "simulated", bounds),
        LIVE if live else WAITED,
        told.hosts,
        verdicts_on(replace(told, hosts=UNMEASURED), "simulated-without-host"),
        verdicts_on(rehearsed, "simulated-as-rehearsed") if live else (),
        verdicts_on(retimed(rehearsed, frames, 1), "simulated-as-taken", TAKEN, 1) if live else (),
    )
    for name, text in (
        ("validation.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n"),
        ("validation.md", markdown([result])),
        ("validation.html", html([result])),
    ):
        records.write_text(folder / name, text)
    return Validation(folder, result)
