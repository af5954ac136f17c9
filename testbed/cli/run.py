"""`testbed run`: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed run quickstart

  testbed run my-scenario.yaml --out results --workers 2

  testbed run quickstart --set network.uplink.trace=measured.up --set deadline_ms=150
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EXAMPLES)(run)


def run(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder in which the run folder is made.")] = Path(
        "runs"
    ),
    workers: Annotated[
        int, typer.Option(min=1, help="Processes to use; the result is the same for any number.")
    ] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse figures of the profiles that are assumed.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the claims as JUnit XML.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a scenario: every policy on every seed, one table, one report.

    Exit code 1 if a claim of the scenario does not hold, 2 if the scenario is wrong.
    """
    from testbed.cli.show_run import print_run
    from testbed.cli.terminal import progress_bar, write_junit
    from testbed.run import run as run_scenario
    from testbed.scenario import load
    from testbed.scenario.figures import refuse_assumed

    loaded = load(scenario, overrides or [])
    if strict:
        refuse_assumed(loaded)
    with progress_bar(f"simulating {loaded.spec.name}") as progress:
        folder = run_scenario(loaded, out, workers=workers, progress=progress)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **summary}, indent=1, ensure_ascii=False))
    else:
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        print_run(folder, summary, provenance["warnings"])
    if junit is not None:
        write_junit(junit, {folder.name: summary})
    if not all(claim["holds"] for claim in summary["claims"]):
        raise typer.Exit(1)
