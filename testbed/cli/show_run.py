"""A run folder as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    # heading, metric, factor, format
    ("on-time mAP", "on_time_map", 1, ".3f"),
    ("p50 ms", "latency_p50_ms", 1, ".0f"),
    ("p95 ms", "latency_p95_ms", 1, ".0f"),
    ("p99 ms", "latency_p99_ms", 1, ".0f"),
    ("misses %", "deadline_miss_rate", 100, ".1f"),
    ("J/frame", "energy_per_frame_j", 1, ".3f"),
    ("payload kB", "payload_bytes_mean", 1e-3, ".0f"),
    ("mean α", "width_mean", 1, ".2f"),
)


def print_run(folder: Path, summary: Mapping[str, Any], warnings: Sequence[str]) -> None:
    """Print the table of a run, its verdict, its claims, its warnings, and where the report is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from testbed.cli.terminal import console

    out = console()
    best = summary["comparison"]["best_fixed"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy")
    for heading, *_ in COLUMNS:
        table.add_column(heading, justify="right")
    for policy, metrics in summary["policies"].items():
        cells = [_cell(metrics[metric], *how) for _, metric, *how in COLUMNS]
        table.add_row(Text(f"{policy} *" if policy == best else policy), *cells)
    out.print(table)
    seeds = next(iter(summary["policies"].values()))["captured"]["n"]
    notes = [f"Mean over {seeds} seeds, ± half the 95 % interval. Latency is over all captured"]
    notes[0] += " frames; one without an answer counts as infinite."
    if best is not None:
        notes.append("* the best static policy in hindsight")
    notes += ["", summary["comparison"]["verdict"]]
    notes += [f"claim {claim['message']}" for claim in summary["claims"]]
    notes += [f"warning: {warning}" for warning in warnings]
    notes += ["", f"report: {folder / 'report.html'}"]
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
