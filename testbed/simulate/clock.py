"""SimPy's environment with a shorter way for what the pipeline does most: a call at a later time.

Same queue, same order of events (time, priority, counter), and processes, resources and conditions
of SimPy work in it as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import simpy
from simpy.events import NORMAL


class Call:
    """The least that can stand in SimPy's queue of events: one function to call, with `value`.

    Args:
        function: Is called with this object.
        value: What it carries.
    """

    __slots__ = ("callbacks", "value")

    _ok = True  # it cannot fail before it is called

    def __init__(self, function: Callable[[Any], object], value: Any) -> None:
        self.callbacks: tuple[Callable[[Any], object], ...] | None = (function,)
        self.value = value


class Clock(simpy.Environment):
    """Virtual time in whole nanoseconds from 0."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)

    _now: int

    @property
    def now(self) -> int:
        """The present, ns."""
        return self._now

    def after(self, delay_ns: int, function: Callable[[Any], object], value: Any = None) -> None:
        """Call `function` with a `Call` that carries `value`, `delay_ns` from now."""
        heappush(
            self._queue,  # type: ignore[misc]  # typed for events; a call will do
            (self._now + delay_ns, NORMAL, next(self._eid), Call(function, value)),
        )

    def run_until(self, end_ns: int) -> None:
        """Process every event before `end_ns`, and make that the present."""
        queue = self._queue
        while queue and queue[0][0] < end_ns:
            event: Any
            self._now, _, _, event = heappop(queue)  # type: ignore[assignment]
            callbacks, event.callbacks = event.callbacks, None
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):
                raise event._value
        self._now = end_ns
