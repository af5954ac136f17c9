"""Plans, played exactly: the optimum's, those of shorter sight, and one point for ever."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from testbed.metrics.utility import AGE_CAP, Floats, Ints
from testbed.optimum.problem import Problem
from testbed.optimum.programme import Grid


@dataclass(frozen=True)
class Optimum:
    """The best there is on a problem, as far as it is known.

    Args:
        lower: Value of the plan, exact.
        upper: No policy's value is above it.
        places: The plan: place on the ladder of each frame's point.
    """

    lower: float
    upper: float
    places: tuple[int, ...]


def solve(problem: Problem, bins: int | None = None) -> Optimum:
    """Return a plan and bounds on the best value.

    The plan is the best of those which the values of the grid recommend that are rounded up and
    those that are rounded down, played from exact states. The grid takes the radio to be woken by
    the first frame, so that plans which do wake it then are tried as well.

    Args:
        problem: What to plan for.
        bins: Steps of the backlog; more bring the bounds together.
    """
    plans = []
    upper = math.inf
    for rounding in ("up", "down"):
        grid = Grid(problem, bins, rounding)
        values = grid.values(0, problem.frames, keep=True)
        plans.append(follow(problem, grid, values))
        first = _first(problem, 0)
        if first is not None and plans[-1].places[0] not in first:
            plans.append(follow(problem, grid, values, woken=True))
        if rounding == "down":
            upper = float(values[0][0, 0, 0].max())
    plan = max(plans, key=lambda played: played.value)
    return Optimum(plan.value, upper, plan.places)


def upper_bound(problem: Problem, bins: int | None = None) -> float:
    """Return a value that no policy can exceed."""
    return Grid(problem, bins, "down").best(0, problem.frames)


@dataclass(frozen=True, slots=True)
class Played:
    """A sequence of points and what it is worth."""

    places: tuple[int, ...]
    value: float


@dataclass(slots=True)
class State:
    """Exactly where a client stands before a frame.

    Args:
        reach: Units of the curve up to which everything is spoken for.
        free_ns: When the encoder is free.
        last: Place of the last point; None before the first.
        age: Frames since the last one in time.
        awake_ns: When the radio has woken; None as long as nothing was sent.
    """

    reach: int = 0
    free_ns: int = 0
    last: int | None = None
    age: int = 0
    awake_ns: int | None = None

    def copy(self) -> State:
        """Return another state, equal to this one."""
        return State(self.reach, self.free_ns, self.last, self.age, self.awake_ns)


def play(problem: Problem, decide: Callable[[int, State], int]) -> Played:
    """Play a problem, asking `decide` for the place of each frame's point."""
    state, places, total = State(), [], 0.0
    for frame in range(problem.frames):
        place = decide(frame, state)
        places.append(place)
        total += advance(problem, frame, state, place)
    return Played(tuple(places), total)


def advance(problem: Problem, frame: int, state: State, place: int) -> float:
    """Take one decision, change the state, and return what the frame is worth.

    Of a frame that the encoder's queue dropped before, the decision is of no moment.
    """
    exact = problem.exact
    if state.free_ns > exact.gone_ns[frame]:  # it gave way before anybody could decide about it
        state.age = min(state.age + 1, AGE_CAP)
        return problem.worth.gain(place, False, state.age)
    at = problem.captured_ns[frame]
    begin = max(at, state.free_ns)
    ready = begin + exact.encode_ns[frame][place]
    if exact.skips[place]:
        in_time = False
    elif exact.sends[place]:
        state.free_ns = ready
        if state.awake_ns is None:
            state.awake_ns = ready + problem.waking_ns
        passed = problem.curve.offered(max(ready, state.awake_ns))
        state.reach = max(state.reach, passed) + exact.units[frame][place]
        latest = exact.latest_ns[frame][place]
        in_time = latest >= 0 and state.reach <= problem.curve.offered(latest)
    else:
        state.free_ns = ready
        in_time = ready <= at + problem.deadline_ns
    state.age = 0 if in_time else min(state.age + 1, AGE_CAP)
    worth = problem.worth.gain(place, in_time, state.age) - problem.worth.cost(place, state.last)
    state.last = place
    return worth


def value_of(problem: Problem, places: Sequence[int]) -> float:
    """Return what a sequence of points is worth."""
    return play(problem, lambda frame, _: places[frame]).value


def best_static(problem: Problem) -> Played:
    """Return the best single point in hindsight; of equal ones the smaller payload."""
    each = [[place] * problem.frames for place in range(len(problem.rungs))]
    values = [value_of(problem, places) for places in each]
    best = int(np.argmax(values))
    return Played(tuple(each[best]), values[best])


def follow(
    problem: Problem, grid: Grid, values: Sequence[Floats], *, woken: bool = False
) -> Played:
    """Play, from exact states, the point that the values of a grid recommend for each frame.

    Args:
        problem: What to play.
        grid: Of it.
        values: Of the states before each frame.
        woken: Whether the first frame is sent in any case, which wakes the radio.
    """

    def decide(frame: int, state: State) -> int:
        only = _first(problem, frame) if woken else None
        return _recommended(grid, frame, state, values[frame + 1], only)

    return play(problem, decide)


def clairvoyant_mpc(problem: Problem, horizon: int = 5, bins: int | None = None) -> Played:
    """Play the plan of somebody who knows the channel for `horizon` frames, made anew for each.

    What it lacks of the optimum is owed to planning, what a real policy lacks of it to prediction.
    The first frame is sent in any case where that wakes the radio: whoever looks less far ahead
    than waking takes would never do it.
    """
    grid = Grid(problem, bins, "up")

    def decide(frame: int, state: State) -> int:
        last = min(frame + horizon, problem.frames)
        after = grid.values(frame + 1, last)[0]
        return _recommended(grid, frame, state, after, _first(problem, frame))

    return play(problem, decide)


def myopic(problem: Problem) -> Played:
    """Play what is best for each frame alone, by somebody who knows what will become of it.

    The first frame is sent in any case where that wakes the radio.
    """

    def decide(frame: int, state: State) -> int:
        def worth(place: int) -> float:
            after = state.copy()
            return advance(problem, frame, after, place)

        only = _first(problem, frame)
        return max(range(len(problem.rungs)) if only is None else only.tolist(), key=worth)

    return play(problem, decide)


def _first(problem: Problem, frame: int) -> Ints | None:
    """Return the places that wake the radio with the first frame; None for any place."""
    if frame or not problem.waking_ns or not problem.sends.any():
        return None
    return np.flatnonzero(problem.sends)


def _recommended(
    grid: Grid, frame: int, state: State, after: Floats, only: Ints | None = None
) -> int:
    """Return the place that is best from an exact state, given the value of the states after it.

    Of all places, or of some only.
    """
    problem = grid.problem
    best, chosen = -np.inf, 0
    following = problem.captured_ns[frame + 1] if frame + 1 < problem.frames else None
    for place in range(len(problem.rungs)) if only is None else only.tolist():
        then = state.copy()
        worth = advance(problem, frame, then, place)
        if following is not None:
            backlog, wait = grid.state_of(
                max(then.reach - int(grid.offered[frame + 1]), 0), max(then.free_ns - following, 0)
            )
            last = place if then.last is None else then.last
            worth += float(after[min(then.age, grid.ages - 1), wait, backlog, last])
        if worth > best:
            best, chosen = worth, place
    return chosen
