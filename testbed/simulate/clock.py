"""SimPy's environment with a shorter way for what the pipeline does most: a call at a later time.

Same queue, same order of events (time, priority, counter), and processes, resources and conditions
of SimPy work in it as ever. What is shorter is that a call needs no event object: its entry in the
queue holds the function and what to call it with.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import simpy
from simpy.events import NORMAL


class Clock(simpy.Environment):
    """Virtual time in whole nanoseconds from 0.

    Attributes:
        now: The present.
    """

    now: int = 0  # a plain attribute: it is read ten times a frame
    _queue: list[Any]  # SimPy's entries of four and ours of five

    def __init__(self) -> None:
        super().__init__(initial_time=0)

    def after(self, delay_ns: int, function: Callable[[Any], object], value: Any = None) -> None:
        """Call `function` with `value`, `delay_ns` from now."""
        heappush(self._queue, (self.now + delay_ns, NORMAL, next(self._eid), function, value))

    def run_until(self, end_ns: int) -> None:
        """Process everything before `end_ns`, and make that the present."""
        queue = self._queue
        while queue and queue[0][0] < end_ns:
            entry = heappop(queue)
            self.now = self._now = entry[0]
            if len(entry) == 5:
                entry[3](entry[4])
            else:
                _process(entry[3])
        self.now = self._now = end_ns

    def step(self) -> None:
        """Process the next entry, as `run_until` does; for SimPy's own `run`."""
        if not self._queue:
            raise simpy.core.EmptySchedule
        entry = heappop(self._queue)
        self.now = self._now = entry[0]
        if len(entry) == 5:
            entry[3](entry[4])
        else:
            _process(entry[3])


def _process(event: Any) -> None:
    """Run the callbacks of an event of SimPy's; raise what nobody has caught."""
    callbacks, event.callbacks = event.callbacks, None
    for callback in callbacks:
        callback(event)
    if not event._ok and not hasattr(event, "_defused"):
        raise event._value
