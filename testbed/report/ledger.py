"""Where the joules of a run went: its energy ledger by policy, component and state.

Figures are means over the seeds and sums over the clients, of one run from its first capture to
its end. Read from the rows of a run folder alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from testbed.devices.attribution import Convention
from testbed.devices.battery import of_capacity
from testbed.devices.figures import Figure
from testbed.devices.ledger import COMPONENTS, OFF
from testbed.devices.radio import CONNECTED, IDLE
from testbed.devices.sheets import BatterySheet
from testbed.errors import UnknownName
from testbed.model import NS_PER_S
from testbed.scenario.figures import device_label

if TYPE_CHECKING:
    import pandas as pd

    from testbed.records import Run

BUSY = "busy"


class State(NamedTuple):
    """One state of one component.

    Args:
        component: `compute`, `radio` or `idle`.
        state: As in the ledger.
        seconds: Spent in it, all clients together.
        joules: Drawn in it.
        frames_j: Of these, what frames pay for.
    """

    component: str
    state: str
    seconds: float
    joules: float
    frames_j: float

    @property
    def shared_j(self) -> float:
        """What belongs to no frame."""
        return self.joules - self.frames_j


@dataclass(frozen=True)
class PolicyLedger:
    """The energy of one policy: mean over the seeds, sum over the clients.

    Args:
        policy: Its name.
        captured: Frames.
        on_s: How long the clients were on, all together; less than they could be where a battery
            ran empty.
        states: Every state, by component and then in the order in which they first occur.
    """

    policy: str
    captured: float
    on_s: float
    states: tuple[State, ...]

    @property
    def total_j(self) -> float:
        """Everything."""
        return math.fsum(state.joules for state in self.states)

    @property
    def net_j(self) -> float:
        """Without what the idle boards draw anyway."""
        return math.fsum(state.joules for state in self.states if state.component != "idle")

    @property
    def frames_j(self) -> float:
        """What frames pay for."""
        return math.fsum(state.frames_j for state in self.states)

    @property
    def shared_j(self) -> float:
        """What belongs to no frame."""
        return math.fsum(state.shared_j for state in self.states)

    @property
    def mean_w(self) -> float:
        """Mean power of one client while it is on."""
        return self.total_j / self.on_s if self.on_s else 0.0


def ledgers(
    run: Run,
    convention: Convention = "marginal",
    *,
    policies: Iterable[str] = (),
    clients: Iterable[str] = (),
) -> list[PolicyLedger]:
    """Sum up the ledger of a run, one entry per policy in the order of the scenario.

    Frames pay for their encodings and for the time that they are on the air; under the convention
    `proportional` also for the promotions and tails of the bursts they are in (see
    `testbed.devices.attribution`, which splits the same joules frame by frame).

    Args:
        run: A run folder, read.
        convention: Who pays for promotions and tails.
        policies: Only these; all if empty.
        clients: Only these, by their own names; all if empty.

    Raises:
        UnknownName: There is no such policy or client in the run.
    """
    wanted = _among("policy", policies, run.scenario["policies"])
    names = list(dict.fromkeys(run.frames["client"].astype(str)))
    chosen = _among("client", clients, names)
    rows, frames = run.energy, run.frames
    if len(chosen) < len(names):
        rows, frames = rows[rows["client"].isin(chosen)], frames[frames["client"].isin(chosen)]
    rows = rows.assign(frames_j=_of_frames(rows, convention))
    out = []
    for policy in wanted:
        own = rows[rows["policy"] == policy]
        seeds = own["seed"].nunique()
        captured = int((frames["policy"] == policy).sum()) / seeds
        states = _states(own, seeds)
        on_s = math.fsum(s.seconds for s in states if s.component == "idle" and s.state != OFF)
        out.append(PolicyLedger(policy, captured, on_s, states))
    return out


def _among(kind: str, asked: Iterable[str], known: Iterable[str]) -> list[str]:
    names, known = list(asked), list(known)
    for name in names:
        if name not in known:
            raise UnknownName(kind, name, known)
    return [name for name in known if name in names] if names else known


def _states(rows: pd.DataFrame, seeds: int) -> tuple[State, ...]:
    found: list[State] = []
    for (component, state), part in rows.groupby(["component", "state"], observed=True, sort=False):
        duration_ns = int(part["end_ns"].sum() - part["start_ns"].sum())
        joules, paid = (math.fsum(part[name].tolist()) for name in ("energy_j", "frames_j"))
        figures = (duration_ns / NS_PER_S / seeds, joules / seeds, paid / seeds)
        found.append(State(str(component), str(state), *figures))
    return tuple(sorted(found, key=lambda state: COMPONENTS.index(state.component)))


def _of_frames(rows: pd.DataFrame, convention: Convention) -> np.ndarray:
    """Return of the energy of each span what frames pay for."""
    component, state = rows["component"].astype(str), rows["state"].astype(str)
    joules = rows["energy_j"].to_numpy(np.float64)
    radio = (component == "radio").to_numpy()
    connected = radio & (state == CONNECTED).to_numpy()
    paid = connected | ((component == "compute") & (state == BUSY)).to_numpy()
    if convention == "proportional":
        # A burst goes from one idle to the next; spans of one radio follow each other in time.
        owner = rows.groupby(["policy", "seed", "client"], observed=True, sort=False).ngroup()
        edge = (owner.diff() != 0).to_numpy() | ~radio | (state == IDLE).to_numpy()
        burst = np.cumsum(edge)
        used = np.bincount(burst, weights=connected)[burst] > 0
        paid |= radio & used & ~(state == IDLE).to_numpy()
    return np.where(paid, joules, 0.0)


def battery_of(run: Run, group: Mapping[str, Any]) -> BatterySheet | None:
    """Return the battery of a group of clients: its own, or the one its device has; None without.

    From the figures in the provenance, so that it is what the device's file said at the time.
    """
    name = PurePath(group["device"]).name.removesuffix(".yaml")
    profile = device_label(name, group.get("mode"))
    figures = {
        figure["key"].removeprefix("battery."): Figure(
            figure["value"], figure["kind"], figure["source"]
        )
        for figure in run.provenance.get("figures", [])
        if figure["profile"] == profile and figure["key"].startswith("battery.")
    }
    sheet = BatterySheet(**figures) if figures else None
    capacity_wh = (group.get("battery") or {}).get("capacity_wh")
    return sheet if capacity_wh is None else of_capacity(capacity_wh, sheet)
