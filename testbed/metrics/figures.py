"""One figure per policy, seed and metric, from the rows of a run; numpy over whole columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.definitions import METRICS, PERCENTILES, STAGES
from testbed.model import NS_PER_MS, NS_PER_S, Fate, Mode

if TYPE_CHECKING:
    import pandas as pd

Accuracy = Mapping[str, Mapping[tuple[float, int, str], float]]
"""client -> (width, bits, way) -> mAP in [0, 1] of frames processed so, without any delay."""

Figures = dict[str, dict[int, dict[str, float]]]
"""policy -> seed -> metric -> figure; NaN where it is undefined, inf where there is no answer."""

OF_BOXES = (
    "correct_age_mean_ms",
    "streaming_map",
    "streaming_map50",
    "streaming_map_small",
    "streaming_map_medium",
    "streaming_map_large",
    "correct",
    "energy_per_correct_j",
)
"""Metrics that only recorded detections can give; `with_boxes` fills them in."""

NEVER = int(np.iinfo(np.int64).max)
"""Stands for a missing instant, later than every real one."""


def per_seed(
    frames: pd.DataFrame,
    energy: pd.DataFrame,
    *,
    deadline_ns: int,
    duration_ns: int,
    accuracy: Accuracy,
) -> Figures:
    """Return one figure per policy, seed and metric, pooled over the clients.

    Args:
        frames: The rows of `frames.parquet`, in any order.
        energy: The rows of `energy.parquet`, in any order.
        deadline_ns: From capture to answer.
        duration_ns: Length of the run.
        accuracy: mAP of the operating points; a client without an entry has no mAP figures.

    Raises:
        ValueError: A frame has no fate, or an operating point that `accuracy` does not list.
    """
    rows = _Rows(frames, accuracy)
    joules = _joules(energy)
    figures: Figures = {}
    for policy, seed, part in rows.groups():
        group = _group(rows, part, deadline_ns, duration_ns)
        ledger = joules.get((policy, seed), {})
        parts = {f"{name}_j": ledger.get(name, 0.0) for name in ("compute", "radio", "idle")}
        group |= parts | {"energy_j": math.fsum(parts.values())}
        group["energy_per_frame_j"] = group["energy_j"] / group["captured"]
        figures.setdefault(policy, {})[seed] = {name: group[name] for name in METRICS}
    return figures


def with_boxes(
    figures: Figures, scored: Mapping[str, Mapping[str, Mapping[str, float | None]]]
) -> Figures:
    """Return figures with those that recorded detections give in the place of a table's.

    Args:
        figures: As `per_seed` gives them.
        scored: policy -> seed, as text -> metric -> figure, None where it is undefined.
    """
    merged: Figures = {}
    for policy, seeds in figures.items():
        for seed, group in seeds.items():
            found = scored[policy][str(seed)]
            group = group | {k: math.nan if v is None else v for k, v in found.items()}
            if (correct := group["correct"]) >= 0:
                group["energy_per_correct_j"] = group["energy_j"] / correct if correct else math.inf
            merged.setdefault(policy, {})[seed] = group
    return merged


def way(mode: str, codec: str | None) -> str:
    """Return a mode, and where a picture is sent its codec, on which the mAP depends.

    An entropy coder loses nothing.
    """
    return f"{mode} {codec}" if mode == Mode.OFFLOAD else mode


def percentile(sorted_values: NDArray[np.int64], q: int) -> int:
    """Return the smallest of the values that at least `q` % of them do not exceed.

    The definition needs no arithmetic between values, so it is exact and lets some be infinite.
    """
    return int(sorted_values[-(-len(sorted_values) * q // 100) - 1])


class _Rows:
    """The columns of the frames as arrays, in canonical order: policy, seed, client, frame."""

    def __init__(self, frames: pd.DataFrame, accuracy: Accuracy) -> None:
        self.policies, policy = _codes(frames["policy"])
        self.clients, client = _codes(frames["client"])
        seed = frames["seed"].to_numpy(np.int64)
        number_ = frames["frame"].to_numpy(np.int64)
        order = np.lexsort((number_, client, seed, policy))

        def instants(name: str) -> NDArray[np.int64]:
            return _integers(frames[name], NEVER)[order]

        self.policy, self.seed, self.client = policy[order], seed[order], client[order]
        names = {name for stage in STAGES.values() for name in stage}
        self.instant = {name: instants(name) for name in sorted(names)}
        if (self.instant["captured_ns"] == NEVER).any():
            raise ValueError("a frame was never captured")
        self.latency = _between(self.instant["captured_ns"], self.instant["answered_ns"])
        self.stages = {
            s: _between(self.instant[a], self.instant[b]) for s, (a, b) in STAGES.items()
        }
        self.fates, fate = _codes(frames["fate"])
        self.fate = fate[order]
        strange = set(self.fates) - {fate.value for fate in Fate}
        if strange or (fate < 0).any():
            raise ValueError(
                f"a frame without a known fate: {', '.join(sorted(strange)) or 'null'}"
            )
        self.payload = frames["payload_bytes"].to_numpy(np.int64)[order]
        self.wire = frames["wire_bytes"].to_numpy(np.int64)[order]
        self._points(frames, order, accuracy)

    def _points(self, frames: pd.DataFrame, order: NDArray[np.intp], accuracy: Accuracy) -> None:
        """Number the distinct (client, width, bits, mode) and look each one's mAP up once."""
        width = frames["width"].fillna(-1.0).to_numpy(np.float64)[order]
        bits = _integers(frames["bits"], -1)[order]
        modes, mode = _codes(_ways(frames))
        mode = mode[order]
        self.decided = mode >= 0
        _, width_at = np.unique(width, return_inverse=True)
        depths, bits_at = np.unique(bits, return_inverse=True)
        code = (width_at * len(depths) + bits_at) * (len(modes) + 1) + mode + 1
        code = code * max(len(self.clients), 1) + self.client
        _, first, self.point = np.unique(code, return_index=True, return_inverse=True)
        self.width = [float(width[i]) for i in first]
        self.split = np.array([mode[i] >= 0 and modes[mode[i]] == Mode.SPLIT for i in first])
        self.map = [
            _look_up(
                accuracy,
                self.clients[self.client[i]],
                float(width[i]),
                int(bits[i]),
                modes[mode[i]] if mode[i] >= 0 else None,
            )
            for i in first
        ]
        at = np.flatnonzero(self.decided)
        same = (
            (self.policy[at][1:] == self.policy[at][:-1])
            & (self.seed[at][1:] == self.seed[at][:-1])
            & (self.client[at][1:] == self.client[at][:-1])
        )
        self.switched = np.zeros(len(order), dtype=bool)
        self.switched[at[1:][same & (self.point[at][1:] != self.point[at][:-1])]] = True

    def groups(self) -> Iterator[tuple[str, int, slice]]:
        """Yield policy, seed and the slice of their rows."""
        change = (np.diff(self.policy) != 0) | (np.diff(self.seed) != 0)
        edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(self.policy)]
        for start, end in itertools.pairwise(edges):
            if start < end:
                name = self.policies[self.policy[start]]
                yield name, int(self.seed[start]), slice(start, end)


def _group(rows: _Rows, part: slice, deadline_ns: int, duration_ns: int) -> dict[str, float]:
    """Return every figure of one policy and seed that the frames alone decide."""
    n = part.stop - part.start
    latency = rows.latency[part]
    in_time = latency <= deadline_ns
    counts = np.bincount(rows.fate[part], minlength=len(rows.fates))
    out: dict[str, float] = {"captured": n} | {fate.value: 0 for fate in Fate}
    out |= {fate: int(count) for fate, count in zip(rows.fates, counts, strict=True)}
    out["deadline_miss_rate"] = 1 - int(np.count_nonzero(in_time)) / n
    out |= _percentiles("latency", latency)
    for stage, durations in rows.stages.items():
        done = durations[part]
        out |= _percentiles(stage, done[done != NEVER])

    chosen, answered = (
        np.bincount(rows.point[part][mask], minlength=len(rows.width)).tolist()
        for mask in (rows.decided[part], in_time)
    )
    out["offline_map"] = _mean(rows.map, chosen, sum(chosen))
    out["on_time_map"] = _mean(rows.map, answered, n)
    out |= dict.fromkeys(OF_BOXES, math.nan)  # a published table has none
    out["utility"] = math.nan  # needs the ladder; `testbed.metrics.utility`
    split = [count if is_split else 0 for count, is_split in zip(chosen, rows.split, strict=True)]
    out["width_mean"] = _mean(rows.width, split, sum(split))

    payload = rows.payload[part]
    loaded = int(np.count_nonzero(payload))
    out["payload_bytes_mean"] = int(payload.sum()) / loaded if loaded else math.nan
    out["wire_bytes"] = int(rows.wire[part].sum())
    clients = rows.client[part]
    edges = np.flatnonzero(np.diff(clients)) + 1
    seconds = (len(edges) + 1) * duration_ns / NS_PER_S
    out["switches_per_s"] = int(np.count_nonzero(rows.switched[part])) / seconds
    captured, answers = rows.instant["captured_ns"][part], rows.instant["answered_ns"][part]
    split_up = zip(np.split(captured, edges), np.split(answers, edges), strict=True)
    out["age_mean_ms"], out["age_p95_ms"] = age_figures(split_up, duration_ns)
    return out


def _percentiles(name: str, durations: NDArray[np.int64]) -> dict[str, float]:
    if not len(durations):
        return {f"{name}_p{q}_ms": math.nan for q in PERCENTILES}
    ordered = np.sort(durations)
    figures = {q: percentile(ordered, q) for q in PERCENTILES}
    return {
        f"{name}_p{q}_ms": math.inf if ns == NEVER else ns / NS_PER_MS for q, ns in figures.items()
    }


def _mean(values: list[float], counts: list[int], total: int) -> float:
    """Return the mean of `values` weighted by `counts` over `total`; exact in any order."""
    if not total:
        return math.nan
    return math.fsum(v * c for v, c in zip(values, counts, strict=True) if c) / total


def _ages(
    captured: NDArray[np.int64], answered: NDArray[np.int64], duration_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the age of information of one client as pieces: age at the start, and length, ns.

    Within a piece the age grows with time. Before the first answer it is the time since the run
    began, the least it can be.
    """
    answers = np.flatnonzero(answered <= duration_ns)
    answers = answers[np.lexsort((captured[answers], answered[answers]))]
    since = np.concatenate(([0], answered[answers]))
    newest = np.concatenate(([0], np.maximum.accumulate(captured[answers])))
    return since - newest, np.diff(since, append=duration_ns)


def age_figures(
    clients: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]], duration_ns: int
) -> tuple[float, float]:
    """Return mean and p95 over time, ms, of the age of information of some clients.

    The age is made of pieces that grow with time. The time spent at an age of at most x,
    Σ clip(x - age, 0, span), is piecewise linear in x; its inverse at 95 % of the whole is found
    exactly.

    Args:
        clients: Of each, when its frames were captured and when they were answered, or `NEVER`.
        duration_ns: Length of the run.
    """
    pieces = [_ages(captured, answered, duration_ns) for captured, answered in clients]
    age, span = (np.concatenate(column) for column in zip(*pieces, strict=True))
    total = int(span.sum())
    length = span.astype(np.float64)
    mean = math.fsum((length * (age + length / 2)).tolist()) / total
    corners = np.concatenate((age, age + span))
    slopes = np.concatenate((np.ones(len(age), np.int64), np.full(len(age), -1)))
    order = np.argsort(corners, kind="stable")
    corners, slope = corners[order], np.cumsum(slopes[order])
    spent = np.concatenate(([0], np.cumsum(slope[:-1] * np.diff(corners))))
    wanted = -(-total * 95 // 100)
    i = int(np.searchsorted(spent, wanted))  # the first corner by which enough time is spent
    over = int(spent[i]) - wanted
    p95 = int(corners[i]) - (over / int(slope[i - 1]) if over else 0)
    return mean / NS_PER_MS, p95 / NS_PER_MS


def _joules(energy: pd.DataFrame) -> dict[tuple[str, int], dict[str, float]]:
    """Return (policy, seed) -> component -> joules; summed exactly, so in any order of the rows."""
    policies, policy = _codes(energy["policy"])
    components, component = _codes(energy["component"])
    seed = energy["seed"].to_numpy(np.int64)
    joules = energy["energy_j"].to_numpy(np.float64)
    order = np.lexsort((component, seed, policy))
    policy, seed, component, joules = (a[order] for a in (policy, seed, component, joules))
    change = (np.diff(policy) != 0) | (np.diff(seed) != 0) | (np.diff(component) != 0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(order)]
    out: dict[tuple[str, int], dict[str, float]] = {}
    for start, end in itertools.pairwise(edges):
        if start < end:
            ledger = out.setdefault((policies[policy[start]], int(seed[start])), {})
            ledger[components[component[start]]] = math.fsum(joules[start:end].tolist())
    return out


def _look_up(accuracy: Accuracy, client: str, width: float, bits: int, mode: str | None) -> float:
    if client not in accuracy:
        return math.nan
    if mode is None or mode == Mode.SKIP:
        return 0.0
    points = accuracy[client]
    if (width, bits, mode) not in points:
        known = ", ".join(f"α={w:g} {b} bit {m}" for w, b, m in points)
        raise ValueError(
            f"client '{client}': no mAP for the operating point α={width:g} {bits} bit {mode}; "
            f"the table has {known or 'none'}"
        )
    return points[width, bits, mode]


def _ways(frames: pd.DataFrame) -> pd.Series[Any]:
    """Return how each frame was processed; null where nobody decided."""
    sent = frames["mode"] == Mode.OFFLOAD
    if not sent.any():
        return frames["mode"]
    ways = frames["mode"].astype(object)
    ways[sent] = [way(Mode.OFFLOAD, codec) for codec in frames.loc[sent, "codec"]]
    return ways


def _between(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where((start == NEVER) | (end == NEVER), NEVER, end - start)


def _integers(column: pd.Series[Any], missing: int) -> NDArray[np.int64]:
    """Return a column of whole numbers, nullable or read as floats, with `missing` for null."""
    values = column.to_numpy(np.int64, na_value=0)
    return np.where(column.isna().to_numpy(), missing, values)


def _codes(column: pd.Series[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names in a column and each row's index among them; -1 where there is none.

    A categorical keeps the order of its categories (a scenario's own), anything else is sorted.
    """
    categorical = column.astype("category").cat
    names = [str(name) for name in categorical.categories]
    return names, categorical.codes.to_numpy().astype(np.int64)
