"""What most policies share: a view of the ladder, and what an estimate says about each point."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from testbed.estimators.estimator import Estimator
from testbed.estimators.ewma_pair import EwmaPair
from testbed.model import Ladder, Mode, Observation, OperatingPoint, Outcome, Policy, Rung
from testbed.parts import Nested, UtilityWeight

LTE_NJ_PER_BIT = 438.39
"""α_u of Huang et al. (MobiSys 2012), 438.39 mW per Mbit/s of uplink."""

RadioEnergy = Annotated[
    float, Field(ge=0, description=f"What a bit costs the radio, nJ; LTE: {LTE_NJ_PER_BIT}.")
]


Switching = Annotated[
    float,
    UtilityWeight("switching"),
    Field(ge=0, description="Weight of a switch across the menu; left out, the scenario's."),
]
Energy = Annotated[
    float,
    UtilityWeight("energy"),
    Field(ge=0, description="Weight of the dearest point's energy; left out, the scenario's."),
]
Miss = Annotated[
    float,
    UtilityWeight("miss"),
    Field(ge=0, description="Weight of a frame not in time; left out, the scenario's."),
]


@dataclass(frozen=True, slots=True)
class Menu:
    """The part of a ladder that a policy works on.

    Attributes:
        rungs: Its points, by payload.
        levels: Those that send and are better than every smaller one; all that send if the menu is
            not pruned. Where nothing sends, the one point that is left: local, or else skip.
        best: Accuracy of the best point.
    """

    rungs: tuple[Rung, ...]
    levels: tuple[Rung, ...]
    best: float

    @classmethod
    def of(cls, ladder: Ladder, pruned: bool) -> Menu:
        """Return the menu of a ladder, without its dominated points if `pruned`."""
        rungs = (ladder.pareto if pruned else ladder).rungs
        levels: list[Rung] = []
        for rung in rungs:
            better = not levels or rung.accuracy > levels[-1].accuracy
            if sends(rung) and (better or not pruned):
                levels.append(rung)
        if not levels:
            levels.append(max(rungs, key=lambda rung: rung.point.mode is Mode.LOCAL))
        return cls(rungs, tuple(levels), max(rung.accuracy for rung in rungs))

    @property
    def smallest(self) -> Rung:
        """The least that can be sent."""
        return self.levels[0]


def sends(rung: Rung) -> bool:
    """Return whether a point puts anything on the uplink."""
    return rung.payload_bytes > 0


def energy_j(rung: Rung, radio_nj_per_bit: float) -> float:
    """Return what a frame costs the device above idle, radio included."""
    return rung.encode_j + rung.payload_bytes * 8e-9 * radio_nj_per_bit


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an estimate of goodput says about a frame that is decided now.

    Args:
        byte_ns: Time a byte takes.
        wait_ns: Until the backlog has left.
        fixed_ns: Round trip and the overhead of an upload.
        left_ns: Until the deadline.
    """

    byte_ns: float
    wait_ns: float
    fixed_ns: float
    left_ns: float

    @classmethod
    def of(cls, seen: Observation, bps: float, overhead_ns: float = 0.0) -> Outlook:
        """Return the outlook at a goodput of `bps`."""
        byte_ns = 8e9 / bps
        return cls(
            byte_ns,
            seen.backlog_bytes * byte_ns,
            seen.rtt_ns + overhead_ns,
            seen.deadline_ns - seen.now_ns,
        )

    def answer_ns(self, rung: Rung) -> float:
        """Return the time from now to the answer of a point that is not skip.

        The encoder works while the backlog leaves, so the longer of the two counts.
        """
        if rung.payload_bytes == 0:
            return rung.encode_ns
        ready_ns = rung.encode_ns if rung.encode_ns > self.wait_ns else self.wait_ns
        return ready_ns + rung.payload_bytes * self.byte_ns + self.fixed_ns + rung.decode_ns

    def in_time(self, rung: Rung) -> bool:
        """Return whether an answer is expected, and by the deadline."""
        return rung.point.mode is not Mode.SKIP and self.answer_ns(rung) <= self.left_ns


@dataclass(kw_only=True)
class OnLadder(Policy):
    """A policy that looks at a ladder once and remembers what it saw.

    `menu` may be called at every frame; it works only when the ladder is another one.
    """

    pruned: Annotated[
        bool,
        Field(description="Whether to ignore points that another beats in payload, work and mAP."),
    ] = True

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the ladder."""
        self._ladder: Ladder | None = None

    def menu(self, ladder: Ladder) -> Menu:
        """Return the menu of a ladder."""
        if ladder is not self._ladder:
            self._ladder = ladder
            self._menu = Menu.of(ladder, self.pruned)
            self.arrange(self._menu)
        return self._menu

    def arrange(self, menu: Menu) -> None:
        """Work out what depends on the menu alone."""


@dataclass(kw_only=True)
class Rated(OnLadder):
    """A policy that predicts from an estimate of the goodput.

    Without an estimate the smallest payload goes. So it does after `probe_every` frames without an
    upload, because a link that nobody uses cannot be known (forced sampling: Zhang, Chen and Xu,
    "Autodidactic neurosurgeon", WWW 2021).
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What estimates the goodput.")
    ] = field(default_factory=EwmaPair)
    probe_every: Annotated[
        int, Field(ge=1, description="Frames without an upload after which one is forced.")
    ] = 20

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample."""
        super().reset(rng)
        self.estimator.reset()
        self._silent = 0

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return what `pick` picks, or the smallest payload where the link must be measured."""
        menu = self.menu(ladder)
        bps = self.estimator.bps(seen.now_ns)
        if bps is None or self._silent >= self.probe_every:
            rung = menu.smallest
        else:
            rung = self.pick(seen, menu, bps)
        self._silent = 0 if rung.payload_bytes else self._silent + 1
        self.chosen(seen, rung)
        return rung.point

    @abstractmethod
    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Return a point of the menu, given the goodput to expect."""

    def chosen(self, seen: Observation, rung: Rung) -> None:
        """Note what was chosen, by `pick` or for want of an estimate."""

    def feedback(self, outcome: Outcome) -> None:
        """Take the goodput of an upload that got through."""
        if outcome.busy_ns:
            self.estimator.add(outcome.now_ns, outcome.payload_bytes, outcome.busy_ns)

    def outlook(self, seen: Observation, bps: float) -> Outlook:
        """Return what the estimate says about a frame that is decided now."""
        return Outlook.of(seen, bps, self.estimator.overhead_ns)
