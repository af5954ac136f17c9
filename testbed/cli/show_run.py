"""A run folder as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column of the table.

    Args:
        heading: With its unit.
        metric: Its name in the summary.
        factor: From the metric's unit to the one shown.
        shown: Format of the number.
        wide: Whether it is left out where there is little room.
    """

    heading: str
    metric: str
    factor: float
    shown: str
    wide: bool = False


COLUMNS = (
    Column("on-time mAP", "on_time_map", 1, ".3f"),
    Column("p50 ms", "latency_p50_ms", 1, ".0f"),
    Column("p95 ms", "latency_p95_ms", 1, ".0f"),
    Column("p99 ms", "latency_p99_ms", 1, ".0f", wide=True),
    Column("misses %", "deadline_miss_rate", 100, ".1f"),
    Column("J/frame", "energy_per_frame_j", 1, ".3f"),
    Column("payload kB", "payload_bytes_mean", 1e-3, ".0f", wide=True),
    Column("mean α", "width_mean", 1, ".2f", wide=True),
)

STREAMING = Column("streaming mAP", "streaming_map", 1, ".3f")
"""Comes first where detections were recorded; there is room for one accuracy or for two."""

WIDE = 120
"""Columns of a terminal from which on the whole table fits."""


def print_run(folder: Path, summary: Mapping[str, Any], warnings: Sequence[str]) -> None:
    """Print the table of a run, its verdict, its claims, its warnings, and where the report is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from testbed.cli.terminal import console
    from testbed.report.besides import asides

    out = console()
    best = summary["comparison"]["best_fixed"]
    columns = [c for c in COLUMNS if out.width >= WIDE or not c.wide]
    if summary["comparison"]["metric"] == STREAMING.metric:
        columns = [STREAMING, *(columns if out.width >= WIDE else columns[1:])]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy")
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for policy, metrics in summary["policies"].items():
        cells = [_cell(metrics[c.metric], c.factor, c.shown) for c in columns]
        table.add_row(Text(f"{policy} *" if policy == best else policy), *cells)
    out.print(table)
    seeds = next(iter(summary["policies"].values()))["captured"]["n"]
    notes = [f"Mean over {seeds} seeds, ± half the 95 % interval. Latency is over all captured"]
    notes[0] += " frames; one without an answer counts as infinite."
    if best is not None:
        notes.append("* the best static policy in hindsight")
    notes += ["", summary["comparison"]["verdict"]]
    notes += [
        f"a simple rival wins: {rival['message']}"
        for rival in summary["comparison"].get("baselines", [])
        if rival["wins"] and rival["policy"] != best  # which the verdict is about
    ]
    notes += [f"claim {claim['message']}" for claim in summary["claims"]]
    notes += [f"warning: {warning}" for warning in warnings]
    notes += ["", f"report: {folder / 'report.html'}"]
    for aside in asides(summary):
        asked = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=aside.title, title_justify="left")
        for place, head in enumerate(aside.heads):
            asked.add_column(head, justify="right" if place else "left")
        for row in aside.rows:
            asked.add_row(*map(Text, row))
        out.print(asked)
        out.print(Text(aside.note + "\n"))
    for note in notes:
        out.print(Text(note))


def _cell(figure: Mapping[str, Any], factor: float, shown: str) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "–"
    if value == "inf":
        return "∞"
    text = format(value * factor, shown)
    if isinstance(low, float) and isinstance(high, float):
        text += f" ±{format((high - low) / 2 * factor, shown)}"
    return text
