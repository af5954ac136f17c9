"""Where a client's joules went: every component in exactly one state at every instant.

The components are the board's idle power, what the encoder adds to it, and the radio. Whatever a
report says about energy is a sum over these spans.
"""

from __future__ import annotations

from typing import NamedTuple

from testbed.devices.radio import Radio
from testbed.model import NS_PER_S

COMPONENTS = ("compute", "radio", "idle")
OFF = "off"


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
        waiting_w: What a loaded runtime adds to that while no encoding runs.
    """

    __slots__ = ("_booked_j", "_busy", "_off_ns", "idle_w", "radio", "waiting_w")

    def __init__(self, idle_w: float, radio: Radio | None = None, waiting_w: float = 0.0) -> None:
        self.idle_w = idle_w
        self.radio = radio
        self.waiting_w = waiting_w
        self._busy: list[tuple[int, int, float]] = []
        self._booked_j = 0.0  # encodings, above waiting
        self._off_ns: int | None = None

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
        self._booked_j += (power_w - self.waiting_w) * (end_ns - start_ns) / NS_PER_S
        return power_w * (end_ns - start_ns) / NS_PER_S

    def stop(self, now_ns: int) -> None:
        """Switch everything off at `now_ns`, as an empty battery does."""
        self._off_ns = now_ns

    def joules_by(self, now_ns: int) -> float:
        """Return what the client has drawn up to `now_ns`, not before the last encoding began.

        Settles the radio up to there: exact, unless the radio holds a transfer of unknown end.
        """
        ahead_j = 0.0
        if self._busy:
            _, end, power_w = self._busy[-1]
            ahead_j = (power_w - self.waiting_w) * max(0, end - now_ns) / NS_PER_S
        radio_j = self.radio.joules_by(now_ns) if self.radio else 0.0
        steady_j = (self.idle_w + self.waiting_w) * now_ns / NS_PER_S
        return steady_j + self._booked_j - ahead_j + radio_j

    def close(self, end_ns: int) -> list[Span]:
        """Return the spans of every component over [0, `end_ns`], in order, without gap or overlap.

        What goes on beyond the end is cut there; from `stop` on, everything is off.
        """
        on_ns = end_ns if self._off_ns is None else min(self._off_ns, end_ns)
        spans = self._compute_spans(on_ns)
        _off(spans, "compute", on_ns, end_ns)
        if self.radio is not None:
            self.radio.finish(max(on_ns, self.radio.now_ns))
            spans += [
                Span("radio", state, start, min(end, on_ns), power_w)
                for start, end, state, power_w in self.radio.spans
                if start < on_ns
            ]
            _off(spans, "radio", on_ns, end_ns)
        if on_ns > 0:
            spans.append(Span("idle", "on", 0, on_ns, self.idle_w))
        _off(spans, "idle", on_ns, end_ns)
        return spans

    def _compute_spans(self, on_ns: int) -> list[Span]:
        spans: list[Span] = []
        rest = ("compute", "waiting" if self.waiting_w else OFF)
        now = 0
        for start, end, power_w in self._busy:
            if start >= on_ns:
                break
            if start > now:
                spans.append(Span(*rest, now, start, self.waiting_w))
            now = min(end, on_ns)
            if now > start:
                spans.append(Span("compute", "busy", start, now, power_w))
        if now < on_ns:
            spans.append(Span(*rest, now, on_ns, self.waiting_w))
        return spans


def _off(spans: list[Span], component: str, start_ns: int, end_ns: int) -> None:
    if start_ns < end_ns:
        last = spans[-1] if spans else None
        if last and last[:2] == (component, OFF):
            spans[-1] = last._replace(end_ns=end_ns)
        else:
            spans.append(Span(component, OFF, start_ns, end_ns, 0.0))
