"""Calls and SimPy's own events share one queue and one order."""

from __future__ import annotations

import pytest
import simpy

from testbed.simulate.clock import Clock


@pytest.fixture
def log():
    return []


def both(env, log):
    """Schedule calls and events at the same instants, in turn."""

    def process():
        for step in range(3):
            yield env.timeout(10)
            log.append((env.now, "process", step))

    env.after(10, lambda value: log.append((env.now, "call", value)), "first")
    env.process(process())
    env.after(20, lambda value: log.append((env.now, "call", value)), "second")
    env.timeout(20).callbacks.append(lambda event: log.append((env.now, "event", None)))


EXPECTED = [
    (10, "call", "first"),
    (10, "process", 0),
    (20, "call", "second"),
    (20, "event", None),
    (20, "process", 1),
    (30, "process", 2),
]


def test_equal_times_keep_the_order_in_which_they_were_scheduled(log):
    env = Clock()
    both(env, log)

    env.run_until(100)

    assert log == EXPECTED
    assert env.now == 100


def test_simpys_own_run_gives_the_same(log):
    env = Clock()
    both(env, log)

    env.run()

    assert log == EXPECTED


def test_what_is_due_at_the_end_is_not_processed(log):
    env = Clock()
    env.after(10, log.append, "before")
    env.after(11, log.append, "at the end")

    env.run_until(11)

    assert log == ["before"]


def test_a_call_may_schedule_calls_and_resources_work(log):
    env = Clock()
    desk = simpy.Resource(env)

    def visitor(name):
        with desk.request() as turn:
            yield turn
            yield env.timeout(5)
            log.append((env.now, name))

    env.after(1, lambda _: (env.process(visitor("a")), env.process(visitor("b"))))
    env.run_until(50)

    assert log == [(6, "a"), (11, "b")]


def test_a_failure_that_nobody_catches_stops_the_run():
    env = Clock()

    def broken():
        yield env.timeout(1)
        raise ZeroDivisionError

    env.process(broken())

    with pytest.raises(ZeroDivisionError):
        env.run_until(10)
