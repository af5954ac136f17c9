"""Which knob a policy's gain over the best static point comes from.

A knob is frozen by taking away the points of the ladder that need it: the width of the best static
point stays, and the others go. With every knob frozen one point is left, with none the whole
ladder. A knob's share is its Shapley value ("A value for n-person games", 1953): what it adds, on
average over all orders in which the knobs could be set free. The shares add up to the gain.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from testbed.errors import TestbedError
from testbed.metrics.utility import Utility, total
from testbed.model import Ladder, Mode, Rung
from testbed.optimum.headroom import with_plan
from testbed.parts import make
from testbed.policies import policies
from testbed.scenario import Scenario
from testbed.simulate import simulate

KNOBS = ("width", "bits", "codec", "mode", "skip")
"""What may be turned: α, bits a value, the entropy coder, where to compute, whether at all."""


@dataclass(frozen=True)
class Gain:
    """Where the gain of one policy on one seed comes from; means per captured frame.

    Args:
        static: What the best static point is worth.
        value: What the policy is worth on the whole ladder.
        shares: From knob to its share of `value - static`; those that the ladder has.
    """

    static: float
    value: float
    shares: Mapping[str, float]


def gain_by_knob(
    scenario: Scenario,
    seed: int,
    names: Iterable[str] | None = None,
    *,
    utility: Utility | None = None,
) -> dict[str, Gain]:
    """Return policy -> where its gain over the best static point comes from.

    Where a policy refuses a ladder without some knob, as a frame filter does one without skip, the
    best static point stands in for it.

    Args:
        scenario: Of one group of clients.
        seed: One of any.
        names: Policies of the scenario; all of them if None.
        utility: What a frame is worth; as the scenario says if None. With all weights 0 it is the
            on-time mAP.

    Raises:
        TestbedError: The scenario has several groups of clients, whose ladders may differ.
    """
    if len(scenario.clients) != 1:
        raise TestbedError("gain by knob needs one group of clients; this scenario has several")
    weights = utility or scenario.spec.utility.weights
    ladder = scenario.clients[0].ladder

    def worth(of: Scenario, policy: str) -> float:
        frames = simulate(of, policy, seed).frames.to_pandas()
        deadline = scenario.spec.deadline_ns
        sums = [total(rows, ladder, weights, deadline) for _, rows in frames.groupby("client")]
        return math.fsum(sums) / len(frames)

    points = [worth(with_plan(scenario, [place]), "planned") for place in range(len(ladder))]
    static, anchors = max(points), _anchors(ladder, points)
    every = restricted(ladder, anchors, KNOBS)
    knobs = [k for k in KNOBS if restricted(ladder, anchors, set(KNOBS) - {k}) != every]
    worlds: dict[frozenset[str], Scenario | None] = {}
    for free in _subsets(knobs):
        rungs = restricted(ladder, anchors, free)
        client = dataclasses.replace(scenario.clients[0], ladder=Ladder(rungs))
        alone = len(rungs) == 1
        worlds[free] = None if alone else dataclasses.replace(scenario, clients=(client,))
    found = {}
    for name in scenario.spec.policies if names is None else names:
        values = {
            free: static if of is None or not _accepts(of, name) else worth(of, name)
            for free, of in worlds.items()
        }
        value = values[frozenset(knobs)]
        found[name] = Gain(static, value, shapley(knobs, values.__getitem__))
    return found


def shapley(knobs: Collection[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """Return each knob's mean contribution to a value over all orders of setting knobs free."""
    n = len(knobs)
    shares = {}
    for knob in knobs:
        terms = []
        for others in _subsets([other for other in knobs if other != knob]):
            weight = math.factorial(len(others)) * math.factorial(n - len(others) - 1)
            gained = value(others | {knob}) - value(others)
            terms.append(weight / math.factorial(n) * gained)
        shares[knob] = math.fsum(terms)
    return shares


def restricted(
    ladder: Ladder, anchors: Mapping[Mode, Rung], free: Collection[str]
) -> tuple[Rung, ...]:
    """Return the rungs that need no knob but the free ones.

    Args:
        ladder: The whole.
        anchors: From mode, skip left out, to the rung at which its frozen knobs stay; the mode that
            stays first.
        free: Knobs that may be turned.
    """
    home = next(iter(anchors))

    def allowed(rung: Rung) -> bool:
        point = rung.point
        if point.mode is Mode.SKIP:
            return "skip" in free
        anchor = anchors[point.mode].point
        return (point.mode is home or "mode" in free) and all(
            knob in free or getattr(point, knob) == getattr(anchor, knob)
            for knob in ("width", "bits", "codec")
        )

    return tuple(rung for rung in ladder if allowed(rung))


def _anchors(ladder: Ladder, values: Collection[float]) -> dict[Mode, Rung]:
    """Return the best static rung of each mode but skip, that of the best mode first."""
    ranked = sorted(zip(values, ladder, strict=True), key=lambda pair: -pair[0])
    anchors: dict[Mode, Rung] = {}
    for _, rung in ranked:
        if rung.point.mode is not Mode.SKIP:
            anchors.setdefault(rung.point.mode, rung)
    return anchors


def _accepts(scenario: Scenario, policy: str) -> bool:
    try:
        make(policies, scenario.spec.policies[policy]).check(scenario.clients[0].ladder)
    except ValueError:
        return False
    return True


def _subsets(items: Collection[str]) -> list[frozenset[str]]:
    sizes = range(len(items) + 1)
    return [frozenset(some) for size in sizes for some in itertools.combinations(items, size)]
