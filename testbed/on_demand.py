"""What a run is only asked for on demand, because it takes many more runs: JSON for the summary."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from testbed.compare.inference import ratio
from testbed.errors import TestbedError
from testbed.metrics import interval, number
from testbed.optimum import Gain, Headroom, gain_by_knob, headroom
from testbed.scenario import Scenario

OPTIMUM, KNOBS = "optimum", "gain_by_knob"
QUESTIONS = (OPTIMUM, KNOBS)
"""Keys of the summary under which the answers stand."""


def refuse(scenario: Scenario, questions: Collection[str]) -> None:
    """Raise a `TestbedError` if a question has no answer for this scenario.

    Asked before a run, so that nobody waits for a run that cannot be finished.
    """
    if OPTIMUM in questions and sum(client.spec.count for client in scenario.clients) != 1:
        raise TestbedError("--optimum is known for one client; this scenario has several")
    if KNOBS in questions and len(scenario.clients) != 1:
        raise TestbedError("--gain-by-knob needs one group of clients; this scenario has several")


def answers(scenario: Scenario, questions: Collection[str]) -> dict[str, Any]:
    """Return the answers to questions, by the key of each in the summary.

    Raises:
        TestbedError: The scenario has more clients than the question allows.
    """
    found: dict[str, Any] = {}
    seeds = scenario.spec.seeds
    if OPTIMUM in questions:
        rooms = [headroom(scenario, seed, sighted=True) for seed in seeds]
        found[OPTIMUM] = optimum(scenario, rooms)
    if KNOBS in questions:
        gains = [gain_by_knob(scenario, seed) for seed in seeds]
        found[KNOBS] = knobs(scenario, gains)
    return found


def optimum(scenario: Scenario, rooms: Collection[Headroom]) -> dict[str, Any]:
    """Return references and policies beside the optimum; utility per frame, over seeds.

    `captured` is a ratio of sums over the seeds, with a bootstrap interval.
    """
    low, high = -float("inf"), float("inf")

    def mean(values: Collection[float]) -> Any:
        return interval(values, within=(low, high))

    reference = {
        "best_static": mean([room.static_value / room.frames for room in rooms]),
        **{
            name.replace("-", "_"): mean([room.sighted[name] / room.frames for room in rooms])
            for name in next(iter(rooms)).sighted
        },
        "optimum": mean([room.reached / room.frames for room in rooms]),
        "upper_bound": mean([room.upper / room.frames for room in rooms]),
    }
    ladder = scenario.clients[0].ladder
    table = {}
    for policy in scenario.spec.policies:
        above = [room.values[policy] - room.static_value for room in rooms]
        share = ratio(above, [room.reached - room.static_value for room in rooms])
        value, least, most = (None if end is None else number(end) for end in share)
        table[policy] = {
            "utility": mean([room.values[policy] / room.frames for room in rooms]),
            "regret": mean([room.regret(policy) for room in rooms]),
            "captured": {"value": value, "low": least, "high": most, "n": len(rooms)},
        }
    statics = zip(scenario.spec.seeds, rooms, strict=True)
    return {
        "weights": dataclasses.asdict(scenario.spec.utility.weights),
        "best_static": {str(seed): str(ladder[room.static].point) for seed, room in statics},
        "reference": reference,
        "policies": table,
    }


def knobs(scenario: Scenario, gains: Collection[dict[str, Gain]]) -> dict[str, Any]:
    """Return the gain over the best static point and each knob's share; over seeds."""
    within = (-float("inf"), float("inf"))
    names = dict.fromkeys(
        knob for found in gains for gain in found.values() for knob in gain.shares
    )
    return {
        policy: {
            "gain": interval([g[policy].value - g[policy].static for g in gains], within=within),
            "shares": {
                knob: interval([g[policy].shares.get(knob, 0.0) for g in gains], within=within)
                for knob in names
            },
        }
        for policy in scenario.spec.policies
    }
