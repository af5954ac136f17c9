"""An option of another policy, tuned to the state that the link is in."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import goodput_bps
from testbed.model import Fate, Ladder, Mode, Observation, OperatingPoint, Outcome, Policy
from testbed.parts import Nested
from testbed.policies.goodput import Goodput
from testbed.streams import stream

_RECENT = 5  # uploads that a change has to show in
_FRAMES = 150  # of a trial
_DOUBT = 4.0  # standard errors that the mean must move by

State = tuple[int, int]
"""Half octaves of the mean goodput, tenths of its coefficient of variation."""


@dataclass(kw_only=True)
class Oboe(Policy):
    """Give an option of another policy the value that is best for the link as it is.

    Oboe (Akhtar et al., SIGCOMM 2018). A link is taken to be stationary between changes, with a
    mean and a deviation; for each such state the best value of the option is found by simulation,
    and looked up when the state is met. A change is seen where the mean logarithm of the last 5
    uploads has moved by more than 4 standard errors from that of those before it (the original:
    Bayesian change points). The simulation is a small one, 150 frames over independent lognormal
    rates for each value, made when a state is met for the first time, and remembered.

    State: uploads since the last change, the best value for each state met, a copy of the policy
    for each value. Cost of a decision: that of the policy; of a state met for the first time, 150
    decisions for each value.
    """

    policy: Annotated[Policy, Nested("policy"), Field(description="The policy to tune.")] = field(
        default_factory=Goodput
    )
    option: Annotated[str, Field(description="Its option, a number.")] = "safety"
    values: Annotated[
        tuple[float, ...], Field(min_length=1, description="What to choose from.")
    ] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        names = [f.name for f in dataclasses.fields(self.policy)]  # type: ignore[arg-type]
        if self.option not in names:
            raise ValueError(
                f"option '{self.option}' is none of the policy's; it has {', '.join(names)}"
            )

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if the other policy does."""
        self.policy.check(ladder)

    def _variant(self, value: float) -> Policy:
        variant = copy.deepcopy(self.policy)
        setattr(variant, self.option, value)
        return variant

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample and every state."""
        self._variants = [self._variant(value) for value in self.values]
        for variant in self._variants:
            variant.reset(rng)
        self._now = len(self.values) // 2
        self._logs: list[float] = []
        self._best: dict[State, int] = {}
        self._ladder: Ladder | None = None

    @property
    def value(self) -> float:
        """The value in use."""
        return self.values[self._now]

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return what the policy chooses with the value of the present state."""
        if ladder is not self._ladder:
            self._ladder = ladder
            self._best.clear()
        if len(self._logs) >= 2 * _RECENT:
            mean, deviation = float(np.mean(self._logs)), float(np.std(self._logs))
            state = (round(2 * mean / math.log(2)), min(round(10 * deviation), 20))
            if state not in self._best:
                self._best[state] = self._tune(state, seen, ladder)
            self._now = self._best[state]
        return self._variants[self._now].choose(seen, ladder)

    def feedback(self, outcome: Outcome) -> None:
        """Take an upload, look for a change, and tell every copy of the policy."""
        if outcome.busy_ns:
            self._logs.append(math.log(goodput_bps(outcome.payload_bytes, outcome.busy_ns)))
            before, recent = self._logs[:-_RECENT], self._logs[-_RECENT:]
            if len(before) >= _RECENT:
                spread = max(float(np.std(before)), 0.02) / math.sqrt(_RECENT)
                if abs(float(np.mean(recent)) - float(np.mean(before))) > _DOUBT * spread:
                    self._logs = recent
            del self._logs[:-200]
        for variant in self._variants:
            variant.feedback(outcome)

    def _tune(self, state: State, seen: Observation, ladder: Ladder) -> int:
        """Return the place of the value that is best in a state; of equal ones the first."""
        mean, deviation = 2 ** (state[0] / 2), state[1] / 10
        rates = mean * stream(0, "oboe", f"{state}").lognormal(0, deviation, _FRAMES)
        scores = [
            _trial(self._variant(value), rates.tolist(), seen, ladder) for value in self.values
        ]
        return scores.index(max(scores))


def _trial(policy: Policy, rates: list[float], like: Observation, ladder: Ladder) -> float:
    """Return the sum of the accuracy that is in time over frames that meet one rate each.

    A queue for the uplink; news of a frame is there before the next frame that is captured after.
    """
    policy.reset(stream(0, "oboe", "policy"))
    period, allowed = like.period_ns, like.deadline_ns - like.captured_ns
    free, total = 0, 0.0
    under_way: list[tuple[int, Outcome, int]] = []
    for frame, bps in enumerate(rates):
        now = frame * period
        while under_way and under_way[0][0] <= now:
            policy.feedback(under_way.pop(0)[1])
        wait = max(free - now, 0)
        oldest = under_way[0][2] if under_way else None
        point = policy.choose(
            Observation(
                now,
                frame,
                now,
                now + allowed,
                period,
                round(wait * bps / 8e9),
                0,
                len(under_way),
                oldest,
                like.rtt_ns,
            ),
            ladder,
        )
        rung = ladder.at(point)
        if point.mode is Mode.SKIP:
            policy.feedback(Outcome(now, frame, point, Fate.SKIPPED, 0, None, None))
            continue
        busy = None
        answered = now + rung.encode_ns
        if rung.payload_bytes:
            start = max(answered, free)
            busy = max(1, round(rung.payload_bytes * 8e9 / bps))
            free = start + busy
            answered = free + like.rtt_ns + rung.decode_ns
        in_time = answered - now <= allowed
        total += rung.accuracy * in_time
        fate = Fate.ON_TIME if in_time else Fate.LATE
        news = Outcome(answered, frame, point, fate, rung.payload_bytes, busy, answered - now)
        under_way.append((answered, news, now))
        under_way.sort(key=lambda entry: (entry[0], entry[2]))
    return total
