"""`testbed compare`: over run folders that exist already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from testbed.compare import Contrast
    from testbed.metrics import Interval
    from testbed.records import Run

EXAMPLES = """
[bold]Examples[/bold]

  testbed compare runs/quickstart-1a2b3c4d

  testbed compare runs/lte-1a2b3c4d runs/wifi-5e6f7a8b

  testbed compare --across --metric utility runs/*

  testbed compare --front --gain on_time_map --cost energy_per_frame_j runs/*

  testbed compare runs/* --json > comparison.json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", epilog=EXAMPLES)(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    across: Annotated[
        bool, typer.Option("--across", help="Over traces: each run is one observation.")
    ] = False,
    front: Annotated[
        bool, typer.Option("--front", help="Two metrics at once, over runs of other weights.")
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            help="With --across: what is compared; left out, streaming mAP where every run has it, "
            "else on-time mAP."
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(help="With --across: a policy, or the best static one of each trace.")
    ] = "best-fixed",
    gain: Annotated[
        str | None, typer.Option(help="With --front: better high; left out, as with --across.")
    ] = None,
    cost: Annotated[str, typer.Option(help="With --front: better low.")] = "energy_per_frame_j",
    junit: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the runs' claims as JUnit XML.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in keys.")
    ] = False,
) -> None:
    """Compare policies within run folders, and the same policies between them.

    Within a run each policy is set against the best static one; between runs each policy against
    itself in the first run. Differences are paired over the seeds that both sides have.

    With --across a run is one observation, of a trace, and policies are compared over all of them.
    With --front each policy's points over a sweep of weights are compared in two metrics at once.
    Exit code 1, with --junit, if a claim does not hold.
    """
    from testbed import compare as comparing
    from testbed import records
    from testbed.cli.terminal import write_junit

    if across and front:
        raise typer.BadParameter("--across and --front ask two questions; ask one at a time")
    names = _names(runs)
    read = {name: records.read(run) for name, run in zip(names, runs, strict=True)}
    if across:
        _across(read, metric, against, as_json=as_json)
    elif front:
        _front(read, gain, cost, as_json=as_json)
    else:
        _between(read, as_json=as_json)
    if junit is not None:
        summaries = {name: comparing.summary(run) for name, run in read.items()}
        if not write_junit(junit, summaries):
            raise typer.Exit(1)


def _names(runs: list[Path]) -> list[str]:
    """Return what to call the runs: their folders' names, whole paths where two are the same."""
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _across(read: Mapping[str, Run], metric: str | None, against: str, *, as_json: bool) -> None:
    import json

    from testbed import compare as comparing
    from testbed.cli.page import Page, Table

    kinds = {p: kind for run in read.values() for p, kind in comparing.kinds_of(run).items()}
    groups = comparing.conditions(read)
    found: dict[str, list[Contrast]] = {
        label: comparing.across(
            {name: comparing.figures_of(read[name]) for name in names},
            kinds,
            against=against,
            metric=metric,
            families={name: comparing.family_of(read[name]) for name in names},
        )
        for label, names in groups.items()
    }
    if as_json:
        rows = [{"condition": label} | row for label, part in found.items() for row in part]
        print_json = json.dumps({"across": rows}, ensure_ascii=False, indent=1)
        typer.echo(print_json)
        return
    heads = ["policy", "difference", "relative", "p after Holm", "effect size"]
    heads += ["P(better)", "detectable", "worst tenth", "traces won"]
    tables, notes = [], []
    for label, part in found.items():
        table = Table(label, [*(["condition"] if label else []), *heads])
        table.rows += [[*([label] if label else []), *_contrast_cells(row)] for row in part]
        tables.append(table)
        before = f"{label}: " if label else ""
        notes += [f"{before}{row['verdict']}" for row in part]
    notes.append(
        f"Differences are against {against}, positive is better, with the 95 % BCa interval over "
        "the traces. In worst tenth the rival's figure stands after the policy's."
    )
    Page(tables=tables, notes=notes).print()


def _contrast_cells(row: Contrast) -> list[str]:
    from testbed.metrics import METRICS

    show = METRICS[row["metric"]].show
    value = show(row["value"], signed=True)
    if row["low"] is not None:
        value += f" [{show(row['low'], signed=True)}, {show(row['high'], signed=True)}]"
    wins = ", ".join(f"{family} {won}/{n}" for family, (won, n) in row["wins"].items())
    return [
        row["policy"],
        value,
        "-" if row["relative"] is None else f"{100 * row['relative']:+.1f} %",
        f"{row['p_holm']:.2g}",
        "-" if row["effect_size"] is None else f"{row['effect_size']:+.2f}",
        f"{row['improvement']:.2f}",
        show(row["detectable"]),
        f"{show(row['worst'])} vs {show(row['worst_rival'])}",
        wins,
    ]


def _front(read: Mapping[str, Run], wanted: str | None, cost: str, *, as_json: bool) -> None:
    from testbed import compare as comparing
    from testbed.cli.page import Page, Table
    from testbed.metrics import METRICS

    gain = wanted or comparing.primary_of(comparing.figures_of(run) for run in read.values())
    settings = {
        label: {comparing.world_of(read[name]): comparing.figures_of(read[name]) for name in names}
        for label, names in comparing.weightings(read).items()
    }
    points = comparing.points_of(settings, gain, cost)
    middle = {
        key: tuple(sum(values) / len(values) for values in zip(*units.values(), strict=True))
        for key, units in points.items()
    }
    ahead = comparing.front({str(i): pair for i, pair in enumerate(middle.values())})
    tried = Table("points", ["weights", "policy", gain, cost, "on_front"])
    for i, ((setting, policy), (high, low)) in enumerate(middle.items()):
        shown = [METRICS[gain].show(high), METRICS[cost].show(low)]
        tried.rows.append([setting, policy, *([high, low] if as_json else shown), str(i) in ahead])
    rows = comparing.coverage(points)
    if as_json:
        covered = Table("coverage", list(rows[0]), [list(row.values()) for row in rows])
        Page(tables=[tried, covered]).print(as_json=True)
        return
    covered = Table("coverage", ["policy", "points", "on_front", "hypervolume"])
    for row in rows:
        area = f"{row['hypervolume']:.3f}"
        if row["low"] is not None:
            area += f" [{row['low']:.3f}, {row['high']:.3f}]"
        covered.rows.append([row["policy"], row["points"], row["on_front"], area])
    note = (
        "Hypervolume is the share of the room between the best and the worst figures of all points "
        f"that a policy's points dominate, with its 95 % bootstrap interval over {rows[0]['n']} "
        "seeds or worlds. Policies with more points have had more chances."
    )
    Page(tables=[tried, covered], notes=[note]).print()


def _between(read: Mapping[str, Run], *, as_json: bool) -> None:
    import json

    from testbed import compare as comparing

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
