"""`testbed energy`: where the joules of a run went."""

from __future__ import annotations

from itertools import groupby
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from testbed.cli.page import Page, Table
    from testbed.records import Run
    from testbed.report.ledger import PolicyLedger, State

EXAMPLES = """
[bold]Examples[/bold]

  testbed energy runs/quickstart-1a2b3c4d

  testbed energy quickstart --policy adaptive --attribution proportional

  testbed energy one-upload --attribution proportional

  testbed energy quickstart --set clients.0.radio=lte-2012-aro --battery-wh 18.5 --json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("energy", epilog=EXAMPLES)(energy)


def energy(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|RUN", help="A run folder, or a scenario, which is run for it."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
    policies: Annotated[
        list[str] | None,
        typer.Option("--policy", metavar="NAME", help="Only this policy; may be repeated."),
    ] = None,
    clients: Annotated[
        list[str] | None,
        typer.Option("--client", metavar="NAME", help="Only this client; may be repeated."),
    ] = None,
    attribution: Annotated[
        Literal["marginal", "proportional"],
        typer.Option(
            help="Who pays for the radio's promotions and tails: nobody, or the frames of the "
            "burst they are there for."
        ),
    ] = "marginal",
    battery_wh: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="WH", help="Battery to tell the hours on; else the device's own."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in the keys.")
    ] = False,
) -> None:
    """Show where the joules went: by component and state, per frame, in total and net of idle.

    Figures are of one run, mean over the seeds. A scenario is run without leaving anything behind.
    """
    from testbed.report.ledger import ledgers

    run = _read(target, overrides or [])
    entries = ledgers(run, attribution, policies=policies or (), clients=clients or ())
    batteries = _batteries(run, [entry.policy for entry in entries], clients or (), battery_wh)
    if as_json:
        _for_programs(run, entries, batteries, attribution).print(as_json=True)
    else:
        _for_people(run, entries, batteries, attribution).print()


def _read(target: str, overrides: list[str]) -> Run:
    """Return a run folder, or what running the scenario of that name gives."""
    from tempfile import TemporaryDirectory

    from testbed import records
    from testbed.errors import RunError

    if Path(target).is_dir():
        if overrides:
            raise RunError(f"{target}: a run that is over; --set is for scenarios")
        return records.read(Path(target))
    from testbed import run as running
    from testbed.cli.terminal import progress_bar
    from testbed.scenario import load

    scenario = load(target, overrides)
    with (
        TemporaryDirectory(prefix="testbed-") as folder,
        progress_bar(f"simulating {scenario.spec.name}") as progress,
    ):
        running.write(scenario, Path(folder), progress=progress)
        return records.read(Path(folder))


def _batteries(
    run: Run, policies: list[str], clients: Any, battery_wh: float | None
) -> list[tuple[str, str, float, float, float | None]]:
    """Return policy, client, its mean power, its battery, and how long that lasts, where known."""
    from testbed.devices.battery import S_PER_H, Battery, of_capacity
    from testbed.model import NS_PER_S
    from testbed.report.ledger import battery_of, ledgers

    out = []
    for group in run.scenario["clients"]:
        name = group["name"]  # stands for its group: equal clients, equal means but for chance
        if clients and name not in clients:
            continue
        sheet = battery_of(run, group) if battery_wh is None else of_capacity(battery_wh)
        if sheet is None:
            continue
        battery = Battery(sheet)
        for entry in ledgers(run, policies=policies, clients=[name]):
            lasts_ns = battery.lasts_ns(entry.mean_w)
            hours = None if lasts_ns is None else lasts_ns / NS_PER_S / S_PER_H
            wh = battery.capacity_j / S_PER_H
            out.append((entry.policy, name, entry.mean_w, wh, hours))
    return out


def _for_programs(
    run: Run, entries: list[PolicyLedger], batteries: list[Any], attribution: str
) -> Page:
    from testbed.cli.page import Page, Table

    sums = Table("policies", _SUMS)
    states = Table(
        "ledger",
        ("policy", "component", "state", "duration_s", "energy_j", "frames_j", "shared_j"),
    )
    for entry in entries:
        sums.rows.append(_sums(entry))
        states.rows += [
            (entry.policy, *state[:2], state.seconds, state.joules, state.frames_j, state.shared_j)
            for state in entry.states
        ]
    lasting = Table("batteries", _BATTERY, list(batteries))
    facts = {
        "scenario": run.scenario["name"],
        "seeds": run.scenario["seeds"],
        "attribution": attribution,
    }
    return Page("", facts, [sums, states, lasting])


_SUMS = (
    "policy",
    "captured",
    "total_j",
    "net_j",
    "frames_j",
    "shared_j",
    "total_j_per_frame",
    "net_j_per_frame",
    "mean_w",
)
_PAID = {
    "marginal": "encoding and time on the air, not the radio's promotions and tails",
    "proportional": "encoding, time on the air, and the promotions and tails of their bursts",
}
_BATTERY = ("policy", "client", "mean_w", "battery_wh", "hours")


def _sums(entry: PolicyLedger) -> tuple[Any, ...]:
    parts = (entry.total_j, entry.net_j, entry.frames_j, entry.shared_j)
    per_frame = (entry.total_j / entry.captured, entry.net_j / entry.captured)
    return (entry.policy, entry.captured, *parts, *per_frame, entry.mean_w)


def _for_people(
    run: Run, entries: list[PolicyLedger], batteries: list[Any], attribution: str
) -> Page:
    from testbed.cli.page import Page, Table

    seeds = len(run.scenario["seeds"])
    over = f", mean over {seeds} seeds" if seeds > 1 else ""
    page = Page(f"{run.scenario['name']}: energy of one run{over}")
    sums = Table("policies", _SUMS, [_short(_sums(entry)) for entry in entries])
    detail = _one(entries[0]) if len(entries) == 1 else _several(entries)
    page.tables = [detail, sums, Table("batteries", _BATTERY, [_short(row) for row in batteries])]
    page.notes = [
        "net: total without what the idle board draws anyway; the two may rank differently",
        f"frames: {_PAID[attribution]}; shared: the rest",
        "mean_w: of one client while it is on",
    ]
    return page


def _one(entry: PolicyLedger) -> Table:
    """Return every state of one policy, with the sums of each component."""
    from testbed.cli.page import Table

    columns = ("component", "state", "seconds", "watts", "joules", "J/frame", "frames", "shared")
    table = Table("ledger", columns)
    for component, states in _by_component(entry):
        for s in states:
            watts = s.joules / s.seconds if s.seconds else None
            figures = (s.seconds, watts, s.joules, s.joules / entry.captured)
            table.rows.append(_short((component, s.state, *figures, s.frames_j, s.shared_j)))
        if len(states) > 1:
            joules, frames_j = _sum(states)
            sums = (None, None, joules, joules / entry.captured, frames_j, joules - frames_j)
            table.rows.append(_short((component, "sum", *sums)))
    return table


def _several(entries: list[PolicyLedger]) -> Table:
    """Return the joules per frame in every state, a column for each policy."""
    from testbed.cli.page import Table

    table = Table("ledger", ("J per frame", "state", *(entry.policy for entry in entries)))
    found: dict[tuple[str, str], list[float]] = {}
    for component in dict.fromkeys(state.component for e in entries for state in e.states):
        for column, entry in enumerate(entries):
            states = dict(_by_component(entry)).get(component, [])
            rows = [(s.state, s.joules) for s in states]
            if len(states) > 1:
                rows += zip(("sum", "of which frames"), _sum(states), strict=True)
            for name, joules in rows:
                figures = found.setdefault((component, name), [0.0] * len(entries))
                figures[column] = joules / entry.captured
    table.rows = [_short((*key, *figures)) for key, figures in found.items()]
    return table


def _by_component(entry: PolicyLedger) -> list[tuple[str, list[State]]]:
    return [(name, list(states)) for name, states in groupby(entry.states, lambda s: s.component)]


def _sum(states: list[State]) -> tuple[float, float]:
    """Return the joules of some states, and those of them that frames pay for."""
    return fsum(s.joules for s in states), fsum(s.frames_j for s in states)


def _short(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with its figures cut to what one can read: five digits."""
    return tuple(float(f"{cell:.5g}") if isinstance(cell, float) else cell for cell in row)
