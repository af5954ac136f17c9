"""Policies over many traces: a trace is one observation, its seeds are averaged first.

Frames depend on each other, and seeds of one trace on the trace, so that a claim about traces in
general can rest on differences per trace only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from testbed.compare.inference import (
    bca,
    effect_size,
    holm,
    improvement,
    minimum_detectable,
    sign_flip,
    worst_mean,
)
from testbed.compare.within import BEST_FIXED, Kinds, best_fixed, primary_of
from testbed.errors import TestbedError, UnknownName
from testbed.metrics import CONFIDENCE, METRICS, Figures

if TYPE_CHECKING:
    from testbed.records import Run


class Contrast(TypedDict):
    """One policy against a rival over traces, turned so that positive is better.

    `value` is the mean difference, `low` and `high` its BCa interval (None for fewer than three
    traces); `relative` is `value` over the rival's mean; `p` is that of the sign-flip test and
    `p_holm` the same for all contrasts together; `effect_size` is the mean difference over its
    deviation; `improvement` the probability of being better on a trace; `detectable` the least
    mean difference that so many traces would have shown; `worst` and `worst_rival` are the means of
    the worst tenth of the traces; `wins` has, for each family, traces won and traces.
    """

    policy: str
    against: str
    metric: str
    n: int
    value: float
    low: float | None
    high: float | None
    relative: float | None
    p: float
    p_holm: float
    effect_size: float | None
    improvement: float
    detectable: float | None
    worst: float
    worst_rival: float
    wins: dict[str, tuple[int, int]]
    verdict: str


def across(
    traces: Mapping[str, Figures],
    kinds: Kinds,
    *,
    against: str = BEST_FIXED,
    metric: str | None = None,
    families: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
) -> list[Contrast]:
    """Return every policy against a rival, over the traces on which both have a finite figure.

    Args:
        traces: From the name of a trace, or of a run on it, to the figures of that run.
        kinds: From policy to its kind.
        against: A policy, or `best-fixed`: on each trace the static policy that is best there, in
            hindsight, the hardest rival that does not adapt.
        metric: What is compared; None for streaming mAP where every policy has it on every trace,
            else on-time mAP.
        families: From trace to the family it is of; one family of all if None.
        confidence: Of intervals, and of the verdicts on `p_holm`.

    Raises:
        UnknownName: No such metric or policy.
        TestbedError: The metric has no better direction, no policy is static, or a figure is not
            finite: leaving its trace out would flatter whoever has it.
    """
    metric = primary_of(traces.values()) if metric is None else metric
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    if METRICS[metric].better is None:
        raise TestbedError(f"metric '{metric}' is neither better high nor better low")
    higher = METRICS[metric].better == "higher"
    known = dict.fromkeys(policy for figures in traces.values() for policy in figures)
    if against not in (*known, BEST_FIXED):
        raise UnknownName("policy", against, [*known, BEST_FIXED])
    means: dict[str, dict[str, float]] = {policy: {} for policy in known}
    rival: dict[str, float] = {}
    for trace, figures in traces.items():
        for policy, seeds in figures.items():
            means[policy][trace] = _mean(trace, policy, metric, [s[metric] for s in seeds.values()])
        name = best_fixed(figures, kinds, metric) if against == BEST_FIXED else against
        if name is None:
            raise TestbedError(f"{trace}: no static policy to compare with")
        if name in figures:
            rival[trace] = means[name][trace]
    rows = [
        _contrast(policy, against, metric, means[policy], rival, families or {}, higher, confidence)
        for policy in known
        if policy != against and means[policy].keys() & rival.keys()
    ]
    adjusted = holm({row["policy"]: row["p"] for row in rows})
    for row in rows:
        row["p_holm"] = adjusted[row["policy"]]
        row["verdict"] = _verdict(row, confidence)
    return rows


def _mean(trace: str, policy: str, metric: str, values: list[float]) -> float:
    if not values or not all(map(math.isfinite, values)):
        raise TestbedError(
            f"{trace}: {policy} has no finite {METRICS[metric].label} on every seed; compare "
            "deadline_miss_rate or a lower percentile instead"
        )
    return math.fsum(values) / len(values)


def _contrast(
    policy: str,
    against: str,
    metric: str,
    ours: Mapping[str, float],
    rival: Mapping[str, float],
    families: Mapping[str, str],
    higher: bool,
    confidence: float,
) -> Contrast:
    common = [trace for trace in ours if trace in rival]
    sign = 1 if higher else -1
    differences = [sign * (ours[trace] - rival[trace]) for trace in common]
    mean = math.fsum(differences) / len(differences)
    low, high = bca(differences, confidence=confidence) if len(common) > 2 else (None, None)
    base = math.fsum(rival[trace] for trace in common) / len(common)
    wins: dict[str, tuple[int, int]] = {}
    for trace, gain in zip(common, differences, strict=True):
        won, count = wins.get(family := families.get(trace, "all"), (0, 0))
        wins[family] = (won + (gain > 0), count + 1)
    return {
        "policy": policy,
        "against": against,
        "metric": metric,
        "n": len(common),
        "value": mean,
        "low": low,
        "high": high,
        "relative": mean / abs(base) if base else None,
        "p": sign_flip(differences),
        "p_holm": 1.0,
        "effect_size": effect_size(differences),
        "improvement": improvement(differences),
        "detectable": minimum_detectable(differences, confidence=confidence),
        "worst": worst_mean([ours[t] for t in common], higher=higher),
        "worst_rival": worst_mean([rival[t] for t in common], higher=higher),
        "wins": dict(sorted(wins.items())),
        "verdict": "",
    }


def no_difference_shown(row: Contrast, confidence: float = CONFIDENCE) -> bool:
    """Return whether a contrast shows nothing: the test, or the interval, allows for no effect."""
    low, high = row["low"], row["high"]
    if low is None or high is None or low <= 0 <= high:
        return True
    return row["p_holm"] > 1 - confidence


def _verdict(row: Contrast, confidence: float) -> str:
    """Return a contrast in words."""
    metric = METRICS[row["metric"]]
    unit = "" if metric.unit == "1" else f" {metric.unit}"
    said = f"{metric.show(row['value'], signed=True)}{unit}"
    if row["low"] is not None:
        bounds = (metric.show(end, signed=True) for end in (row["low"], row["high"]))
        said += f" [{', '.join(bounds)}]"
    said += f", {100 * confidence:g} % over {row['n']} trace{'s' if row['n'] != 1 else ''}"
    said += f", p = {row['p_holm']:.2g} after Holm"
    head = f"{row['policy']} against {row['against']} in {metric.label}"
    if no_difference_shown(row, confidence):
        least = row["detectable"]
        size = "" if least is None else f"; {metric.show(least)}{unit} would have been shown"
        return f"{head}: no difference shown ({said}{size})"
    return f"{head}: {'better' if row['value'] > 0 else 'worse'}, {said}"


def family_of(run: Run) -> str:
    """Return the family of a run's uplink: the folder of its trace, else the kind of its link."""
    uplink = run.scenario["network"]["uplink"]
    while "trace" not in uplink and isinstance(uplink.get("link"), dict):
        uplink = uplink["link"]
    folder, _, _ = str(uplink.get("trace", "")).rpartition("/")
    return folder.rpartition("/")[2] or str(uplink["kind"])
