"""`testbed report`: over run folders that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed report runs/quickstart-1a2b3c4d

  testbed report runs/* --json
"""

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with units in the keys.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EXAMPLES)(report)


def report(runs: Runs, as_json: AsJson = False) -> None:
    """Write report.html and report.md into run folders, from what their runs recorded.

    Every folder is looked at before the first report is written: one that is missing or incomplete
    stops the command with exit code 2 and its name.
    """
    from testbed import records
    from testbed import report as reports
    from testbed.cli.page import Page, Table

    for run in runs:
        records.read(run)
    table = Table("reports", ["run", "report", "markdown"])
    for run in runs:
        page = reports.write(run)
        table.rows.append([run.name, str(page), str(page.with_suffix(".md"))])
    if as_json:
        Page(tables=[table]).print(as_json=True)
        return
    for _, path, _ in table.rows:
        typer.echo(path)
