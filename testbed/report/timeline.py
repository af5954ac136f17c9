"""The chart of one seed and client over time: capacity of the link, α chosen, latency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.model import NS_PER_MS, NS_PER_S, Mode
from testbed.report.latency import deadline_line
from testbed.report.plot import FAINT, INK, Chart, Figure, axis, colour, layout, numbers, plain
from testbed.report.view import View

_FRAMES = 1600  # shown per policy at most
_ALL_FRAMES = 24_000  # shown over all policies at most: keeps the page small
_BINS = 600

_MODES = {
    Mode.SPLIT: ("circle", "split"),
    Mode.OFFLOAD: ("diamond", "offload"),
    Mode.LOCAL: ("square-open", "local"),
    Mode.SKIP: ("x-thin", "skip"),
}


def timeline(view: View) -> Chart:
    """Return the chart, with a variant for each policy."""
    seed = view.seeds[0]
    client = str(view.run.frames["client"].iloc[0])
    limit = min(_FRAMES, _ALL_FRAMES // len(view.policies))
    capacity = _capacity(view, seed, client)
    variants, kept, total = {}, 0, 0
    for policy in view.adaptive_first:
        i = view.policies.index(policy)
        rows = view.frames(policy)
        rows = rows[(rows["seed"] == seed) & (rows["client"] == client)]
        rows = rows.sort_values("frame")
        latency = (rows["answered_ns"] - rows["captured_ns"]).to_numpy(float, na_value=np.inf)
        keep = _telling(latency, limit)
        kept, total = max(kept, len(keep)), max(total, len(rows))
        variants[policy] = _figure(view, i, rows.iloc[keep], latency[keep] / NS_PER_MS, capacity)
    thinned = (
        f" Of {total} frames {kept} are drawn: the fastest and the slowest of each stretch."
        if kept < total
        else ""
    )
    shown = "Capacity of the uplink, then " if capacity else "Above "
    return Chart(
        "timeline",
        "One run over time",
        f"Seed {seed}, client {client}. {shown}the α chosen for each frame, and its latency; "
        f"a frame without an answer is a cross at the upper edge.{thinned}",
        variants,
        "policy",
    )


def _capacity(view: View, seed: int, client: str) -> tuple[list[float], list[float]] | None:
    """Return time (s) and capacity (Mbit/s) of the client's uplink, if the run recorded it."""
    recorded = view.run.provenance.get("capacity_mbps") or {}
    link = recorded.get(client) or recorded.get("cell")
    values = link["seed"].get(str(seed)) if link else None
    if not link or not values:
        return None
    bundle = -(-len(values) // _BINS)  # draw the mean of so many bins as one
    means = [
        sum(values[i : i + bundle]) / len(values[i : i + bundle])
        for i in range(0, len(values), bundle)
    ]
    return [i * bundle * link["bin_s"] for i in range(len(means))], means


def _telling(latency: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Return which frames to draw: all, or the fastest and the slowest of each stretch."""
    count = len(latency)
    if count <= limit:
        return np.arange(count)
    edges = np.linspace(0, count, limit // 2 + 1).astype(int)
    kept = set()
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = latency[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))


def _figure(
    view: View,
    index: int,
    rows: pd.DataFrame,
    latency: NDArray[np.float64],
    capacity: tuple[list[float], list[float]] | None,
) -> Figure:
    at = rows["captured_ns"].to_numpy(float) / NS_PER_S
    traces: list[dict[str, Any]] = []
    if capacity:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "capacity",
                "x": numbers(capacity[0]),
                "y": numbers(capacity[1]),
                "yaxis": "y3",
                "line": {"color": INK, "width": 1.2, "shape": "hv"},
                "fill": "tozeroy",
                "fillcolor": "#eeeeee",
                "hovertemplate": "%{y:.1f} Mbit/s at %{x:.1f} s",
            }
        )
    traces += _choices(index, rows, at)
    answered = np.isfinite(latency)
    top = max(float(latency[answered].max(initial=0)), view.deadline_ms) * 1.12
    look = {"color": colour(index)}
    traces += [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "latency",
            "x": numbers(at),
            "y": numbers(latency),
            "line": look | {"width": 1},
            "marker": look | {"size": 4},
            "hovertemplate": "%{y:.1f} ms at %{x:.2f} s",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "no answer",
            "x": numbers(at[~answered]),
            "y": numbers(np.full(int((~answered).sum()), top)),
            "text": [str(fate).replace("_", " ") for fate in rows["fate"][~answered]],
            "marker": {"symbol": "x-thin", "size": 8, "line": {"color": INK, "width": 1.6}},
            "hovertemplate": "%{text} at %{x:.2f} s",
            "cliponaxis": False,
        },
    ]
    figure = layout(
        traces,
        x=axis("time of capture (s)", anchor="y", range=[0, view.duration_s]),
        y=axis("latency (ms)", domain=[0, 0.40], range=[0, top * 1.04]),
        height=560,
        shapes=[deadline_line(view, "y")],
        annotations=[
            {
                "x": 1,
                "xref": "x domain",
                "y": view.deadline_ms,
                "text": f"deadline {view.deadline_ms:g} ms",
                "showarrow": False,
                "xanchor": "right",
                "yanchor": "bottom",
                "bgcolor": "rgba(255,255,255,0.8)",
            }
        ],
    )
    rows_above = {"yaxis2": axis("α", domain=[0.46, 0.69], range=[-0.08, 1.1], dtick=0.25)}
    if capacity:
        rows_above["yaxis3"] = axis("Mbit/s", domain=[0.75, 1.0], rangemode="tozero")
    figure["layout"] |= rows_above
    return figure


def _choices(index: int, rows: pd.DataFrame, at: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the α of each frame, one marker shape per mode."""
    traces = []
    modes = rows["mode"].astype(object)
    for mode, (symbol, name) in _MODES.items():
        chosen = (modes == mode).to_numpy(bool)
        if not chosen.any():
            continue
        ink = colour(index) if mode is not Mode.SKIP else FAINT
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(name),
                "x": numbers(at[chosen]),
                "y": numbers(rows["width"][chosen].to_numpy(float)),
                "yaxis": "y2",
                "marker": {
                    "symbol": symbol,
                    "size": 5 if mode is Mode.SPLIT else 8,
                    "color": ink,
                    "line": {"color": ink, "width": 1.4},
                },
                "hovertemplate": f"{name}, α = %{{y}} at %{{x:.2f}} s",
            }
        )
    return traces
