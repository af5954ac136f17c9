"""The wall's clock, with a wall that the test turns."""

from types import SimpleNamespace

import pytest

from testbed.emulate import clock as clock_module
from testbed.emulate.clock import WallClock

MS = 1_000_000
EPOCH = 7_000 * MS


class Line:
    """Something to read, at instants that the test knows."""

    wants_write = False


@pytest.fixture
def wall(monkeypatch):
    """Return a wall: waiting moves it on, `late_ns` too far, or to when a line is ready."""
    wall = SimpleNamespace(now=EPOCH, late_ns=0, ready=[])

    def select(reading, writing, _, timeout_s):
        until = wall.now + round(timeout_s * 1e9) + wall.late_ns
        if wall.ready and wall.ready[0][0] <= until and wall.ready[0][1] in reading:
            at, line = wall.ready.pop(0)
            wall.now = max(wall.now, at)
            return [line], writing, []
        wall.now = until
        return [], writing, []

    monkeypatch.setattr(clock_module.time, "monotonic_ns", lambda: wall.now)
    monkeypatch.setattr(clock_module.select, "select", select)
    return wall


def test_calls_come_in_the_order_of_their_instants_and_equal_ones_in_that_of_their_asking(wall):
    clock, said = WallClock(), []
    for delay, name in ((5, "c"), (2, "a"), (5, "d"), (3, "b")):
        clock.after(delay * MS, lambda name: said.append((name, clock.now)), name)
    clock.begin(EPOCH)

    clock.run_until(10 * MS)

    assert said == [("a", 2 * MS), ("b", 3 * MS), ("c", 5 * MS), ("d", 5 * MS)]
    assert clock.now == 10 * MS
    assert clock.late_ns == [0, 0, 0, 0]


def test_a_late_wall_is_noted_and_the_present_is_what_it_says(wall):
    clock, said = WallClock(), []
    clock.after(2 * MS, lambda _: said.append(clock.now))
    clock.begin(EPOCH)
    wall.late_ns = 70_000

    clock.run_until(10 * MS)

    assert said == [2 * MS + 70_000]
    assert clock.late_ns == [70_000]


def test_what_is_due_after_the_end_is_not_called(wall):
    clock, said = WallClock(), []
    clock.after(10 * MS, said.append, "too late")
    clock.begin(EPOCH)

    clock.run_until(10 * MS)

    assert said == []


def test_a_line_is_read_when_there_is_something_and_may_be_forgotten_meanwhile(wall):
    clock, said, line = WallClock(), [], Line()
    wall.ready = [(EPOCH + 3 * MS, line), (EPOCH + 4 * MS, line)]

    def readable():
        said.append(clock.now)
        clock.forget(line)

    clock.watch(line, readable, lambda: said.append("written"))
    clock.begin(EPOCH)

    clock.run_until(10 * MS)

    assert said == [3 * MS]


def test_instants_of_both_clocks_convert(wall):
    clock = WallClock()
    clock.begin(EPOCH)

    assert clock.ours(EPOCH + 5) == 5
    assert clock.theirs(5) == EPOCH + 5
