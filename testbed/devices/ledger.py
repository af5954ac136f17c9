"""Where a client's joules went: every component in exactly one state at every instant.

The components are the board's idle power, what the encoder adds to it, and the radio. Whatever a
report says about energy is a sum over these spans.
"""

from __future__ import annotations

from typing import NamedTuple

from testbed.devices.radio import Radio
from testbed.model import NS_PER_S

COMPONENTS = ("compute", "radio", "idle")


class Span(NamedTuple):
    """One state of one component: a row of `energy.parquet`."""

    component: str
    state: str
    start_ns: int
    end_ns: int
    power_w: float

    @property
    def energy_j(self) -> float:
        """Power times duration."""
        return self.power_w * (self.end_ns - self.start_ns) / NS_PER_S


class Ledger:
    """Gathers what one client draws, and closes over the whole run.

    Args:
        idle_w: What the board draws throughout.
        radio: The client's radio; None for a client without one.
    """

    __slots__ = ("_busy", "idle_w", "radio")

    def __init__(self, idle_w: float, radio: Radio | None = None) -> None:
        self.idle_w = idle_w
        self.radio = radio
        self._busy: list[tuple[int, int, float]] = []

    def compute(self, start_ns: int, end_ns: int, power_w: float) -> float:
        """Book an encoding that draws `power_w` above idle; return its joules.

        Encodings of one client follow each other. Raise a `ValueError` if this one begins before
        the last has ended, or ends before it begins.
        """
        free_ns = self._busy[-1][1] if self._busy else 0
        if not free_ns <= start_ns <= end_ns:
            raise ValueError(
                f"an encoding from {start_ns} to {end_ns} ns on an encoder busy until {free_ns}"
            )
        self._busy.append((start_ns, end_ns, power_w))
        return power_w * (end_ns - start_ns) / NS_PER_S

    def close(self, end_ns: int) -> list[Span]:
        """Return the spans of every component over [0, `end_ns`], in order, without gap or overlap.

        What goes on beyond the end is cut there.
        """
        spans = [*self._compute_spans(end_ns)]
        if self.radio is not None:
            self.radio.advance(end_ns)
            spans += [
                Span("radio", state, start, end, power_w)
                for start, end, state, power_w in self.radio.spans
            ]
        if end_ns > 0:
            spans.append(Span("idle", "on", 0, end_ns, self.idle_w))
        return spans

    def _compute_spans(self, end_ns: int) -> list[Span]:
        spans: list[Span] = []
        now = 0
        for start, end, power_w in self._busy:
            if start >= end_ns:
                break
            if start > now:
                spans.append(Span("compute", "off", now, start, 0.0))
            now = min(end, end_ns)
            if now > start:
                spans.append(Span("compute", "busy", start, now, power_w))
        if now < end_ns:
            spans.append(Span("compute", "off", now, end_ns, 0.0))
        return spans
