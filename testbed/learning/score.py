"""What networks, policies and single points are worth on traces, and what that shows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from testbed.compare.inference import bca, holm, improvement, minimum_detectable, sign_flip
from testbed.environment.environment import SplitDetection
from testbed.learning.sets import run_seeds
from testbed.metrics import CONFIDENCE
from testbed.metrics.utility import total
from testbed.optimum import headroom
from testbed.policies.features import Vector
from testbed.policies.network import Network
from testbed.scenario import Scenario
from testbed.simulate import simulate

OnTraces = dict[str, float]
"""From trace to the mean utility of a captured frame on it."""

Scenarios = Mapping[str, Scenario]
"""From trace to the scenario on it."""


def of_network(network: Network, scenarios: Scenarios, runs: int) -> OnTraces:
    """Return what a network is worth on each trace, over so many runs on each."""
    return _stepped(network.best, scenarios, runs)


def of_points(scenarios: Scenarios, runs: int) -> dict[str, OnTraces]:
    """Return what each single point of the ladder is worth on each trace."""
    first = next(iter(scenarios.values()))
    return {
        str(rung.point): _stepped(lambda _, place=place: place, scenarios, runs)  # type: ignore[misc]
        for place, rung in enumerate(first.clients[0].ladder)
    }


def _stepped(choose: Callable[[Vector], int], scenarios: Scenarios, runs: int) -> OnTraces:
    env = SplitDetection(list(scenarios.values()))
    found = {}
    for place, trace in enumerate(scenarios):
        each: list[float] = []
        for seed in run_seeds(place, runs):
            seen, _ = env.reset(options={"seed": seed, "scenario": place})
            ended = False
            while not ended:
                seen, _, terminated, truncated, _ = env.step(np.int64(choose(seen)))
                ended = terminated or truncated
            each += env.utilities
        found[trace] = math.fsum(each) / len(each)
    return found


def of_policies(scenarios: Scenarios, runs: int) -> dict[str, OnTraces]:
    """Return what each policy of the scenario is worth on each trace; learned ones are left out.

    One of them may be an earlier state of what is being judged.
    """
    found: dict[str, OnTraces] = {}
    for place, (trace, scenario) in enumerate(scenarios.items()):
        weights, deadline_ns = scenario.spec.utility.weights, scenario.spec.deadline_ns
        ladder = scenario.clients[0].ladder
        for policy, spec in scenario.spec.policies.items():
            if spec.kind == "learned":
                continue
            value, count = 0.0, 0
            for seed in run_seeds(place, runs):
                frames = simulate(scenario, policy, seed).frames.to_pandas()
                value += total(frames, ladder, weights, deadline_ns)
                count += len(frames)
            found.setdefault(policy, {})[trace] = value / count
    return found


def of_optimum(scenarios: Scenarios, runs: int) -> tuple[OnTraces, OnTraces]:
    """Return what the optimum's plan is worth on each trace, and what nobody can exceed."""
    plan: OnTraces = {}
    bound: OnTraces = {}
    for place, (trace, scenario) in enumerate(scenarios.items()):
        one = next(iter(scenario.spec.policies))
        found = [headroom(scenario, seed, [one]) for seed in run_seeds(place, runs)]
        frames = sum(each.frames for each in found)
        plan[trace] = math.fsum(each.reached for each in found) / frames
        bound[trace] = math.fsum(each.upper for each in found) / frames
    return plan, bound


def mean(values: OnTraces) -> float:
    """Return the mean over traces, each counting the same."""
    return math.fsum(values.values()) / len(values)


def best(worth: Mapping[str, OnTraces]) -> str:
    """Return who is worth most on average; of equals the first."""
    return max(worth, key=lambda name: mean(worth[name]))


def hindsight(worth: Mapping[str, OnTraces]) -> OnTraces:
    """Return what whoever is best on a trace is worth there."""
    traces = next(iter(worth.values()))
    return {trace: max(values[trace] for values in worth.values()) for trace in traces}


def over_seeds(learned: Sequence[OnTraces], rivals: Mapping[str, OnTraces]) -> dict[str, Any]:
    """Return what training is worth whatever the seed: mean, spread, differences to rivals.

    What one seed gives is luck in part; in the contrasts each trace has the mean over the seeds,
    so that they say what to expect of a training, and not of the network that is kept.

    Args:
        learned: What the network of each seed is worth on each trace.
        rivals: As for `contrasts`.
    """
    means = [mean(found) for found in learned]
    each = {t: math.fsum(found[t] for found in learned) / len(learned) for t in learned[0]}
    return {
        "seeds": len(means),
        "mean": math.fsum(means) / len(means),
        "deviation": statistics.stdev(means) if len(means) > 1 else None,
        "least": min(means),
        "most": max(means),
        "contrasts": contrasts(each, rivals),
    }


def contrasts(ours: OnTraces, rivals: Mapping[str, OnTraces]) -> list[dict[str, Any]]:
    """Return the differences to rivals, paired by trace: positive where `ours` is better.

    Interval: BCa over traces; p: sign-flip test, with Holm's correction over the rivals.
    """
    each = {name: [ours[t] - theirs[t] for t in ours] for name, theirs in rivals.items()}
    p = {name: sign_flip(differences) for name, differences in each.items()}
    adjusted = holm(p)
    return [
        _contrast(name, differences, p[name], adjusted[name]) for name, differences in each.items()
    ]


def _contrast(
    against: str, differences: Sequence[float], p: float, p_holm: float
) -> dict[str, Any]:
    value = math.fsum(differences) / len(differences)
    low, high = bca(differences)
    shown = not low <= 0 <= high and p_holm <= 1 - CONFIDENCE
    return {
        "against": against,
        "traces": len(differences),
        "difference": value,
        "low": low,
        "high": high,
        "p": p,
        "p_holm": p_holm,
        "improvement": improvement(differences),
        "detectable": minimum_detectable(differences),
        "verdict": ("better" if value > 0 else "worse") if shown else "no difference shown",
    }
