"""The chart of delivered accuracy: what was found, what came in time, what was shown."""

from __future__ import annotations

from typing import Any

from testbed.report.plot import INK, Chart, Figure, axis, layout, marker_style, number, plain
from testbed.report.view import OF_BOXES, Cell, Column, View

_KINDS = (
    (OF_BOXES[1], "diamond-open", 12),
    (Column("on-time mAP", "", "on_time_map"), "square-open", 11),
    (OF_BOXES[0], "circle", 12),
)
"""Column, marker and its size."""

_TABLE = (
    *(column for column, _, _ in _KINDS),
    Column("streaming mAP50", "", "streaming_map50"),
    Column("small", "", "streaming_map_small"),
    Column("medium", "", "streaming_map_medium"),
    Column("large", "", "streaming_map_large"),
    Column("age, mean", "ms", "age_mean_ms"),
    Column("age of correct", "ms", "correct_age_mean_ms"),
    Column("found in time", "objects", "correct"),
    Column("energy per object", "J", "energy_per_correct_j"),
)


def charts(view: View) -> list[Chart]:
    """Return the chart with its table; nothing where no boxes were recorded."""
    accuracy = view.run.accuracy
    if accuracy is None:
        return []
    heads = [f"{c.head}, {c.unit}" if c.unit else c.head for c in _TABLE]
    rows = [[policy, *(_text(view.cell(policy, c)) for c in _TABLE)] for policy in view.policies]
    caption = (
        "Diamonds: mAP of the boxes of every frame decided about, as if they came at once. "
        "Squares: those that missed the deadline taken away. Circles, with 95 % intervals over the "
        "seeds: the boxes that the client showed when each frame was captured, the newest that had "
        "arrived. From diamond to circle is what delay, loss and skipping cost."
    )
    if clips := accuracy["clips"]:
        caption += f" The table adds 95 % intervals over the {clips['n']} clips that were filmed."
        heads.append("over clips")
        heads.append(f"minus {clips['best_fixed']}, over clips")
        for row in rows:
            row.append(_range(clips["policies"][row[0]]))
            gap = clips["differences"].get(row[0])
            row.append("-" if gap is None else _range(gap, signed=True))
    for name, said in accuracy["recordings"].items():
        caption += (
            f" {name}: boxes count singly from a score of {said['score_threshold']:.3f}, where F1 "
            f"of {said['reference_point']} is best;{_ranking(said)}"
        )
    return [
        Chart(
            "delivered",
            "Delivered accuracy",
            caption,
            {"": _figure(view)},
            table=(("policy", *heads), rows),
        )
    ]


def _figure(view: View) -> Figure:
    names = [plain(policy) for policy in view.policies]
    traces: list[dict[str, Any]] = []
    for i, (column, symbol, size) in enumerate(_KINDS):
        found = [view.interval(policy, column) for policy in view.policies]
        values = [f["value"] if isinstance(f["value"], float) else None for f in found]
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "markers",
            "name": column.head,
            "x": [None if value is None else number(value) for value in values],
            "y": names,
            "marker": marker_style(i, size) | {"symbol": symbol, "line": {"width": 2}},
            "hovertemplate": f"%{{y}}: {column.head} %{{x:.3f}}",
        }
        if symbol == "circle":
            trace["error_x"] = {
                "type": "data",
                "symmetric": False,
                "array": [_arm(f["high"], v) for f, v in zip(found, values, strict=True)],
                "arrayminus": [_arm(v, f["low"]) for f, v in zip(found, values, strict=True)],
                "color": INK,
                "thickness": 1.4,
                "width": 5,
            }
        traces.append(trace)
    return layout(
        traces,
        x=axis("mAP", rangemode="tozero"),
        y=axis("", autorange="reversed", type="category", ticklabelstandoff=6),
        height=130 + 40 * len(names),
    )


def _arm(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else number(upper - lower) or 0.0


def _text(cell: Cell) -> str:
    return f"{cell.value} [{cell.spread}]" if cell.spread else cell.value


def _range(found: dict[str, float | None], *, signed: bool = False) -> str:
    if found["value"] is None or found["low"] is None or found["high"] is None:
        return "-"
    shown = "{:+.3f} [{:+.3f}, {:+.3f}]" if signed else "{:.3f} [{:.3f}–{:.3f}]"
    return shown.format(found["value"], found["low"], found["high"]).replace("-", "−")


def _ranking(said: dict[str, Any]) -> str:
    value = said["f1_rank_correlation"]
    if value is None:
        return " too few operating points to say how F1 ranks them."
    return (
        f" mean F1 ranks its {said['points']} operating points as mAP does with a rank "
        f"correlation of {value:.2f}."
    )
