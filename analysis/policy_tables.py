"""The tables of the study of policies: leaderboards, by technology, by knob; text for its page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.compare import Contrast, across, no_difference_shown
from testbed.compare.inference import bca, ratio
from testbed.metrics import METRICS as DEFINITIONS

REFERENCES = ("static_value", "myopic", "clairvoyant-mpc", "optimum", "upper")
OF_A_WORLD = (*REFERENCES, "static")
"""Columns that are the same for all policies of a world, and so stand in a table of their own."""


@dataclass(frozen=True)
class Half:
    """A half of the study, as its tables see it.

    Args:
        marks: What its marks on the page begin with.
        figures: Where its figures lie, seen from the page.
        accuracy: The mAP that policies are judged by besides utility.
        knobs: What a policy may turn.
        metrics: Of each policy in each world.
        forecasts: Whether there is a `forecast_map`.
    """

    marks: str
    figures: str
    accuracy: str
    knobs: tuple[str, ...]
    metrics: tuple[str, ...]
    forecasts: bool = False

    @property
    def judged(self) -> tuple[str, str]:
        """What policies are judged by."""
        return "utility", self.accuracy


_COSTS = ("deadline_miss_rate", "energy_per_frame_j")
TABLE = Half(
    "", "study", "on_time_map", ("width", "mode", "skip"), ("utility", "on_time_map", *_COSTS)
)
RECORDING = Half(
    "recording-",
    "study/recording",
    "streaming_map",
    ("width", "bits", "codec", "mode", "skip"),
    ("utility", "streaming_map", "forecast_map", "on_time_map", *_COSTS),
    forecasts=True,
)
HALVES = {"table": TABLE, "recording": RECORDING}

Rows = Sequence[Mapping[str, Any]]
Key = tuple[str, str, str]
"""device, technology, trace"""


def adaptive(rows: Rows) -> list[str]:
    """Return the policies that are no static points, in the order of the table."""
    names = dict.fromkeys(str(row["policy"]) for row in rows)
    return [name for name in names if not name.startswith("fixed-")]


def by_world(rows: Rows) -> dict[Key, dict[str, Mapping[str, Any]]]:
    """Return (device, technology, trace) -> policy -> row."""
    out: dict[Key, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        key = (str(row["device"]), str(row["technology"]), str(row["trace"]))
        out.setdefault(key, {})[str(row["policy"])] = row
    return out


def best_static(world: Mapping[str, Mapping[str, Any]], metric: str) -> Mapping[str, Any]:
    """Return the row of the static point that is best in a world, in hindsight."""
    static = [row for name, row in world.items() if name.startswith("fixed-")]
    return max(static, key=lambda row: (row[metric], -row["energy_per_frame_j"]))


def leaderboard(rows: Rows, half: Half = TABLE) -> list[dict[str, Any]]:
    """Return one row per device (and all of them), metric and policy; the best first.

    Differences are against the static point that is best in each world; over several devices they
    are averaged per trace first, since a trace is one observation.
    """
    devices = list(dict.fromkeys(str(row["device"]) for row in rows))
    board = []
    groups = [(device, [device]) for device in devices]
    if len(devices) > 1:
        groups.append(("all", devices))
    for label, some in groups:
        worlds = {key: world for key, world in by_world(rows).items() if key[0] in some}
        for metric in half.judged:
            board += _board(label, metric, worlds, adaptive(rows), half)
    return board


def _board(
    label: str,
    metric: str,
    worlds: Mapping[Key, Mapping[str, Mapping[str, Any]]],
    policies: Sequence[str],
    half: Half,
) -> list[dict[str, Any]]:
    def rival(key: Key, world: Mapping[str, Mapping[str, Any]]) -> float:
        return float(best_static(world, metric)[metric])

    one = {device: best_for_all(worlds, device, metric) for device, _, _ in worlds}
    found = _contrasts(metric, worlds, policies, rival)
    simple = _contrasts(metric, worlds, policies, lambda key, w: w[one[key[0]]][metric])
    out = []
    for row, other in zip(found, simple, strict=True):
        policy = row["policy"]
        better = sum(w[policy][metric] > rival(key, w) for key, w in worlds.items())
        each = [world[policy] for world in worlds.values()]
        rivals = [best_static(world, metric) for world in worlds.values()]
        room: tuple[float | None, float | None, float | None] = (None, None, None)
        if metric == "utility":
            above = _per_trace(worlds, lambda w, p=policy: w[p]["utility"] - w[p]["static_value"])
            below = _per_trace(worlds, lambda w, p=policy: w[p]["optimum"] - w[p]["static_value"])
            room = ratio(above, below)
        out.append(
            {
                "device": label,
                "metric": metric,
                "policy": policy,
                "value": _round(_mean([r[metric] for r in each])),
                "difference": _round(row["value"]),
                "low": _round(row["low"]),
                "high": _round(row["high"]),
                "p_holm": _round(row["p_holm"]),
                "better_on": f"{better}/{len(each)}",
                "worst_tenth": _round(row["worst"]),
                "detectable": _round(row["detectable"]),
                "against_one": _round(other["value"]),
                "against_one_low": _round(other["low"]),
                "against_one_high": _round(other["high"]),
                "captured": _round(room[0]),
                "captured_low": _round(room[1]),
                "captured_high": _round(room[2]),
                half.accuracy: _round(_mean([r[half.accuracy] for r in each])),
                "miss_rate": _round(_mean([r["deadline_miss_rate"] for r in each])),
                "energy_per_frame_j": _round(_mean([r["energy_per_frame_j"] for r in each])),
                "static_energy_j": _round(_mean([r["energy_per_frame_j"] for r in rivals])),
                "shown": _word(row),
                "shown_against_one": _word(other),
            }
        )
    return sorted(out, key=lambda r: (-r["value"], r["policy"]))


def best_for_all(worlds: Mapping[Key, Mapping[str, Any]], device: str, metric: str) -> str:
    """Return the static point with the best mean over all traces on a device."""
    some = [world for key, world in worlds.items() if key[0] == device]
    names = [name for name in some[0] if name.startswith("fixed-")]
    return max(names, key=lambda name: _mean([world[name][metric] for world in some]))


def _contrasts(
    metric: str,
    worlds: Mapping[Key, Mapping[str, Mapping[str, Any]]],
    policies: Sequence[str],
    rival: Callable[[Key, Mapping[str, Mapping[str, Any]]], float],
) -> list[Contrast]:
    """Return each policy against a rival over traces; devices are averaged per trace first."""
    gains: dict[str, dict[str, list[float]]] = {policy: {} for policy in policies}
    for key, world in worlds.items():
        for policy in policies:
            gain = world[policy][metric] - rival(key, world)
            gains[policy].setdefault(key[2], []).append(gain)
    blank = dict.fromkeys(DEFINITIONS, math.nan)
    figures = {
        trace: {p: {1: blank | {metric: _mean(gains[p][trace])}} for p in policies}
        | {"static": {1: blank | {metric: 0.0, "energy_per_frame_j": 0.0}}}
        for trace in dict.fromkeys(key[2] for key in worlds)
    }
    return across(figures, {"static": "fixed"}, against="static", metric=metric)


def _word(row: Contrast) -> str:
    if no_difference_shown(row):
        return "no difference shown"
    return "better" if row["value"] > 0 else "worse"


def _per_trace(worlds: Mapping[Key, Any], of: Any) -> list[float]:
    sums: dict[str, float] = {}
    for (_, _, trace), world in worlds.items():
        sums[trace] = sums.get(trace, 0.0) + of(world)
    return list(sums.values())


def filled(page: str, rows: Rows, board: Rows, half: Half = TABLE) -> str:
    """Return the page with every block of a half between its marks made anew."""
    blocks = {
        "setting": _setting(rows),
        "leaderboard": _leaderboard(board, half),
        "devices": _by_device(board, half),
        "when": _when(rows, half),
        "references": _references(rows),
        "energy": "",
        "knobs": _knobs(rows, half),
    }
    label = DEFINITIONS[half.accuracy].label
    for block, name, title in (
        ("leaderboard", "captured", "Captured head-room by device"),
        ("when", "technologies", "Utility less that of the best static point, by technology"),
        ("energy", "energy", f"{label[0].upper()}{label[1:]} against energy per frame"),
        ("knobs", "knobs", "Shares of the gain by knob and technology"),
    ):
        blocks[block] += f"\n\n![{title}]({half.figures}/{name}.png)"
    if half.forecasts:
        blocks["forecasts"] = _forecasts(rows)
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- {half.marks}{name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = pattern.sub(lambda m, text=text: f"{m[1]}{text.strip()}\n{m[2]}", page)
    return page


def _setting(rows: Rows) -> str:
    worlds = by_world(rows)
    count = {
        t: len({k[2] for k in worlds if k[1] == t}) for t in dict.fromkeys(k[1] for k in worlds)
    }
    traces = ", ".join(f"{n} {t}" for t, n in count.items())
    devices = ", ".join(dict.fromkeys(k[0] for k in worlds))
    fixed = len({row["policy"] for row in rows}) - len(adaptive(rows))
    return (
        f"{len(worlds)} worlds: {sum(count.values())} traces ({traces}) on {devices}; in each, "
        f"{len(adaptive(rows))} policies and {fixed} static points."
    )


def _leaderboard(board: Rows, half: Half) -> str:
    label = "all" if any(row["device"] == "all" for row in board) else board[0]["device"]
    heads = ["policy", "utility", "against the best static of each world", "p, Holm"]
    heads += ["captured head-room", "better in", "against one static for all"]
    heads += [DEFINITIONS[half.accuracy].label, "misses", "J/frame"]
    lines = []
    for row in (r for r in board if r["device"] == label and r["metric"] == "utility"):
        captured = _signed(row["captured"], 2, plain=True)
        if row["captured_low"] is not None:
            ends = (_signed(row[end], 2, plain=True) for end in ("captured_low", "captured_high"))
            captured += f" [{', '.join(ends)}]"
        lines.append(
            [
                f"`{row['policy']}`",
                _signed(row["value"], 3, plain=True),
                _interval(row),
                f"{row['p_holm']:.2g}",
                captured,
                row["better_on"],
                _interval(row, "against_one"),
                f"{row[half.accuracy]:.3f}",
                f"{100 * row['miss_rate']:.1f} %",
                f"{row['energy_per_frame_j']:.2f}",
            ]
        )
    return _markdown(heads, lines)


def _by_device(board: Rows, half: Half) -> str:
    heads = ["device", "judged by", "best policy", "its value"]
    heads += ["against the best static of each world", "shown"]
    heads += ["against one static for all", "shown", "J/frame, static's"]
    lines = []
    for device in dict.fromkeys(row["device"] for row in board):
        for metric in half.judged:
            mine = [r for r in board if r["device"] == device and r["metric"] == metric]
            best = mine[0]
            energy = f"{best['energy_per_frame_j']:.2f}, {best['static_energy_j']:.2f}"
            label = DEFINITIONS[metric].label
            cells = [device, label, f"`{best['policy']}`", f"{best['value']:.3f}"]
            cells += [_interval(best), best["shown"]]
            cells += [_interval(best, "against_one"), best["shown_against_one"]]
            lines.append([*cells, energy])
    return _markdown(heads, lines)


def _when(rows: Rows, half: Half) -> str:
    worlds = by_world(rows)
    heads = ["device", "technology", "best static point", "best policy by utility", "it gains"]
    label = DEFINITIONS[half.accuracy].label
    heads += ["optimum gains", f"best policy by {label}", "it gains"]
    lines = []
    groups: dict[tuple[str, str], list[Mapping[str, Mapping[str, Any]]]] = {}
    for (device, technology, _), world in worlds.items():
        groups.setdefault((device, technology), []).append(world)
    for (device, technology), some in groups.items():
        statics = [str(next(iter(world.values()))["static"]) for world in some]
        common = max(sorted(set(statics)), key=statics.count)
        often = f"{common} ({statics.count(common)}/{len(some)})"
        room = _mean(
            [r["optimum"] - r["static_value"] for w in some for r in [next(iter(w.values()))]]
        )
        cells = [device, technology, often]
        for metric in half.judged:
            gains = {
                p: _mean([w[p][metric] - best_static(w, metric)[metric] for w in some])
                for p in adaptive(rows)
            }
            best = max(gains, key=lambda p: gains[p])
            cells += [f"`{best}`", _signed(gains[best], 3)]
            if metric == "utility":
                cells.append(_signed(room, 3))
        lines.append(cells)
    return _markdown(heads, lines)


def _references(rows: Rows) -> str:
    worlds = by_world(rows)
    heads = [
        "device",
        "best static",
        "best policy",
        "myopic",
        "clairvoyant MPC",
        "optimum",
        "bound",
    ]
    lines = []
    for device in dict.fromkeys(key[0] for key in worlds):
        some = [world for key, world in worlds.items() if key[0] == device]
        firsts = [next(iter(world.values())) for world in some]
        means = {p: _mean([w[p]["utility"] for w in some]) for p in adaptive(rows)}
        best = max(means, key=lambda p: means[p])
        values = [f"{_mean([r[name] for r in firsts]):.4f}" for name in REFERENCES]
        lines.append([device, values[0], f"{means[best]:.4f} (`{best}`)", *values[1:]])
    return _markdown(heads, lines)


def _forecasts(rows: Rows) -> str:
    """Return what moving boxes adds to streaming mAP, by device, for the best of either kind."""
    worlds = by_world(rows)
    heads = ["device", "policy", "streaming mAP", "with forecast", "it adds"]
    lines = []
    for device in dict.fromkeys(key[0] for key in worlds):
        some = [world for key, world in worlds.items() if key[0] == device]
        statics = [name for name in some[0] if name.startswith("fixed-")]

        def mean(policy: str, metric: str, some: Any = some) -> float:
            return _mean([world[policy][metric] for world in some])

        chosen: list[str] = []
        for names in (statics, adaptive(rows)):
            for metric in ("streaming_map", "forecast_map"):
                chosen.append(max(names, key=lambda name, metric=metric: mean(name, metric)))
        for policy in dict.fromkeys([*chosen, "fixed-local"]):
            each = [w[policy]["forecast_map"] - w[policy]["streaming_map"] for w in some]
            low, high = bca(each) if len(each) > 2 else (None, None)
            values = [f"{mean(policy, m):.3f}" for m in ("streaming_map", "forecast_map")]
            added = _signed(_mean(each), 3)
            if low is not None:
                added += f" [{_signed(low, 3)}, {_signed(high, 3)}]"
            lines.append([device, f"`{policy}`", *values, added])
    return _markdown(heads, lines)


def _knobs(rows: Rows, half: Half) -> str:
    heads = ["policy", "device", "gain over best static", *half.knobs]
    lines = []
    taken = [row for row in rows if row[f"knob_{half.knobs[0]}"] != ""]
    for policy, device in dict.fromkeys((r["policy"], r["device"]) for r in taken):
        mine = [r for r in taken if (r["policy"], r["device"]) == (policy, device)]
        shares = [_mean([r[f"knob_{knob}"] for r in mine]) for knob in half.knobs]
        cells = [_signed(value, 4) for value in (math.fsum(shares), *shares)]
        lines.append([f"`{policy}`", device, *cells])
    return _markdown(heads, lines)


def _interval(row: Mapping[str, Any], name: str = "difference") -> str:
    ends = ("low", "high") if name == "difference" else (f"{name}_low", f"{name}_high")
    text = _signed(row[name], 3)
    if row[ends[0]] is None:
        return text
    return f"{text} [{_signed(row[ends[0]], 3)}, {_signed(row[ends[1]], 3)}]"


def _signed(value: float | None, decimals: int, *, plain: bool = False) -> str:
    if value is None:
        return "–"
    size = f"{abs(value):.{decimals}f}"
    if float(size) == 0:
        return size
    return ("−" if value < 0 else "" if plain else "+") + size


def _markdown(heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


_BLOCKS = ("setting", "leaderboard", "devices", "when", "references", "energy", "knobs")
BARE_PAGE = "# The study of policies\n\n" + "".join(
    f"<!-- {half.marks}{name} -->\n<!-- end -->\n\n"
    for half in HALVES.values()
    for name in (*_BLOCKS, *(("forecasts",) if half.forecasts else ()))
)
