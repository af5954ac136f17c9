"""`testbed report` and `testbed compare`: over run folders that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from testbed.metrics import Interval

REPORT_EXAMPLES = """
[bold]Examples[/bold]

  testbed report runs/quickstart-1a2b3c4d

  testbed report runs/* --json
"""

COMPARE_EXAMPLES = """
[bold]Examples[/bold]

  testbed compare runs/quickstart-1a2b3c4d

  testbed compare runs/lte-1a2b3c4d runs/wifi-5e6f7a8b

  testbed compare runs/* --json > comparison.json
"""

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with units in the keys.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("report", epilog=REPORT_EXAMPLES)(report)
    app.command("compare", epilog=COMPARE_EXAMPLES)(compare)


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


def compare(runs: Runs, as_json: AsJson = False) -> None:
    """Compare policies within run folders, and the same policies between them.

    Within a run each policy is set against the best static one; between runs each policy against
    itself in the first run. Differences are paired over the seeds that both sides have.
    """
    import json

    from testbed import compare as comparing
    from testbed import records

    names = _names(runs)
    read = {name: records.read(run) for name, run in zip(names, runs, strict=True)}
    summaries = {name: comparing.summary(run) for name, run in read.items()}
    between = comparing.between_runs({n: comparing.figures_of(run) for n, run in read.items()})
    if as_json:
        out = [
            {"run": name, "folder": str(run.folder), "seeds": run.scenario["seeds"]}
            | {key: summaries[name][key] for key in ("policies", "comparison", "claims")}
            for name, run in read.items()
        ]
        typer.echo(json.dumps({"runs": out, "between": between}, ensure_ascii=False, indent=1))
        return
    _print(summaries, between)


def _names(runs: list[Path]) -> list[str]:
    """Return what to call the runs: their folders' names, whole paths where two are the same."""
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _print(summaries: dict[str, Any], between: list[dict[str, Any]]) -> None:
    from testbed.cli.page import Page, Table
    from testbed.compare import COMPARED, difference
    from testbed.metrics import METRICS

    heads = [
        METRICS[m].label + ("" if METRICS[m].unit == "1" else f", {METRICS[m].unit}")
        for m in COMPARED
    ]
    policies = Table("policies", ["run", "policy", *heads])
    notes = ["Mean over seeds [95 % interval]; * is the best static policy in hindsight."]
    for name, summary in summaries.items():
        best = summary["comparison"]["best_fixed"]
        for policy, figures in summary["policies"].items():
            cells = [_cell(figures[m], m) for m in COMPARED]
            policies.rows.append([name, f"{policy} *" if policy == best else policy, *cells])
        notes.append(f"{name}: {summary['comparison']['verdict']}")
        notes += [f"{name}: claim {claim['message']}" for claim in summary["claims"]]
    tables = [policies]
    if between:
        differences = Table("between", ["run", "against", "policy", "metric", "difference"])
        for row in between:
            found: Interval = {
                "value": row["value"], "low": row["low"], "high": row["high"], "n": row["n"],
            }  # fmt: skip
            metric = row["metric"]
            shown = [METRICS[metric].label, difference(found, metric)]
            differences.rows.append([row["run"], row["against"], row["policy"], *shown])
        tables.append(differences)
    Page(tables=tables, notes=notes).print()


def _cell(figure: dict[str, Any], metric: str) -> str:
    from testbed.metrics import METRICS

    show = METRICS[metric].show
    if figure["value"] is None:
        return show(None)
    text = show(float(figure["value"]))
    if figure["low"] is None:
        return text
    return f"{text} [{show(figure['low'])}, {show(figure['high'])}]"
