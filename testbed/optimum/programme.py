"""The clairvoyant dynamic programme over backlog, last point and age.

A state is the backlog of the uplink at a capture, in units of its capacity curve; the time until
the encoder is free; the last point; and how long ago a frame was in time. Given the channel, what
follows from a decision is certain, so that the programme is exact but for the grid. Rounded down,
towards less backlog and a free encoder, its value is an upper bound of every policy's; rounded up,
a lower bound of the best one's. A plan read off it is played without any grid.

Facts 1.8: Lindley's recursion for the backlog, as in the oracle of Pensieve (Mao et al., SIGCOMM
2017), whose grid is of time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.utility import AGE_CAP, Floats, Ints
from testbed.optimum.problem import Problem

Rounding = Literal["up", "down"]

BINS = 400
"""Steps of the backlog where it is all there is to a state."""

_FEWER_BINS = 100  # where the encoder or the age counts as well
_WAITS = 16  # steps of the time until the encoder is free, up to the deadline


class Grid:
    """The states of a problem, and the step from one frame's to the next.

    Args:
        problem: What to plan for.
        bins: Steps of the backlog; None for a number that suits the problem.
        rounding: Which way what lies between two steps goes.
    """

    def __init__(self, problem: Problem, bins: int | None, rounding: Rounding) -> None:
        self.problem, self._up = problem, rounding == "up"
        captured = np.array(problem.captured_ns, np.int64)
        curve = problem.curve
        self.offered: Ints = np.array([curve.offered(at) for at in problem.captured_ns], np.int64)
        spans = np.diff(captured, append=captured[-1] + problem.deadline_ns)
        # Without a frame after it the last one has nothing to leave behind.
        self._next = np.append(self.offered[1:], curve.offered(int(captured[-1] + spans[-1])))
        self._after = np.append(captured[1:], captured[-1] + spans[-1])
        slow = bool((problem.encode_ns > spans[:, None]).any())
        waits = _WAITS if slow else 1
        self.ages = AGE_CAP + 1 if problem.utility.age else 1
        if bins is None:
            bins = BINS if waits == self.ages == 1 else _FEWER_BINS
        ends = [curve.offered(at + problem.deadline_ns) for at in problem.captured_ns]
        most = int((np.array(ends, np.int64) - self.offered).max())
        most += 0 if problem.skips.any() else 2 * most + int(problem.units.max())
        self._unit = max(1, -(-most // bins))
        self.backlog: Ints = np.arange(bins + 1, dtype=np.int64) * self._unit
        self._wait_unit = max(1, -(-problem.deadline_ns // max(waits - 1, 1)))
        self.waits: Ints = np.arange(waits, dtype=np.int64) * self._wait_unit
        self.shape = (self.ages, waits, bins + 2, len(problem.rungs))  # the last bin: beyond all
        places = np.arange(len(problem.rungs))
        self._slope = problem.step * places
        self._cheapest = int(problem.price.argmin())

    def bin_of(self, backlog: Ints) -> NDArray[np.intp]:
        """Return the step of the backlog; one past the last for what lies beyond it."""
        if self._up:
            return np.minimum(-(-backlog // self._unit), len(self.backlog)).astype(np.intp)
        return np.minimum(backlog // self._unit, len(self.backlog) - 1).astype(np.intp)

    def wait_of(self, wait_ns: Ints) -> NDArray[np.intp]:
        """Return the step of the time until the encoder is free."""
        steps = -(-wait_ns // self._wait_unit) if self._up else wait_ns // self._wait_unit
        return np.minimum(steps, len(self.waits) - 1).astype(np.intp)

    def state_of(self, backlog: int, wait_ns: int) -> tuple[int, int]:
        """Return the steps of one backlog and one wait, as `bin_of` and `wait_of` would."""
        sign = -1 if self._up else 1
        most = len(self.backlog) - (not self._up)
        steps = sign * (sign * backlog // self._unit)
        waits = sign * (sign * wait_ns // self._wait_unit)
        return min(steps, most), min(waits, len(self.waits) - 1)

    def best(self, first: int, last: int) -> float:
        """Return the value of the frames from `first` up to `last`, begun with nothing waiting."""
        value = self.values(first, last)[0][0, 0, 0]
        return float(value.max())  # before the first frame any last point will do: no switch

    def values(self, first: int, last: int, *, keep: bool = False) -> list[Floats]:
        """Return the value of the states before each frame, from `first` to `last` inclusive.

        Only those before `first`, and the last frame's point free of charge, unless `keep`.
        """
        value = np.zeros(self.shape)
        kept = [value]
        for frame in range(last - 1, first - 1, -1):
            value = self._before(frame, value, last - frame)
            if keep:
                kept.append(value)
        return kept[::-1] if keep else [value]

    def worth(self, frame: int, value: Floats) -> Iterator[Floats]:
        """Yield, for each age, the value of each state and point, a switch not counted.

        Args:
            frame: The frame to decide about.
            value: Of the states before the next one.
        """
        problem = self.problem
        in_time, wait, backlog, unsent = self._step(frame)
        every = np.arange(len(problem.rungs))[None, None, :]
        missed = problem.utility.miss
        gain = np.where(in_time, problem.accuracy - problem.price, -missed - problem.price)
        for age in range(self.ages):
            later = min(age + 1, self.ages - 1)
            late = problem.utility.age * min(age + 1, AGE_CAP) / AGE_CAP
            after = value[0][wait[:, None, :], backlog, every]
            if later:
                aged = value[later][wait[:, None, :], backlog, every] - late
                after = np.where(in_time, after, aged)
            if problem.may_refuse:
                lost = value[later][wait[:, None, :], unsent[:, :, None], every] - late
                after = np.maximum(after, lost - in_time * (problem.accuracy + missed))
            yield gain + after

    def _step(
        self, frame: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Return what follows from each state and point at a frame.

        Whether it is in time, by wait, backlog and point; the next wait, by wait and point; the
        next backlog, by wait, backlog and point; and that without an upload, by wait and backlog.
        """
        problem, curve = self.problem, self.problem.curve
        at, after_ns = problem.captured_ns[frame], int(self._after[frame])
        spent = problem.encode_ns[frame]
        ready = at + self.waits[:, None] + spent[None, :]
        handed = np.maximum(ready, problem.awake_ns)
        distinct, where = np.unique(handed, return_inverse=True)
        passed = np.array([curve.offered(int(t)) for t in distinct], np.int64)[where]
        passed = passed.reshape(ready.shape)
        latest = problem.latest_ns[frame]
        instants, where = np.unique(latest, return_inverse=True)
        limits = np.array([curve.offered(int(t)) if t >= 0 else -1 for t in instants], np.int64)
        reach = self.offered[frame] + self.backlog
        sent = np.maximum(reach[None, :, None], passed[:, None, :]) + problem.units[frame]
        own = (ready <= at + problem.deadline_ns) & ~problem.skips
        in_time = np.where(problem.sends, sent <= limits[where], own[:, None, :])
        busy = np.where(problem.skips, at + self.waits[:, None], ready)
        wait = self.wait_of(np.maximum(busy - after_ns, 0))
        quiet = np.maximum(reach - self._next[frame], 0)
        left = np.where(
            problem.sends, np.maximum(sent - self._next[frame], 0), quiet[None, :, None]
        )
        backlog = self.bin_of(left)
        if self._up:  # a wait beyond the grid is as hopeless as a backlog beyond it
            beyond = (busy - after_ns > self.waits[-1]) & (len(self.waits) > 1)
            backlog = np.where(beyond[:, None, :], len(self.backlog), backlog)
        unsent = np.broadcast_to(self.bin_of(quiet), (len(self.waits), len(reach)))
        return in_time, wait, backlog, unsent

    def _before(self, frame: int, value: Floats, left: int) -> Floats:
        """Return the value of the states before a frame from that of those after it."""
        problem = self.problem
        before = np.empty(self.shape)
        for age, worth in enumerate(self.worth(frame, value)):
            # The best point less the switch to it: places lie on a line, so two sweeps find it.
            rising = np.maximum.accumulate(worth + self._slope, axis=2) - self._slope
            falling = worth - self._slope
            falling = np.maximum.accumulate(falling[:, :, ::-1], axis=2)[:, :, ::-1] + self._slope
            before[age, :, :-1] = np.maximum(rising, falling)
            if len(self.waits) > 1:  # a frame that waits may be dropped before it is decided about
                self._drop(frame, value, age, before)
        # Beyond the grid: the thriftiest point from now on, and every frame late.
        place = np.arange(len(problem.rungs))
        utility = problem.utility
        hopeless = left * (problem.price[self._cheapest] + utility.age + utility.miss)
        before[:, :, -1] = -hopeless - problem.step * np.abs(place - self._cheapest)
        return before

    def _drop(self, frame: int, value: Floats, age: int, before: Floats) -> None:
        problem = self.problem
        free = problem.captured_ns[frame] + self.waits[1:] - int(self._after[frame])
        wait = self.wait_of(np.maximum(free, 0))
        quiet = np.maximum(self.offered[frame] + self.backlog - self._next[frame], 0)
        later = min(age + 1, self.ages - 1)
        late = problem.utility.age * min(age + 1, AGE_CAP) / AGE_CAP + problem.utility.miss
        dropped = value[later][wait[:, None], self.bin_of(quiet)[None, :]] - late
        decided = before[age, 1:, :-1]
        late_to_decide = free + int(self._after[frame]) > problem.gone_ns[frame]
        kept = np.where(late_to_decide[:, None, None], -np.inf, decided)
        before[age, 1:, :-1] = np.maximum(kept, dropped)
