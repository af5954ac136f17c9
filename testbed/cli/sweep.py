"""`testbed sweep`: a grid of scenarios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in keys.")
    ] = False,
) -> None:
    """Run a scenario over a grid of values, and go on where it stopped.

    Points that are complete already are not run again. Prints the best policy of each point
    beside the best static one, and writes every metric of every policy to a CSV file.
    """
    import json

    from testbed.cli.page import Page, Table
    from testbed.cli.terminal import progress_bar
    from testbed.compare import PRIMARY
    from testbed.records import write_text
    from testbed.sweep import load_sweep, run_sweep, table

    points = load_sweep(name)
    stem = Path(name).stem
    with progress_bar(f"sweeping {stem}") as progress:
        folders = run_sweep(points, out, workers=workers, progress=progress)
    path = out / f"{stem}.csv"
    write_text(path, table(points, folders))
    summaries = [
        json.loads((folder / "summary.json").read_text(encoding="utf-8")) for folder in folders
    ]
    primary = {summary["comparison"]["metric"] for summary in summaries}
    metric = primary.pop() if len(primary) == 1 else PRIMARY
    columns = ["best_policy", metric, "best_static", f"its_{metric}", "difference"]
    found = Table("points", [*points[0].values, *columns, *(["run"] if as_json else [])])
    for point, folder, summary in zip(points, folders, summaries, strict=True):
        values = list(point.values.values())
        found.rows.append(
            [*values, *_best(summary, metric), str(folder)]
            if as_json
            else [*map(str, values), *_best(summary, metric)]
        )
    if as_json:
        Page(facts={"csv": str(path)}, tables=[found]).print(as_json=True)
        return
    Page(tables=[found], notes=[f"every metric of every policy: {path}"]).print()


def _best(summary: dict[str, Any], metric: str) -> list[str | float | None]:
    """Return the best policy, the best static one, their accuracy, and how they differ."""
    scores = {
        policy: metrics[metric]["value"]
        for policy, metrics in summary["policies"].items()
        if metrics[metric]["value"] is not None
    }
    best = max(scores, key=lambda policy: scores[policy], default=None)
    static = summary["comparison"]["best_fixed"]
    differences = summary["comparison"]["differences"].get(best)
    shown = None
    if differences is not None:
        found = differences[metric]
        shown = f"{found['value']:+.4f}"
        if found["low"] is not None:
            shown += f" [{found['low']:+.4f}, {found['high']:+.4f}]"
    return [best, _rounded(scores.get(best)), static, _rounded(scores.get(static)), shown]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
