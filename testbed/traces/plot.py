"""Pictures of a trace: a line of blocks for a terminal, a figure for a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from testbed.errors import EnvironmentLacks
from testbed.traces.statistics import binned
from testbed.traces.trace import Trace

_BLOCKS = " ▁▂▃▄▅▆▇█"


def sparkline(trace: Trace, width: int = 72) -> str:
    """Return the trace over one period as a line of blocks, scaled to its largest column.

    A column without a sample is a `·`. Delays are drawn by their median in each column.
    """
    if trace.delays_ns is not None:
        column = np.minimum(trace.stamps_ns * width // max(1, trace.period_ns), width - 1)
        values = np.full(width, np.nan)
        for at in np.unique(column):
            values[at] = np.median(trace.delays_ns[column == at])
    else:
        values = binned(trace, -(-trace.period_ns // width)).mbps
    top = float(np.nanmax(values)) or 1.0
    levels = np.ceil(np.nan_to_num(values) / top * (len(_BLOCKS) - 1)).astype(int)
    return "".join(
        "·" if np.isnan(value) else _BLOCKS[level]
        for value, level in zip(values, levels, strict=True)
    )


def png(trace: Trace, path: Path, title: str) -> None:
    """Write a figure: the rate in bins of 1 s over time (or each delay), and its distribution.

    Raise `EnvironmentLacks` if matplotlib is not installed or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise EnvironmentLacks(
            "a figure needs matplotlib; install it with the extra: pip install "
            "'split-testbed[traces]'"
        ) from None
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    over_time, spread = figure.subplots(1, 2, width_ratios=[3, 1])
    if trace.delays_ns is not None:
        times, values, unit = trace.stamps_ns / 1e9, trace.delays_ns / 1e6, "round trip, ms"
        over_time.plot(times, values, ".", markersize=2)
        along = "silence, s" if trace.kind == "delay-after-idle" else "time, s"
    else:
        bins = binned(trace)
        values, unit, along = bins.mbps, "rate, Mbit/s", "time, s"
        edges = np.arange(len(values) + 1) * (bins.width_ns / 1e9)
        over_time.stairs(np.nan_to_num(values), edges, fill=True, alpha=0.4)
        for start, end in (trace.gaps_ns / 1e9).tolist():
            over_time.axvspan(start, end, color="0.8", linewidth=0)
        values = bins.covered
    over_time.set(xlabel=along, ylabel=unit, title=title)
    over_time.set_ylim(bottom=0)
    spread.plot(np.sort(values), np.linspace(0, 1, len(values)))
    spread.set(xlabel=unit, ylabel="share at or below", ylim=(0, 1))
    try:
        figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    except OSError as error:
        raise EnvironmentLacks(f"{path}: cannot be written: {error.strerror}") from None
