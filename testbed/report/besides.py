"""What a run was asked for besides, as tables: the optimum, and the gain by knob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.metrics import METRICS


@dataclass(frozen=True)
class Aside:
    """One answer.

    Args:
        key: Of the section on the page.
        title: Heading.
        note: What the figures are.
        heads: Of the columns; the first is what a row is about.
        rows: Of text.
    """

    key: str
    title: str
    note: str
    heads: tuple[str, ...]
    rows: list[list[str]]


def asides(summary: Mapping[str, Any] | None) -> Iterator[Aside]:
    """Yield what the summary of a run has of these answers."""
    if summary and "optimum" in summary:
        yield _optimum(summary["optimum"])
    if summary and "gain_by_knob" in summary:
        yield _knobs(summary["gain_by_knob"])


def _optimum(found: Mapping[str, Any]) -> Aside:
    names = {
        "best_static": "best static point in hindsight",
        "myopic": "myopic: knows one frame of the channel",
        "clairvoyant_mpc": "clairvoyant MPC: knows five",
        "optimum": "optimum: knows all of it",
        "upper_bound": "upper bound",
    }
    rows = [[names[key], _shown(found["reference"][key]), "", ""] for key in names]
    best = sorted(found["policies"].items(), key=lambda item: -item[1]["utility"]["value"])
    rows += [
        [name, _shown(f["utility"]), _shown(f["regret"]), _shown(f["captured"])] for name, f in best
    ]
    weights = ", ".join(f"{name} {value:g}" for name, value in found["weights"].items())
    note = (
        f"Utility per captured frame, weights: {weights}. Regret is the distance from the upper "
        "bound; captured is the share of the room between the best static point and the optimum, "
        "negative below the former. The myopic plan and clairvoyant MPC know the channel one and "
        "five frames ahead: what they lack of the optimum is owed to planning, not to prediction."
    )
    heads = ("policy or reference", "utility", "regret", "captured head-room")
    return Aside("optimum", "How far from the best possible", note, heads, rows)


def _knobs(found: Mapping[str, Any]) -> Aside:
    knobs = list(next(iter(found.values()))["shares"])
    rows = [
        [name, _shown(gain["gain"]), *(_shown(gain["shares"][knob]) for knob in knobs)]
        for name, gain in found.items()
    ]
    note = (
        "Utility per captured frame that a policy wins over the best static point, and what of it "
        "each knob brings: its Shapley value over ladders on which the other knobs are free or "
        "stay where the best static point has them. Each row adds up."
    )
    heads = ("policy", "gain", *knobs)
    return Aside("knobs", "Which knob the gain comes from", note, heads, rows)


def _shown(found: Mapping[str, Any]) -> str:
    show = METRICS["utility"].show
    if found["value"] is None:
        return show(None)
    text = show(found["value"])
    if found["low"] is None or found["high"] is None:
        return text
    return f"{text} [{show(found['low'])}, {show(found['high'])}]"
