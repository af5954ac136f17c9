"""Charts of accuracy against what it costs, and the ladder that the policies climbed."""

from __future__ import annotations

import json
import math
from typing import Any

from testbed.metrics import PERCENTILES, Interval, way
from testbed.model import Mode
from testbed.report.labels import placed
from testbed.report.plot import (
    INK,
    NAMED,
    Chart,
    Figure,
    axis,
    colour,
    decades,
    layout,
    marker_style,
    number,
    numbers,
    plain,
    short,
    significant,
)
from testbed.report.view import Column, View

_ENERGY = Column("energy per captured frame", "J", "energy_per_frame_j")

_READING = (
    "Up and to the left is better. Whiskers are 95 % intervals over the seeds. Policies share the "
    "seeds, so whiskers that overlap can hide a difference that the paired verdict shows."
)


def charts(view: View) -> list[Chart]:
    """Return the charts of this subject."""
    costs = {q: Column(f"latency p{q}", "ms", f"latency_p{q}_ms") for q in PERCENTILES}
    telling = [
        q
        for q, cost in costs.items()
        if 2 * sum(view.interval(p, cost)["value"] == "inf" for p in view.policies)
        < len(view.policies)
    ]
    first = max(telling, default=min(PERCENTILES))  # the sternest that most policies still have
    order = sorted(PERCENTILES, key=lambda q: (q != first, q))
    return [
        Chart(
            "accuracy-latency",
            "Accuracy against latency",
            f"{_READING} In the strip at ∞ stand policies that left so many frames without an "
            "answer that the percentile is infinite on some seed.",
            {f"p{q}": _scatter(view, costs[q]) for q in order},
            "percentile",
        ),
        Chart(
            "accuracy-energy",
            "Accuracy against energy",
            _READING,
            {"": _scatter(view, _ENERGY)},
        ),
    ]


def _scatter(view: View, cost: Column) -> Figure:
    traces: list[dict[str, Any]] = []
    values: list[float] = []
    edges: list[float] = []
    infinite = False
    for i, policy in enumerate(view.policies):
        x, y = view.interval(policy, cost), view.interval(policy, view.accuracy)
        if not isinstance(y["value"], float) or x["value"] is None:
            continue
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "markers+text" if len(view.policies) <= NAMED else "markers",
            "name": plain(policy),
            "x": [0],
            "y": [number(y["value"])],
            "text": [plain(short(policy))],
            "textposition": "top right",
            "marker": marker_style(i) | {"line": {"color": INK, "width": 1}},
            "error_x": _whisker(x),
            "error_y": _whisker(y),
            "hovertemplate": f"mAP %{{y:.3f}}, {cost.head} %{{x:.4g}} {cost.unit}",
            "meta": "named",
        }
        if isinstance(x["value"], float):
            trace["x"] = [number(x["value"])]
            values.append(x["value"])
            edges += [edge for edge in (x["value"], x["low"], x["high"]) if edge is not None]
        else:
            infinite = True
            hover = f"mAP %{{y:.3f}}, {cost.head} infinite"
            trace |= {"xaxis": "x2", "hovertemplate": hover}
        traces.append(trace)
    bottom = axis(f"{cost.head} ({cost.unit})", showticklabels=bool(edges)) | _span(values, edges)
    finite: list[dict[str, Any]] = [trace for trace in traces if "xaxis" not in trace]
    if bottom.get("type") == "log":
        for trace in finite:
            _keep_positive(trace["x"][0], trace["error_x"], 10 ** bottom["range"][0])
    _name_apart(finite, bottom)
    figure = layout(traces, x=bottom, y=axis(view.accuracy.head), height=390)
    if infinite:
        bottom["domain"] = [0, 0.78]
        figure["layout"]["xaxis2"] = axis(
            "", domain=[0.84, 1], range=[-0.7, 1.3], tickvals=[0], ticktext=["∞"], showgrid=False
        ) | {"tickfont": {"size": 18}, "fixedrange": True}
    return figure


def _span(values: list[float], edges: list[float]) -> dict[str, Any]:
    """Return the range of an axis around values and their whiskers; logarithmic if far apart."""
    left, right = min(edges, default=0.0), max(edges, default=1.0)
    if values and 0 < 10 * (least := min(values)) < right:
        ends = [math.log10(least) - 0.15, math.log10(right) + 0.12]
        return {"type": "log", "range": numbers(ends)} | decades(10 ** ends[0], 10 ** ends[1])
    room = (right - left) or right or 1.0
    return {"range": numbers([left - 0.1 * room, right + 0.2 * room])}


def _keep_positive(x: float, whisker: dict[str, Any], least: float) -> None:
    """End a whisker that reaches 0 a little beyond the edge of a logarithmic axis."""
    if whisker.get("arrayminus"):
        whisker["arrayminus"] = [number(min(whisker["arrayminus"][0], x - 0.9 * min(least, x)))]


def _name_apart(traces: list[dict[str, Any]], x: dict[str, Any]) -> None:
    """Write the names of points where they cover least."""
    left, right = x["range"]
    heights = [trace["y"][0] for trace in traces]
    low, high = min(heights, default=0.0), max(heights, default=1.0)
    across = [trace["x"][0] for trace in traces]
    if x.get("type") == "log":
        across = [math.log10(value) for value in across]
    points = [
        ((value - left) / (right - left), (height - low) / (high - low or 1.0))
        for value, height in zip(across, heights, strict=True)
    ]
    places = placed(points, [trace["text"][0] for trace in traces])
    for trace, place in zip(traces, places, strict=True):
        trace["textposition"] = place


def _whisker(interval: Interval) -> dict[str, Any]:
    """Return an error bar; invisible where there is no interval."""
    value, low, high = interval["value"], interval["low"], interval["high"]
    if not isinstance(value, float) or low is None or high is None:
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [number(high - value)],
        "arrayminus": [number(value - low)],
        "thickness": 1.4,
        "width": 5,
    }


def ladder(view: View) -> Chart | None:
    """Return the chart of the operating points; None if the run does not say what they were."""
    clients: dict[str, list[str]] = {}
    for client, rungs in view.run.provenance.get("ladders", {}).items():
        clients.setdefault(json.dumps(rungs, sort_keys=True), []).append(client)
    if not clients:
        return None
    variants, rows = {}, []
    for text, names in clients.items():
        rungs = [rung for rung in json.loads(text) if rung["mode"] != Mode.SKIP]
        group = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        variants[group] = _rungs(rungs)
        for rung in rungs:
            cells = [_rung_name(rung), significant(rung["payload_bytes"] / 1e3)]
            cells += [significant(rung[key]) for key in ("encode_ms", "encode_j", "decode_ms")]
            cells += [f"{rung['accuracy']:.3f}", rung.get("dominated_by") or ""]
            rows.append([group, *cells])
    heads = ("clients", "point", "payload, kB", "encode, ms", "encode, J", "decode, ms")
    return Chart(
        "ladder",
        "The operating points",
        "What a policy could choose from. Crosses are dominated: another point costs no more bytes "
        "and no more work on the device, and is at least as accurate.",
        variants,
        "client",
        table=((*heads, "mAP", "dominated by"), rows),
    )


def _rungs(rungs: list[dict[str, Any]]) -> Figure:
    """Return split points joined along the front, the others beside it, the dominated crossed."""
    beaten = [rung for rung in rungs if rung.get("dominated_by")]
    front = [rung for rung in rungs if not rung.get("dominated_by")]
    joined = [rung for rung in front if rung["mode"] == Mode.SPLIT]
    alone = [rung for rung in front if rung["mode"] != Mode.SPLIT]
    cross = {"symbol": "x-thin", "size": 12, "line": {"width": 3, "color": colour(1)}}
    traces = []
    for some, name, mode, place, look in (
        (joined, "Pareto-optimal", "lines+markers+text", "top center", marker_style(0)),
        (alone, "without a bottleneck", "markers+text", "top right", marker_style(2)),
        (beaten, "dominated", "markers+text", "bottom center", cross),
    ):
        if not some:
            continue
        some.sort(key=lambda rung: (rung["payload_bytes"], rung["accuracy"]))
        traces.append(
            {
                "type": "scatter",
                "mode": mode,
                "name": name,
                "x": numbers(rung["payload_bytes"] / 1e3 for rung in some),
                "y": numbers(rung["accuracy"] for rung in some),
                "text": [plain(_rung_name(rung)) for rung in some],
                "customdata": [plain(rung.get("dominated_by") or "nothing") for rung in some],
                "textposition": place,
                "marker": look,
                "line": {"color": colour(0), "dash": "dot", "width": 1},
                "hovertemplate": "%{text}: %{x:.1f} kB, mAP %{y:.3f}; dominated by %{customdata}",
                "cliponaxis": False,
            }
        )
    return layout(traces, x=axis("payload (kB)"), y=axis("offline mAP"), height=400)


def _rung_name(rung: dict[str, Any]) -> str:
    if rung["mode"] != Mode.SPLIT:
        return way(rung["mode"], rung.get("codec"))
    bits = "" if rung["bits"] == 8 else f", {rung['bits']} bit"
    codec = "" if rung.get("codec", "raw") == "raw" else f", {rung['codec']}"
    return f"α = {rung['width']:g}{bits}{codec}"
