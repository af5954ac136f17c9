"""`testbed validate`: the same scenario simulated and emulated; error per stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed validate validation/lte-static

  testbed validate quickstart --policy narrow --seconds 20

  testbed validate my-scenario.yaml --backend tc --json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate", epilog=EXAMPLES)(validate)


def validate(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    policy: Annotated[
        str | None, typer.Option(help="Only this policy of the scenario; else all of them.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="How long a run lasts, instead of duration_s.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="What shapes the packets; see `testbed doctor`.")
    ] = "auto",
    tries: Annotated[
        int, typer.Option(min=1, help="How often a run is repeated whose relay was late.")
    ] = 3,
    weights: Annotated[
        Path | None, typer.Option(help="Really encode and decode, with this network.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="With --weights: what somebody else's file holds.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="With --weights: decodes the pictures of mode offload."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder in which the results are put.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say how far the simulator is from the same scenario over the kernel's network.

    Every policy and seed takes as long as it says, in real time. Exit code 1 if the simulator is
    beyond its bounds, 3 if this machine cannot emulate.
    """
    from testbed.cli.emulation import options
    from testbed.cli.terminal import progress_bar
    from testbed.scenario import load
    from testbed.validate.engines import validate as validate_scenario
    from testbed.validate.select import only

    changes = list(overrides or [])
    if seconds is not None:
        changes.append(f"duration_s={seconds:g}")
    loaded = load(scenario, changes)
    if policy is not None:
        loaded = only(loaded, policy)
    emulation = options(backend, weights=weights, network=network, teacher=teacher, tries=tries)
    with progress_bar(f"emulating {loaded.spec.name}") as progress:
        done = validate_scenario(loaded, out, emulation, progress)
    if as_json:
        result = {"folder": str(done.folder), **done.result}
        typer.echo(json.dumps(result, ensure_ascii=False, indent=1))
    else:
        _print(done.folder, done.result)
    if not done.holds:
        raise typer.Exit(1)


def _print(folder: Path, result: dict[str, Any]) -> None:
    from testbed.cli.page import Page, Table
    from testbed.validate import pages

    page = Page(title=f"{result['scenario']}: {pages.where(result)}")
    for policy in result["policies"]:
        for name, heads, rows in (
            ("bounds", pages.BOUND_HEADS, pages.bound_rows(policy)),
            ("stages", pages.STAGE_HEADS, pages.stage_rows(policy)),
            ("sums", pages.OTHER_HEADS, pages.other_rows(policy)),
        ):
            page.tables.append(
                Table(name, (f"{policy['policy']}: {heads[0]}", *heads[1:]), list(rows))
            )
    verdict = "within its bounds" if result["holds"] else "beyond its bounds"
    page.notes = [said for policy in result["policies"] for said in pages.of_a_network(policy)]
    page.notes += [f"The simulator is {verdict}.", f"Results: {folder / 'validation.html'}"]
    page.print()
