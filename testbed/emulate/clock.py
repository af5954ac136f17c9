"""The wall's time as clients want it: calls at instants, and sockets beside them."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from testbed.model import NS_PER_S

_LONGEST_NS = NS_PER_S
"""A wait ends after this at the latest, for no reason but caution."""


class Line(Protocol):
    """Something to read from and write to, which `select` takes."""

    def fileno(self) -> int:
        """Return the descriptor."""

    @property
    def wants_write(self) -> bool:
        """Whether it waits for room to write."""


class WallClock:
    """Whole nanoseconds since an instant of CLOCK_MONOTONIC, and a loop around `select`.

    `select` and not `epoll`, whose milliseconds would add one to every frame. The present stands
    still during a call, as it does in the simulator, and is read anew before each.

    Attributes:
        now: The present, as of the last call.
        late_ns: How much later than asked for each call came, in their order.
    """

    def __init__(self) -> None:
        self.now = 0
        self.late_ns: list[int] = []
        self._epoch_ns = 0
        self._calls: list[tuple[int, int, Callable[[Any], object], Any]] = []
        self._count = 0
        self._lines: dict[Line, tuple[Callable[[], object], Callable[[], object]]] = {}

    def begin(self, epoch_ns: int) -> None:
        """Make an instant of CLOCK_MONOTONIC time 0; calls asked for until now count from there."""
        self._epoch_ns = epoch_ns

    def ours(self, monotonic_ns: int) -> int:
        """Return an instant of CLOCK_MONOTONIC as time since the epoch."""
        return monotonic_ns - self._epoch_ns

    def theirs(self, our_ns: int) -> int:
        """Return a time since the epoch as an instant of CLOCK_MONOTONIC."""
        return our_ns + self._epoch_ns

    def after(self, delay_ns: int, function: Callable[[Any], object], value: Any = None) -> None:
        """Call `function` with `value`, `delay_ns` from now; equal instants keep their order."""
        self._count += 1
        heappush(self._calls, (self.now + delay_ns, self._count, function, value))

    def watch(
        self, line: Line, readable: Callable[[], object], writable: Callable[[], object]
    ) -> None:
        """Call `readable` when there is something to read, `writable` when wanted and possible."""
        self._lines[line] = (readable, writable)

    def forget(self, line: Line) -> None:
        """Stop watching a line. Call it before the line is closed."""
        self._lines.pop(line, None)

    def run_until(self, end_ns: int) -> None:
        """Do what is due when it is due until `end_ns`, and make that the present."""
        while self._look() < end_ns:
            self._call_due(end_ns)
            next_ns = min(end_ns, self._calls[0][0]) if self._calls else end_ns
            self._wait(min(next_ns - self._look(), _LONGEST_NS))
        self.now = end_ns

    def _look(self) -> int:
        self.now = time.monotonic_ns() - self._epoch_ns
        return self.now

    def _call_due(self, end_ns: int) -> None:
        calls = self._calls
        while calls and calls[0][0] <= self._look() < end_ns:
            due_ns, _, function, value = heappop(calls)
            self.late_ns.append(self.now - due_ns)
            function(value)

    def _wait(self, longest_ns: int) -> None:
        if longest_ns <= 0:
            readable, writable = self._select(0)
        else:
            readable, writable = self._select(longest_ns / NS_PER_S)
        for line in readable:
            if line in self._lines:
                self._look()
                self._lines[line][0]()
        for line in writable:
            if line in self._lines:
                self._look()
                self._lines[line][1]()

    def _select(self, timeout_s: float) -> tuple[list[Line], list[Line]]:
        wanting = [line for line in self._lines if line.wants_write]
        readable, writable, _ = select.select(list(self._lines), wanting, [], timeout_s)
        return readable, writable
