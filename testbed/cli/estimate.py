"""`testbed estimate`: how well each estimator foretells the uploads over a trace."""

from __future__ import annotations

import math
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed estimate lte/drive-a.up

  testbed estimate measured.up --fps 10 --payload-kb 50

  testbed estimate lte/drive-a.up --estimator kalman --estimator conformal --quantile 0.1 --json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("estimate", epilog=EXAMPLES)(estimate)


def estimate(
    trace: Annotated[str, typer.Argument(help="A trace file, or the name of a shipped one.")],
    names: Annotated[
        list[str] | None,
        typer.Option("--estimator", help="Only this one; may be given several times."),
    ] = None,
    fps: Annotated[float, typer.Option(min=0.01, max=1000, help="Uploads per second.")] = 5.0,
    payload_kb: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Size of an upload, kB of 1000 bytes.")
    ] = 74.0,
    quantile: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Quantile that the pinball loss is for.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score estimators of goodput on a trace: each foretells every upload before it is made.

    One upload is asked for at a time, first in first out, over one period of the trace. Smaller is
    better in all columns but `over`, which a careful estimator keeps below one half.
    """
    from pathlib import Path

    from testbed import catalog, traces
    from testbed.cli.page import Page, Table
    from testbed.errors import TestbedError
    from testbed.estimators import estimators
    from testbed.estimators.score import score, uploads
    from testbed.links.capacity import of_trace
    from testbed.model import NS_PER_S

    content = traces.read(catalog.find("traces", trace, beside=Path()))
    if content.kind not in ("opportunities", "rate"):
        raise TestbedError(f"{trace}: holds delays, not what a channel can carry")
    made = list(
        uploads(
            of_trace(content),
            content.period_ns,
            round(NS_PER_S / fps),
            max(1, round(payload_kb * 1000)),
        )
    )
    columns = ["estimator", "mape", f"pinball_{quantile:g}_mbps", "over", "uploads"]
    table = Table("estimators", columns)
    for name in names or estimators:
        found = score(estimators.load(name)(), made, quantile)
        figures = (found.mape, found.pinball_mbps, found.over)
        shown = [None if math.isnan(figure) else round(figure, 4) for figure in figures]
        table.rows.append([name, *shown, found.uploads])
    facts = {"trace": trace, "mean_mbps": round(content.mean_bps / 1e6, 3)}
    Page(facts=facts, tables=[table]).print(as_json=as_json)
