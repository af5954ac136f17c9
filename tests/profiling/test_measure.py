"""Timed runs on a clock of the test's own."""

from __future__ import annotations

import gc
import math
import random

import pytest

from testbed.profiling.environment import Environment
from testbed.profiling.measure import Run, Samples, Task, doubts, interleave, mean_w, times


class World:
    """Two tasks of 10 and 20 ns; a change of task costs 3 more, every run waits for 1."""

    def __init__(self):
        self.now = self.waited = 0
        self.log = []
        self.last = None

    def task(self, name, takes):
        def run():
            self.log.append(name)
            self.now += takes + 1 + (3 if self.last != name else 0)
            self.waited += 1
            self.last = name

        return Task(lambda: self.log.append(f"to {name}"), run)

    def time(self, **kwargs):
        tasks = [self.task("a", 10), self.task("b", 20)]
        return interleave(tasks, clock_ns=lambda: self.now, waited=lambda: self.waited, **kwargs)


def test_widths_take_turns_and_each_runs_twice_after_its_warm_up():
    world = World()
    seen = []
    world.time(runs=2, warm_up=1, progress=lambda done, total: seen.append((done, total)))

    turn = ["to a", "a", "a", "to b", "b", "b"]
    assert world.log == ["to a", "a", "to b", "b", *turn, *turn]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_first_run_after_a_change_pays_for_it_and_waiting_is_taken_off():
    a, b = World().time(runs=3, warm_up=1)

    assert (a.times_ns, b.times_ns) == ([10] * 3, [20] * 3)
    assert (a.switch_ns, b.switch_ns) == (3.0, 3.0)
    assert a.cold_ns == 13
    assert a.waited_share == pytest.approx(1 / 11)


def test_waiting_is_not_taken_off_several_threads_which_wait_for_each_other():
    a, _ = World().time(runs=2, warm_up=0, threads=2)

    assert a.times_ns == [11, 11]


def test_no_garbage_is_collected_in_a_run():
    states = []
    interleave([Task(lambda: None, lambda: states.append(gc.isenabled()))], runs=1, warm_up=0)

    assert states == [False, False]
    assert gc.isenabled()


def test_quantiles_and_mean_are_those_of_the_sample():
    found = times(list(range(1, 102)))

    assert (found.mean, found.p50, found.p90, found.p99) == (51, 51, 91, 100)
    assert found.spread == pytest.approx(40 / 51)
    assert found.runs == 101


def test_the_jitter_of_a_lognormal_is_found_again():
    rng = random.Random(1)
    cv = 0.2
    s = math.sqrt(math.log1p(cv * cv))
    sample = [round(1e7 * math.exp(s * rng.gauss(0, 1))) for _ in range(20_000)]

    assert times(sample).jitter_cv == pytest.approx(cv, rel=0.02)


def test_equal_times_have_no_jitter():
    assert times([7, 7, 7]).jitter_cv == 0.0


def test_one_run_has_no_statistics():
    with pytest.raises(ValueError, match="at least two runs, not 1"):
        times([7])


def quiet(load=0.1):
    return Environment(processor="test", virtual=False, cpus=2, load=load)


def sample(*runs):
    return Samples(steady=[Run(*run) for run in runs])


def test_a_quiet_machine_raises_no_doubt():
    assert doubts(quiet(), [sample((100, 0), (101, 0))]) == []


def test_a_busy_machine_makes_no_claim_and_says_why():
    samples = [
        sample((100, 0), (101, 0)),
        sample((100, 50), (100, 50)),
        sample(*[(9, 0)] * 3, (19, 0)),
    ]

    assert doubts(quiet(load=1.5), samples) == [
        "the load was 1.50 on 2 processors before it began",
        "others had the processor for up to 50% of the time",
        "p90 lies up to 78% above p50",
    ]


class Constant:
    name = "constant"

    def begin(self):
        pass

    def end(self):
        return 0.05


def test_mean_power_is_joules_over_the_time_they_took():
    runs = []
    busy = mean_w(Constant(), lambda: runs.append(1), 0.01)
    idle = mean_w(Constant(), None, 0.01)

    assert runs
    assert 0 < idle <= 0.05 / 0.01
    assert 0 < busy <= 0.05 / 0.01
