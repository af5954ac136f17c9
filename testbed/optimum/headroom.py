"""Policies beside the best static point and beside the optimum, all in the same simulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from testbed.metrics.utility import Utility, total
from testbed.optimum.problem import problem_of
from testbed.optimum.reference import clairvoyant_mpc, myopic, solve
from testbed.parts import spec_model
from testbed.policies import policies
from testbed.scenario import Scenario
from testbed.scenario.schema import PolicySpec
from testbed.simulate import simulate


@dataclass(frozen=True)
class Headroom:
    """What policies made of a seed, and what there was to be made of it; sums of utility.

    Args:
        values: From policy to its utility.
        static: Place on the ladder of the best single point in hindsight.
        static_value: What it is worth.
        reached: What the optimum's plan is worth in the simulator, radio and server included.
        upper: No policy's utility is above it.
        frames: Frames captured.
        sighted: What plans of shorter sight are worth in the simulator: `clairvoyant-mpc`, which
            knows the channel for five frames, and `myopic`, for one. Empty unless asked for.
    """

    values: Mapping[str, float]
    static: int
    static_value: float
    reached: float
    upper: float
    frames: int
    sighted: Mapping[str, float] = field(default_factory=dict)

    def regret(self, policy: str) -> float:
        """Return how far below the upper bound a policy is, per frame."""
        return (self.upper - self.values[policy]) / self.frames

    def captured(self, policy: str) -> float | None:
        """Return the share of the head-room over the best static point that a policy captures.

        1 is what the optimum's plan reaches, 0 the best static point; less is below that. None
        where the plan is no better than the best static point: there is nothing to capture.
        """
        room = self.reached - self.static_value
        return (self.values[policy] - self.static_value) / room if room > 0 else None

    def captured_least(self, policy: str) -> float | None:
        """Return the same share of the room below the upper bound, which nobody may reach."""
        room = self.upper - self.static_value
        return (self.values[policy] - self.static_value) / room if room > 0 else None


def headroom(
    scenario: Scenario,
    seed: int,
    names: Iterable[str] | None = None,
    *,
    utility: Utility | None = None,
    bins: int | None = None,
    sighted: bool = False,
) -> Headroom:
    """Run policies, every single point and the optimum's plan on one seed.

    Args:
        scenario: Of one client.
        seed: One of any.
        names: Policies of the scenario; all of them if None.
        utility: What a frame is worth; as the scenario says if None.
        bins: Steps of the backlog for the optimum.
        sighted: Whether to play the plans of shorter sight too.

    Raises:
        TestbedError: The scenario has several clients.
    """
    utility = utility or scenario.spec.utility.weights
    problem = problem_of(scenario, seed, utility)
    best = solve(problem, bins)
    ladder = scenario.clients[0].ladder
    deadline_ns = scenario.spec.deadline_ns

    def worth(of: Scenario, policy: str) -> float:
        frames = simulate(of, policy, seed).frames.to_pandas()
        return total(frames, ladder, utility, deadline_ns)

    def planned(places: Sequence[int]) -> float:
        return worth(with_plan(scenario, places), "planned")

    static = [planned([place]) for place in range(len(ladder))]
    every = scenario.spec.policies
    at = static.index(max(static))
    shorter = {"clairvoyant-mpc": clairvoyant_mpc, "myopic": myopic} if sighted else {}
    return Headroom(
        values={name: worth(scenario, name) for name in (every if names is None else names)},
        static=at,
        static_value=static[at],
        reached=max(planned(best.places), static[at]),
        upper=best.upper,
        frames=problem.frames,
        sighted={name: planned(play(problem).places) for name, play in shorter.items()},
    )


def with_plan(scenario: Scenario, places: Sequence[int]) -> Scenario:
    """Return a scenario whose one policy, `planned`, follows a list."""
    model = spec_model(policies, "planned", PolicySpec)
    plan = model.model_validate({"kind": "planned", "places": tuple(places)})
    spec = scenario.spec.model_copy(update={"policies": {"planned": plan}})
    return dataclasses.replace(scenario, spec=spec)
