"""Compares policies: differences on the same seeds, the best static policy, the verdict, claims.

Policies meet the same frames, channel and noise on a seed (common random numbers), so what differs
is the policy, and the interval is that of the paired difference over the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from testbed.errors import TestbedError, UnknownName
from testbed.metrics import (
    CONFIDENCE,
    METRICS,
    Accuracy,
    Figures,
    Interval,
    interval,
    per_seed,
    way,
    with_boxes,
)
from testbed.metrics.utility import Utility, mean_per_seed
from testbed.model import NS_PER_MS, NS_PER_S, Mode, OperatingPoint, Rung

if TYPE_CHECKING:
    from testbed.records import Run

PRIMARY = "on_time_map"
"""The metric that a verdict is about where detections were not recorded; see `primary`."""

OF_BOXES = ("streaming_map", "correct_age_mean_ms", "energy_per_correct_j")
"""What is compared first where detections were recorded."""

COMPARED = (
    "on_time_map",
    "deadline_miss_rate",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "age_mean_ms",
    "energy_per_frame_j",
    "payload_bytes_mean",
)
"""The metrics whose differences `summary.json` and the commands show."""

BEST_FIXED = "best-fixed"
"""What a claim calls the best static policy in hindsight."""

Kinds = Mapping[str, str]
"""policy -> its kind."""

NOT_ADAPTIVE = ("fixed", "random", "planned")


def figures_of(run: Run) -> Figures:
    """Return the figures of a run, one per policy, seed and metric."""
    figures = per_seed(
        run.frames,
        run.energy,
        deadline_ns=deadline_ns_of(run),
        duration_ns=duration_ns_of(run),
        accuracy=accuracy_of(run),
    )
    ladders, weights = ladders_of(run), utility_of(run)
    worth = mean_per_seed(run.frames, ladders, weights, deadline_ns_of(run))
    for (policy, seed), value in worth.items():
        figures[policy][seed]["utility"] = value
    return figures if run.accuracy is None else with_boxes(figures, run.accuracy["figures"])


def primary(figures: Figures) -> str:
    """Return the metric that a verdict is about.

    Streaming mAP, which is what a client was shown, where every policy has it; else on-time mAP.
    """
    of_boxes = all(
        not math.isnan(group["streaming_map"])
        for seeds in figures.values()
        for group in seeds.values()
    )
    return "streaming_map" if figures and of_boxes else PRIMARY


def primary_of(runs: Iterable[Figures]) -> str:
    """Return the metric that a verdict over several runs is about: theirs, if they agree."""
    found = {primary(figures) for figures in runs}
    return found.pop() if len(found) == 1 else PRIMARY


def compared(figures: Figures) -> tuple[str, ...]:
    """Return the metrics whose differences are shown."""
    return COMPARED if primary(figures) == PRIMARY else (*OF_BOXES, *COMPARED)


def utility_of(run: Run) -> Utility:
    """Return what a frame is worth in a run."""
    return Utility(**run.scenario.get("utility", {}))


def ladders_of(run: Run) -> dict[str, tuple[Rung, ...]]:
    """Return each client's ladder, from the provenance of a run."""
    return {
        client: tuple(
            Rung(
                OperatingPoint(
                    rung["width"], rung["bits"], rung.get("codec", "raw"), Mode(rung["mode"])
                ),
                rung["payload_bytes"],
                rung["accuracy"],
                encode_ns=round(rung["encode_ms"] * NS_PER_MS),
                encode_j=rung["encode_j"],
                decode_ns=round(rung["decode_ms"] * NS_PER_MS),
            )
            for rung in ladder
        )
        for client, ladder in run.provenance.get("ladders", {}).items()
    }


def deadline_ns_of(run: Run) -> int:
    """Return the time from capture to answer that a run allows."""
    return round(Decimal(str(run.scenario["deadline_ms"])) * NS_PER_MS)


def duration_ns_of(run: Run) -> int:
    """Return how long a run lasted."""
    return round(Decimal(str(run.scenario["duration_s"])) * NS_PER_S)


def accuracy_of(run: Run) -> Accuracy:
    """Return the mAP of each client's operating points, from the ladders in the provenance."""
    return {
        client: {
            (rung["width"], rung["bits"], way(rung["mode"], rung.get("codec"))): rung["accuracy"]
            for rung in ladder
        }
        for client, ladder in run.provenance.get("ladders", {}).items()
    }


def kinds_of(run: Run) -> Kinds:
    """Return the kind of each policy of a run.

    A wrapper that only keeps every so manieth frame, or only moves boxes, is of the kind of the
    policy in it: over a `fixed` one it adapts no more than that does.
    """
    return {name: _kind(options) for name, options in run.scenario["policies"].items()}


def _kind(options: Mapping[str, Any]) -> str:
    kind = str(options["kind"])
    plain = kind == "forecast" or (kind == "frame-filter" and not options.get("outstanding"))
    return _kind(options["policy"]) if plain and "policy" in options else kind


def forecasters_of(run: Run) -> frozenset[str]:
    """Return the policies of a run under which the client moves the boxes that it shows."""

    def forecasts(options: Mapping[str, Any]) -> bool:
        inner = options.get("policy")
        return options["kind"] == "forecast" or (inner is not None and forecasts(inner))

    return frozenset(n for n, options in run.scenario["policies"].items() if forecasts(options))


def best_fixed(figures: Figures, kinds: Kinds, metric: str | None = None) -> str | None:
    """Return the policy of kind `fixed` with the best mean of a metric over the seeds.

    The best static policy in hindsight: nobody could have known it before the run. Ties go to the
    lower energy per frame, then to the name. None if no static policy has the metric, which is
    `primary` unless another is named.
    """
    metric = metric or primary(figures)
    sign = -1 if direction(metric) == "higher" else 1

    def rank(policy: str) -> tuple[float, float, str]:
        energy = mean_of(figures[policy], "energy_per_frame_j")
        return (sign * mean_of(figures[policy], metric), energy, policy)

    static = [
        policy
        for policy, seeds in figures.items()
        if kinds.get(policy) == "fixed" and not math.isnan(mean_of(seeds, metric))
    ]
    return min(static, key=rank, default=None)


def paired(
    ours: Mapping[int, Mapping[str, float]],
    theirs: Mapping[int, Mapping[str, float]],
    metric: str,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return mean and interval of `ours - theirs` over the seeds that both have.

    The value is null if any seed lacks a finite figure: leaving that seed out would flatter
    whoever has it.
    """
    seeds = [seed for seed in ours if seed in theirs]
    differences = [ours[seed][metric] - theirs[seed][metric] for seed in seeds]
    if not all(map(math.isfinite, differences)):
        return {"value": None, "low": None, "high": None, "n": len(seeds)}
    return interval(differences, confidence=confidence)


def verdicts(figures: Figures, kinds: Kinds, metric: str | None = None) -> list[str]:
    """Return one sentence per policy that is not static against the best static one.

    The best adaptive policy comes first; those of kind `random`, which adapt to nothing, come last.
    Never empty: without two sides to compare, the one sentence says what there is.
    The metric is `primary` unless another is named.
    """
    metric = metric or primary(figures)
    sign = -1 if direction(metric) == "higher" else 1
    label = METRICS[metric].label
    known = [p for p in figures if not math.isnan(mean_of(figures[p], metric))]
    if not known:
        return [f"No policy has a defined {label}, so none can be called better."]
    moving = [p for p in known if kinds.get(p) != "fixed"]
    moving.sort(key=lambda p: (kinds.get(p) in NOT_ADAPTIVE, sign * mean_of(figures[p], metric), p))
    best = best_fixed(figures, kinds, metric)
    if best is None:
        value = shown(figures[moving[0]], metric)
        return [f"{moving[0]} has the best {label}, {value}; no static policy was run beside it."]
    if not moving:
        value = shown(figures[best], metric)
        return [f"{best} is the best of the static policies: {label} {value}; nothing adapts."]
    adaptive = sum(kinds.get(p) not in NOT_ADAPTIVE for p in moving)
    hindsight = f" (best of {adaptive} adaptive policies)" if adaptive > 1 else ""
    return [
        _sentence(figures, policy, best, metric, "" if place else hindsight)
        for place, policy in enumerate(moving)
    ]


def between_runs(runs: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Return the paired differences of each later run from the first, for policies in both.

    One entry per run, policy and metric of `COMPARED`, with the interval over the seeds that both
    runs have; `n` is 0 where they share none, since then nothing can be paired.
    """
    first, *others = runs
    metrics = compared(runs[first])
    return [
        {"run": other, "against": first, "policy": policy, "metric": metric}
        | paired(seeds, runs[first][policy], metric)
        for other in others
        for policy, seeds in runs[other].items()
        if policy in runs[first]
        for metric in metrics
    ]


def check_claims(
    claims: Iterable[Mapping[str, Any]], figures: Figures, kinds: Kinds
) -> list[dict[str, Any]]:
    """Return each claim with whether it holds, the paired difference, and a sentence.

    A claim holds when the whole interval of the paired difference, at the claim's confidence and
    turned so that positive is better, lies above `by`. `best-fixed` is the static policy that is
    best in hindsight on the claim's own metric.

    Raises:
        UnknownName: No such metric or policy.
        TestbedError: The metric has no better direction.
    """
    return [_check(claim, figures, kinds) for claim in claims]


def _check(claim: Mapping[str, Any], figures: Figures, kinds: Kinds) -> dict[str, Any]:
    metric, by = claim["metric"], claim.get("by", 0.0)
    confidence = claim.get("confidence", CONFIDENCE)
    sign = 1 if direction(metric) == "higher" else -1
    out = {"metric": metric, "better": claim["better"], "than": claim["than"], "by": by}
    out |= {"confidence": confidence}
    sides = []
    for side in ("better", "than"):
        name = claim[side]
        if name == BEST_FIXED:
            name = best_fixed(figures, kinds, metric)
            if name is None:
                text = f"fails: no static policy has a {METRICS[metric].label} to compare with"
                return out | {"holds": False, "message": text}
        if name not in figures:
            raise UnknownName("policy", name, [*figures, BEST_FIXED])
        sides.append(name)
    ours, theirs = sides
    found = paired(figures[ours], figures[theirs], metric, confidence=confidence)
    low, high = found["low"], found["high"]
    holds = low is not None and high is not None and min(sign * low, sign * high) > by
    wanted = f"{ours} better than {theirs} in {METRICS[metric].label}"
    wanted += f" by more than {METRICS[metric].show(by)}" if by else ""
    said = difference(found, metric, confidence)
    if not holds and low is not None and high is not None and low <= 0 <= high:
        said = f"no difference shown ({said})"
    text = f"{'holds' if holds else 'fails'}: {wanted}: {said}"
    return out | {"holds": holds, **found, "message": text}


def difference(found: Interval, metric: str, confidence: float = CONFIDENCE) -> str:
    """Return a paired difference in words, with its interval if there is one."""
    value, low, high, n = found["value"], found["low"], found["high"], found["n"]
    show = METRICS[metric].show
    unit = METRICS[metric].unit
    unit = "" if unit == "1" else f" {unit}"
    if not n:
        return "no seed in common"
    if not isinstance(value, float):
        return "the difference is not finite on every seed"
    if low is None or high is None:
        return f"{show(value, signed=True)}{unit} on one seed, so without an interval"
    return (
        f"{show(value, signed=True)}{unit} [{show(low, signed=True)}, {show(high, signed=True)}], "
        f"{100 * confidence:g} % over {n} seeds"
    )


def _sentence(figures: Figures, policy: str, best: str, metric: str, hindsight: str) -> str:
    ours, theirs = figures[policy], figures[best]
    found = paired(ours, theirs, metric)
    low, high = found["low"], found["high"]
    said = difference(found, metric)
    width = mean_of(theirs, "width_mean")
    static = best if math.isnan(width) else f"{best}, α = {width:g}"
    head = f"{policy}{hindsight}: {METRICS[metric].label} {shown(ours, metric)}"
    head += f" vs {shown(theirs, metric)} of the best static policy ({static})"
    if low is None or high is None or low <= 0 <= high:
        outcome = f"no difference shown ({said})"
    else:
        wins = (low > 0) == (direction(metric) == "higher")
        outcome = said if wins else f"{policy} loses, {said}"
    return f"{head}: {outcome}{_energy(ours, theirs)}."


def _energy(
    ours: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]]
) -> str:
    """Return the closing words on energy, empty where there is none to compare."""
    mine, base = (mean_of(seeds, "energy_per_frame_j") for seeds in (ours, theirs))
    if not base > 0 or not math.isfinite(mine):
        return ""
    change = 100 * (mine / base - 1)
    if abs(change) < 0.5:
        return ", at the same energy per frame"
    return f", at {abs(change):.0f} % {'more' if change > 0 else 'less'} energy per frame"


def direction(metric: str) -> str:
    """Return which way is better.

    Raise `UnknownName` for no such metric, a `TestbedError` for one that has no better way.
    """
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)
    better = METRICS[metric].better
    if better is None:
        raise TestbedError(f"metric '{metric}' is neither better high nor better low")
    return better


def mean_of(seeds: Mapping[int, Mapping[str, float]], metric: str) -> float:
    """Return the mean of a metric over the seeds of a policy."""
    values = [figures[metric] for figures in seeds.values()]
    return sum(values) / len(values) if values else math.nan


def shown(seeds: Mapping[int, Mapping[str, float]], metric: str) -> str:
    """Return the mean of a metric over the seeds of a policy, as a person reads it."""
    unit = METRICS[metric].unit
    return METRICS[metric].show(mean_of(seeds, metric)) + ("" if unit == "1" else f" {unit}")
