"""Spans of time, and capacity curves put together from the pieces of others."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from testbed.links.capacity import MICROBITS_PER_BYTE, Capacity

_MAX_SPANS = 50_000_000


class Schedule:
    """An endless sequence of spans, each of which has something on; drawn as far as needed.

    Args:
        spans: Endless pairs of length in ns, at least 1, and what is on.
    """

    def __init__(self, spans: Iterator[tuple[int, int]]) -> None:
        self._spans = spans
        self.ends_ns: list[int] = []
        self.on: list[int] = []

    def extend(self) -> None:
        """Draw one span more."""
        length_ns, on = next(self._spans)
        assert length_ns > 0, "a span must last for some time"
        assert len(self.ends_ns) < _MAX_SPANS, "the spans of a schedule are too short"
        self.ends_ns.append((self.ends_ns[-1] if self.ends_ns else 0) + length_ns)
        self.on.append(on)

    def position(self, at_ns: int) -> int:
        """Return the number of the span whose beginning is before `at_ns` and its end not."""
        while not self.ends_ns or self.ends_ns[-1] < at_ns:
            self.extend()
        return bisect_left(self.ends_ns, at_ns)

    def at(self, at_ns: int) -> int:
        """Return what is on at an instant."""
        return self.on[self.position(at_ns)]


class Splice:
    """A capacity curve that follows one of several curves at a time.

    Each of them runs on while another one is followed; what it offers then is lost.

    Args:
        schedule: Which of the curves is on, and when.
        curves: The curves; None offers nothing. Not all may be None.
    """

    units_per_byte = MICROBITS_PER_BYTE

    def __init__(self, schedule: Schedule, curves: Sequence[Capacity | None]) -> None:
        self._schedule = schedule
        self._curves = curves
        self._scales = [
            1 if curve is None else MICROBITS_PER_BYTE // curve.units_per_byte for curve in curves
        ]
        self._before: list[int] = [0]  # offered before each span

    def _start_ns(self, position: int) -> int:
        return self._schedule.ends_ns[position - 1] if position else 0

    def _within(self, position: int, at_ns: int) -> int:
        """Return what a span offers from its beginning to an instant."""
        on = self._schedule.on[position]
        curve = self._curves[on]
        if curve is None:
            return 0
        units = curve.offered(at_ns) - curve.offered(self._start_ns(position))
        return units * self._scales[on]

    def _add_up(self, position: int) -> None:
        """Make sure that what is offered before a span is known."""
        while len(self._before) <= position:
            last = len(self._before) - 1
            self._before.append(
                self._before[last] + self._within(last, self._schedule.ends_ns[last])
            )

    def offered(self, at_ns: int) -> int:
        """Return microbits offered by `at_ns`."""
        if at_ns <= 0:
            return 0
        position = self._schedule.position(at_ns)
        self._add_up(position)
        return self._before[position] + self._within(position, at_ns)

    def when(self, units: int) -> int:
        """Return the instant by which `units` microbits have been offered."""
        schedule, before = self._schedule, self._before
        while before[-1] < units:
            if len(before) > len(schedule.ends_ns):
                schedule.extend()
            self._add_up(len(before))
        position = bisect_left(before, units) - 1
        on = schedule.on[position]
        curve = self._curves[on]
        assert curve is not None, "a span that offers nothing cannot be where something is reached"
        needed = -(-(units - before[position]) // self._scales[on])
        return curve.when(curve.offered(self._start_ns(position)) + needed)
