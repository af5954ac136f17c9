"""What a radio file may say: one class per mapping, one field per key."""

# ruff: noqa: RUF009 - number, pair, part and their kin are dataclasses.field under another name

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.devices.figures import Figure, Sheet, number, pair, part, parts, text

Number = Figure[float]
Pair = Figure[tuple[float, float]]


@dataclass(frozen=True)
class DirectionSheet(Sheet):
    """Power of a connected radio in one direction: `alpha · rate + beta`, up to a cap."""

    alpha_w_per_mbps: Number = number()
    beta_w: Number = number(positive=True)
    cap_w: Number | None = number(positive=True, optional=True)
    valid_mbps: Pair | None = pair(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """A cap below the base would hide the base."""
        if self.cap_w is not None and self.cap_w.value < self.beta_w.value:
            yield "cap_w", f"below beta_w ({self.beta_w.value:g})"


@dataclass(frozen=True)
class StepSheet(Sheet):
    """A state the radio passes through, such as the promotion."""

    duration_s: Number = number(positive=True)
    power_w: Number = number()


@dataclass(frozen=True)
class PhaseSheet(Sheet):
    """A state after the last byte: how long it lasts and what it draws.

    With `cycle_s` the radio listens discontinuously: data for the device waits for the next
    on-duration. With `on_w` the on-duration draws more, and the phase its mean over a cycle.
    """

    state: str = text()
    duration_s: Number = number(positive=True)
    power_w: Number = number()
    cycle_s: Number | None = number(positive=True, optional=True)
    on_s: Number | None = number(optional=True)
    on_w: Number | None = number(optional=True)
    resume_s: Number | None = number(optional=True)

    @property
    def mean_w(self) -> float:
        """Mean power over whole cycles."""
        if self.cycle_s is None or self.on_s is None or self.on_w is None:
            return self.power_w.value
        share = self.on_s.value / self.cycle_s.value
        return share * self.on_w.value + (1 - share) * self.power_w.value

    def check(self) -> Iterator[tuple[str, str]]:
        """On-durations need a cycle they fit in."""
        if self.cycle_s is None:
            for key in ("on_s", "on_w"):
                if getattr(self, key) is not None:
                    yield key, "needs cycle_s"
        elif self.on_s is not None and self.on_s.value > self.cycle_s.value:
            yield "on_s", f"longer than the cycle ({self.cycle_s.value:g} s)"
        if self.on_w is not None and self.on_s is None:
            yield "on_w", "needs on_s"


@dataclass(frozen=True)
class IdleSheet(Sheet):
    """The radio without a connection: a floor, and pages it listens for."""

    floor_w: Number = number()
    cycle_s: Number | None = number(positive=True, optional=True)
    page_s: Number | None = number(optional=True)
    page_w: Number | None = number(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """Paging power needs a duration, and that a cycle it fits in."""
        if (self.page_s is None) != (self.page_w is None):
            yield "page_s" if self.page_w is None else "page_w", "needs both page_s and page_w"
        if self.page_s is not None:
            if self.cycle_s is None:
                yield "page_s", "needs cycle_s"
            elif self.page_s.value > self.cycle_s.value:
                yield "page_s", f"longer than the cycle ({self.cycle_s.value:g} s)"


_TAKEN = ("idle", "promotion", "switch", "resume", "connected")


@dataclass(frozen=True)
class RadioSheet(Sheet):
    """`devices/radios/*.yaml`: states of a radio, what they draw, how they follow each other.

    idle → promotion → connected → the phases of the tail, in order → idle.
    """

    title: str = text()
    technology: str = text()
    up: DirectionSheet = part(DirectionSheet)
    down: DirectionSheet = part(DirectionSheet)
    idle: IdleSheet = part(IdleSheet)
    promotion: StepSheet | None = part(StepSheet, optional=True)
    switch: StepSheet | None = part(StepSheet, optional=True)
    tail: tuple[PhaseSheet, ...] = parts(PhaseSheet)
    rtt_s: Number | None = number(positive=True, optional=True)
    notes: str = text(optional=True)

    def check(self) -> Iterator[tuple[str, str]]:
        """States have names of their own, and none after the last byte outdraws sending.

        Otherwise a longer transfer would cost less than a shorter one, which in practice is a
        slip of units.
        """
        base_w = min(self.up.beta_w.value, self.down.beta_w.value)
        seen = set(_TAKEN)
        for phase in self.tail:
            if phase.state in seen:
                yield "tail", f"state '{phase.state}' stands twice or is the radio's own"
            seen.add(phase.state)
            if phase.mean_w > base_w:
                drawn = f"'{phase.state}' draws {phase.mean_w:g} W"
                yield "tail", f"{drawn}, more than the connected base of {base_w:g} W"
        if self.idle.floor_w.value > base_w:
            yield "idle", f"draws more than the connected base of {base_w:g} W"
