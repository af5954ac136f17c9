"""Accuracy minus the price of queues: backlog, energy, misses, charge, heat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.model import Fate, Mode, Observation, OperatingPoint, Outcome, Rung
from testbed.policies.menu import (
    Energy,
    Menu,
    Miss,
    RadioEnergy,
    Rated,
    Switching,
    energy_j,
)


@dataclass(kw_only=True)
class DriftPlusPenalty(Rated):
    """Maximise V · utility - Q · payload - Z · energy - Y · [expected to miss], term by term.

    Lyapunov drift plus penalty (Neely, "Stochastic network optimization", 2010). Q is the backlog;
    Z and Y are virtual queues, Z ← max(Z + energy - budget, 0) at each frame and Y ← max(Y +
    [missed] - budget, 0) at each frame that ends, so that both budgets hold on average. Utility is
    accuracy less the weights of switching, energy and misses, so the scenario's but for its age;
    with `switching: 0, energy: 0` it is accuracy alone, as in JCAB (Zhang et al., ToN 2022). It is
    in units of the best accuracy, payload and energy in units of the largest on the menu. A larger
    V wins utility, within O(1/V) of the best, for queues of O(V); 10 is our own choice.

    Two terms make it mind the device. `battery_weight` · (1 - state of charge) is added to Z, the
    perturbed queue of energy-harvesting networks (Huang and Neely, MobiHoc 2011); so is
    `heat_weight` times how far the temperature has gone from `cool_c` to `hot_c`, at most 1. Where
    the device reports neither, they are 0.

    State: two queues, the last point. Cost of a decision: one pass over the ladder.
    """

    v: Annotated[float, Field(gt=0, description="V, what utility is worth.")] = 10.0
    switching: Switching = 0.05
    energy: Energy = 0.1
    miss: Miss = 0.0
    energy_budget_j: Annotated[
        float | None, Field(gt=0, description="Energy per frame to keep to; null for none, J.")
    ] = None
    miss_budget: Annotated[
        float, Field(ge=0, le=1, description="Share of the frames that may miss.")
    ] = 0.05
    radio_nj_per_bit: RadioEnergy = 0.0
    battery_weight: Annotated[
        float, Field(ge=0, description="What energy costs more with an empty battery.")
    ] = 0.0
    heat_weight: Annotated[
        float, Field(ge=0, description="What energy costs more at `hot_c` and above.")
    ] = 0.0
    cool_c: Annotated[float, Field(description="Temperature from which heat counts, °C.")] = 60.0
    hot_c: Annotated[float, Field(description="Temperature at which it counts in full, °C.")] = 80.0

    def __post_init__(self) -> None:
        if self.cool_c >= self.hot_c:
            raise ValueError(f"cool_c must be less than hot_c, {self.hot_c:g}, not {self.cool_c:g}")

    def reset(self, rng: np.random.Generator) -> None:
        """Empty the queues."""
        super().reset(rng)
        self._spent = self._missed = 0.0
        self._last: OperatingPoint | None = None
        self._allowed_ns = math.inf

    def arrange(self, menu: Menu) -> None:
        """Work out the units."""
        spent = [energy_j(rung, self.radio_nj_per_bit) for rung in menu.rungs]
        unit = max(spent) or 1.0
        largest = max(rung.payload_bytes for rung in menu.rungs) or 1
        self._bytes_unit = largest
        self._energy = [joules / unit for joules in spent]
        self._place = {rung.point: place for place, rung in enumerate(menu.rungs)}
        self._step = self.switching / max(len(menu.rungs) - 1, 1)
        self._budget = None if self.energy_budget_j is None else self.energy_budget_j / unit

    def price(self, seen: Observation) -> float:
        """Return what energy costs now: Z, and what charge and heat add to it."""
        price = self._spent
        if seen.battery is not None:
            price += self.battery_weight * (1 - seen.battery)
        if seen.temperature_c is not None:
            heat = (seen.temperature_c - self.cool_c) / (self.hot_c - self.cool_c)
            price += self.heat_weight * min(max(heat, 0.0), 1.0)
        return price

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return the point with the highest value; of equal ones the smaller."""
        outlook = self.outlook(seen, bps)
        backlog = seen.backlog_bytes / self._bytes_unit
        v = self.v / (menu.best or 1.0)
        price = v * self.energy + self.price(seen)
        missed = v * self.miss + self._missed
        last = None if self._last is None else self._place[self._last]

        step, unit, energy, rungs = v * self._step, self._bytes_unit, self._energy, menu.rungs

        def value(place: int) -> float:
            rung = rungs[place]
            worth = v * rung.accuracy
            if last is not None:
                worth -= step * abs(place - last)
            worth -= backlog * rung.payload_bytes / unit
            worth -= price * energy[place]
            return worth if outlook.in_time(rung) else worth - missed

        return rungs[max(range(len(rungs)), key=value)]

    def chosen(self, seen: Observation, rung: Rung) -> None:
        """Remember the point, and add what it will spend to the energy queue."""
        self._last = rung.point
        self._allowed_ns = seen.deadline_ns - seen.captured_ns
        if self._budget is not None:
            self._spent = max(
                self._spent + self._energy[self._place[rung.point]] - self._budget, 0.0
            )

    def feedback(self, outcome: Outcome) -> None:
        """Add a miss to its queue, or take an answer off it."""
        super().feedback(outcome)
        late = outcome.latency_ns is None or outcome.latency_ns > self._allowed_ns
        missed = late or outcome.fate is Fate.SKIPPED or outcome.point.mode is Mode.SKIP
        self._missed = max(self._missed + missed - self.miss_budget, 0.0)
