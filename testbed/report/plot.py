"""Figures as the plain dictionaries that plotly.js draws; plotly itself is never imported.

Everything is readable without colour: policies differ in dash and marker, parts of a bar in their
pattern, and lines bear their name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Figure = dict[str, Any]
"""`{"data": [...], "layout": {...}}`."""

INK = "#1a1a1a"
FAINT = "#5c5c5c"
GRID = "#e3e3e3"

# At least 3:1 against white, and apart from each other for the common colour deficiencies.
_COLOURS = ("#0067a5", "#b8420a", "#00795c", "#8c2d7f", "#6b5900", "#333333", "#c2185b", "#3f51b5")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_MARKERS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "star",
    "hexagon",
    "triangle-down",
)
_PATTERNS = ("", "/", "x", "-", ".", "\\", "|", "+")
NAMED = 10
"""More names than this, written into a chart, would cover each other."""

_FILLS = ("#0067a5", "#f0a35e", "#5fb89b", "#c98bc0", "#d9c766", "#9a9a9a", "#e88aa8", "#8f9bd6")


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Args:
        key: Its identifier, unique on the page.
        title: A heading.
        caption: What is shown and how to read it, as plain text.
        variants: Figure by what the reader may choose; one entry leaves nothing to choose.
        choice: What is chosen, such as `policy`.
        table: Heads and rows of the same numbers, for readers without the picture; may be empty.
    """

    key: str
    title: str
    caption: str
    variants: dict[str, Figure]
    choice: str = ""
    table: tuple[Sequence[str], Sequence[Sequence[str]]] = ((), ())


def line_style(index: int) -> dict[str, Any]:
    """Return the line of the policy at a place in the scenario."""
    return {"color": colour(index), "dash": _DASHES[index % len(_DASHES)], "width": 2.2}


def marker_style(index: int, size: int = 11) -> dict[str, Any]:
    """Return the marker of the policy at a place in the scenario."""
    symbol = _MARKERS[index % len(_MARKERS)]
    if index // len(_MARKERS) % 2:
        symbol += "-open"  # the second time round
    return {"color": colour(index), "symbol": symbol, "size": size}


def colour(index: int) -> str:
    """Return the colour of the policy at a place in the scenario."""
    return _COLOURS[index % len(_COLOURS)]


def area_style(index: int) -> dict[str, Any]:
    """Return the fill of a part of a stack of areas; parts differ in pattern and in colour."""
    turn = index + index // len(_FILLS)  # the second time round, other pairs
    return {
        "line": {"color": INK, "width": 0.6, "shape": "hv"},
        "fillcolor": _FILLS[index % len(_FILLS)],
        "fillpattern": {
            "shape": _PATTERNS[turn % len(_PATTERNS)],
            "bgcolor": _FILLS[index % len(_FILLS)],
            "fgcolor": INK,
            "size": 7,
            "solidity": 0.22,
        },
    }


def stacked_bars(
    groups: Sequence[str], parts: Sequence[tuple[str, Sequence[float]]], unit: str, digits: int = 3
) -> Figure:
    """Return horizontal stacked bars: one bar per group, one pattern per part, totals written."""
    names = [plain(group) for group in groups]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": plain(part),
            "y": names,
            "x": numbers(values),
            "hovertemplate": f"%{{y}}: %{{x:.3s}} {unit}",
            "marker": {
                "color": _FILLS[i % len(_FILLS)],
                "line": {"color": INK, "width": 0.8},
                "pattern": {
                    "shape": _PATTERNS[i % len(_PATTERNS)],
                    "fgcolor": INK,
                    "fillmode": "overlay",
                    "size": 7,
                    "solidity": 0.22,
                },
            },
        }
        for i, (part, values) in enumerate(parts)
    ]
    totals = [sum(values[i] for _, values in parts) for i in range(len(groups))]
    written = [
        {
            "x": number(total),
            "y": name,
            "text": f"<b>{significant(total, digits)}</b>",
            "showarrow": False,
            "xanchor": "left",
            "xshift": 5,
        }
        for name, total in zip(names, totals, strict=True)
    ]
    figure = layout(
        traces,
        x=axis(unit, rangemode="tozero", range=[0, number(1.15 * max(totals, default=1) or 1)]),
        y=axis("", autorange="reversed", ticklabelstandoff=6, showgrid=False),
        height=110 + 46 * len(groups),
        annotations=written,
    )
    figure["layout"] |= {"barmode": "stack", "bargap": 0.35}
    figure["layout"]["legend"]["traceorder"] = "normal"
    return figure


def layout(
    traces: list[dict[str, Any]],
    *,
    x: dict[str, Any],
    y: dict[str, Any],
    height: int = 400,
    annotations: Iterable[dict[str, Any]] = (),
    shapes: Iterable[dict[str, Any]] = (),
) -> Figure:
    """Return a figure in the page's common style."""
    return {
        "data": traces,
        "layout": {
            "height": height,
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "margin": {"l": 58, "r": 18, "t": 10, "b": 48},
            "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": INK}, "namelength": -1},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "xaxis": x,
            "yaxis": y,
            "annotations": list(annotations),
            "shapes": list(shapes),
        },
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis in the page's common style."""
    style: dict[str, Any] = {
        "title": {"text": title, "standoff": 8},
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": FAINT,
        "showline": True,
        "ticks": "outside",
        "tickcolor": FAINT,
        "zeroline": False,
    }
    return style | more


def decades(low: float, high: float) -> dict[str, Any]:
    """Return the ticks of a logarithmic axis at 1, 2 and 5 of every decade from low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    shown = [tick for tick in ticks if low <= tick <= high]
    return {"tickvals": shown, "ticktext": [significant(tick, 1) for tick in shown]}


def number(value: float) -> float | None:
    """Return a coordinate: five significant digits, None where there is nothing to draw."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return coordinates."""
    return [number(float(value)) for value in values]


def significant(value: float, digits: int = 3) -> str:
    """Return a value for people, without exponents."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}".replace(",", " ")


def short(text: str, most: int = 16) -> str:
    """Return a name that fits beside a point or a line."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plain(text: str) -> str:
    """Return text that plotly.js shows as it stands instead of as its HTML subset."""
    return escape(text, quote=False)
