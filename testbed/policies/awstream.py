"""Rate matching when the queue builds up, probing when it is empty."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.ewma import Ewma
from testbed.model import Observation, Rung
from testbed.parts import Nested
from testbed.policies.menu import Menu, Rated


class State(Enum):
    """Where the machine is."""

    STARTUP = auto()
    STEADY = auto()
    PROBE = auto()


@dataclass(kw_only=True)
class AwStream(Rated):
    """Fall to what the link delivers when the queue builds up, rise only after a probe succeeds.

    AWStream (Zhang et al., SIGCOMM 2018), decided at each frame instead of every 100 ms. The queue
    is congested while what waits would take more than `congested_ms` at the delivery rate R.

    - Congested: the highest level whose rate is below α · R, then steady. At start-up the first
      `tolerance` congested frames are forgiven.
    - Start-up: a level up at each frame without congestion.
    - Steady: after `quiet_frames` frames without congestion, probe.
    - Probe: the next level for `probe_frames` frames. Congestion ends it as above; without any the
      level is kept. The original sends 5 % more than the next level needs beside the stream; a
      policy has only its frames to probe with.

    α = 0.9, R smoothed by 0.5, 1 ms, 3 forgiven signals and 20 quiet intervals are those of the
    authors' runtime. Levels are the points that send and are better than every smaller one.

    State: the state, the level, two counters. Cost of a decision: one pass over the levels.
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the delivery rate.")
    ] = field(default_factory=lambda: Ewma(gain=0.5))
    share: Annotated[float, Field(gt=0, le=1, description="α, share of R to use.")] = 0.9
    congested_ms: Annotated[
        float, Field(ge=0, description="Queueing delay above which the link is congested, ms.")
    ] = 1.0
    tolerance: Annotated[int, Field(ge=0, description="Signals forgiven at start-up.")] = 3
    quiet_frames: Annotated[
        int, Field(ge=1, description="Frames without congestion before a probe.")
    ] = 20
    probe_frames: Annotated[int, Field(ge=1, description="Frames that a probe lasts.")] = 5

    def reset(self, rng: np.random.Generator) -> None:
        """Start up from the lowest level."""
        super().reset(rng)
        self._state = State.STARTUP
        self._level = self._quiet = self._signals = 0

    @property
    def state(self) -> State:
        """Where the machine is."""
        return self._state

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Take one step of the machine and return its level."""
        top = len(menu.levels) - 1
        if seen.backlog_bytes * 8e3 / bps > self.congested_ms:
            self._congested(seen, menu, bps)
        elif self._state is State.STARTUP:
            self._level = min(self._level + 1, top)
            if self._level == top:
                self._enter(State.STEADY)
        else:
            self._quiet += 1
            if self._state is State.PROBE:
                if self._quiet > self.probe_frames:
                    self._level += 1
                    self._enter(State.STEADY)
            elif self._quiet > self.quiet_frames and self._level < top:
                self._enter(State.PROBE)
                self._quiet = 1
        probing = self._state is State.PROBE
        return menu.levels[self._level + 1 if probing else self._level]

    def _enter(self, state: State) -> None:
        self._state = state
        self._quiet = 0

    def _congested(self, seen: Observation, menu: Menu, bps: float) -> None:
        if self._state is State.STARTUP and self._signals < self.tolerance:
            self._signals += 1
            return
        limit_bytes = self.share * bps * seen.period_ns / 8e9
        below = [i for i, rung in enumerate(menu.levels) if rung.payload_bytes < limit_bytes]
        self._level = min(max(below, default=0), self._level)
        self._enter(State.STEADY)
