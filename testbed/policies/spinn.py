"""Constraints in order of importance, on a profile that is corrected on line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from testbed.model import Mode, Observation, Outcome, Rung
from testbed.policies.menu import LTE_NJ_PER_BIT, Menu, Outlook, RadioEnergy, Rated, energy_j

Constraint = Literal["deadline", "accuracy", "energy"]


@dataclass(kw_only=True)
class Spinn(Rated):
    """Meet as many constraints as can be met, in order; among what is left, the best.

    SPINN (Laskaridis et al., MobiCom 2020) schedules under hard constraints and soft targets. While
    no point meets all constraints, the last one is dropped. Of the points that meet the others the
    most accurate goes, or the one of least latency or energy. What the profile and the round trip
    promise is scaled by an exponentially weighted mean of measured over predicted time, upload
    excluded, with the gain of 0.2. Running the whole network on the device, where the ladder allows
    it, has the part of its early exit.

    State: one factor, and when each frame was decided. Cost of a decision: one pass over the ladder
    for each constraint.
    """

    constraints: Annotated[
        tuple[Constraint, ...], Field(description="In order; the last is the first to go.")
    ] = ("deadline", "accuracy", "energy")
    target: Annotated[
        Literal["accuracy", "latency", "energy"], Field(description="What decides among the rest.")
    ] = "accuracy"
    min_accuracy: Annotated[
        float, Field(ge=0, le=1, description="mAP that the constraint `accuracy` asks for.")
    ] = 0.0
    max_energy_j: Annotated[
        float | None,
        Field(gt=0, description="Energy per frame that `energy` allows; null for any, J."),
    ] = None
    gain: Annotated[float, Field(ge=0, le=1, description="Gain of the correction.")] = 0.2
    radio_nj_per_bit: RadioEnergy = LTE_NJ_PER_BIT

    def reset(self, rng: np.random.Generator) -> None:
        """Trust the profile again."""
        super().reset(rng)
        self._factor = 1.0
        self._promised: dict[int, tuple[int, float]] = {}

    def arrange(self, menu: Menu) -> None:
        """Work out what does not depend on the link, by place on the menu."""
        rungs = menu.rungs
        self._energy = [energy_j(rung, self.radio_nj_per_bit) for rung in rungs]
        self._running = [i for i, r in enumerate(rungs) if r.point.mode is not Mode.SKIP]

    def _rest_ns(self, rung: Rung, outlook: Outlook) -> float:
        """Return the uncorrected time from now to the answer, without that of the upload."""
        if not rung.payload_bytes:
            return rung.encode_ns
        return max(rung.encode_ns, outlook.wait_ns) + outlook.fixed_ns + rung.decode_ns

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the target's best of the points that meet what can be met."""
        outlook, rungs, energy = self.outlook(seen, bps), menu.rungs, self._energy
        takes = [
            self._factor * self._rest_ns(rung, outlook) + rung.payload_bytes * outlook.byte_ns
            for rung in rungs
        ]
        left, hopeless = self._running, False
        for constraint in self.constraints:
            if constraint == "deadline":
                met = [i for i in left if takes[i] <= outlook.left_ns]
            elif constraint == "accuracy":
                met = [i for i in left if rungs[i].accuracy >= self.min_accuracy]
            else:
                most = self.max_energy_j
                met = left if most is None else [i for i in left if energy[i] <= most]
            if not met:  # this constraint and all after it go
                hopeless = "deadline" in self.constraints[self.constraints.index(constraint) :]
                break
            left = met
        if hopeless or not left:
            chosen = menu.smallest  # nothing is in time: keep the queue short
        elif self.target == "accuracy":
            chosen = rungs[max(left, key=lambda i: rungs[i].accuracy)]
        elif self.target == "latency":
            chosen = rungs[min(left, key=takes.__getitem__)]
        else:
            chosen = rungs[min(left, key=energy.__getitem__)]
        self._promised[seen.frame] = (seen.now_ns, self._rest_ns(chosen, outlook))
        return chosen

    def feedback(self, outcome: Outcome) -> None:
        """Compare what a frame took with what was promised."""
        super().feedback(outcome)
        now_ns, promised_ns = self._promised.pop(outcome.frame, (0, 0.0))
        if outcome.latency_ns is not None and promised_ns > 0:
            took_ns = outcome.now_ns - now_ns - (outcome.busy_ns or 0)
            if took_ns > 0:
                self._factor += self.gain * (took_ns / promised_ns - self._factor)
