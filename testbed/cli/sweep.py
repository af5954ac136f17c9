"""`testbed sweep`: a grid of scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed sweep deadlines --workers 2

  testbed sweep my-sweep.yaml --out results

A sweep names a scenario and the keys to vary:

  schema: 1
  scenario: quickstart
  grid:
    deadline_ms: [200, 400, 800]
    network.uplink.trace: [lte/drive-a.up, measured.up]
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep", epilog=EXAMPLES)(sweep)


def sweep(
    name: Annotated[str, typer.Argument(help="A sweep file, or the name of a shipped one.")],
    out: Annotated[Path, typer.Option(help="Folder in which run folders are made.")] = Path("runs"),
    workers: Annotated[
        int, typer.Option(min=1, help="Processes to use; the result is the same for any number.")
    ] = 1,
) -> None:
    """Run a scenario over a grid of values, and go on where it stopped.

    Points that are complete already are not run again. Prints the best policy of each point, and
    writes every metric of every point and policy to a CSV file.
    """
    import json

    from testbed.cli.page import Page, Table
    from testbed.cli.terminal import progress_bar
    from testbed.records import write_text
    from testbed.sweep import load_sweep, run_sweep, table

    points = load_sweep(name)
    stem = Path(name).stem
    with progress_bar(f"sweeping {stem}") as progress:
        folders = run_sweep(points, out, workers=workers, progress=progress)
    path = out / f"{stem}.csv"
    write_text(path, table(points, folders))
    keys = list(points[0].values)
    found = Table("points", [*keys, "best_static", "best_policy", "on_time_map", "verdict"])
    for point, folder in zip(points, folders, strict=True):
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        scores = {
            policy: metrics["on_time_map"]["value"]
            for policy, metrics in summary["policies"].items()
            if metrics["on_time_map"]["value"] is not None
        }
        best = max(scores, key=lambda policy: scores[policy], default=None)
        comparison = summary["comparison"]
        shown = None if best is None else round(scores[best], 4)
        row = [comparison["best_fixed"], best, shown, comparison["verdict"]]
        found.rows.append([*map(str, point.values.values()), *row])
    Page(tables=[found], notes=[f"every metric: {path}"]).print()
