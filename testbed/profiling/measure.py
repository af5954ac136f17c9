"""Timed runs and what they say: widths in turns, quantiles, jitter, watts, and doubts."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from testbed.profiling.environment import Environment, queued_ns
from testbed.profiling.meters import EnergyMeter

LEAST_RUNS = 50
"""Below this a p99 is not worth its name; `--quick` goes below and says so."""

BUSY_LOAD = 0.25
"""Load of others per processor from which on a machine is busy."""

WIDE_SPREAD = 0.15
"""(p90 − p50) / p50 from which on times are not those of a quiet machine."""

MOST_WAITED = 0.02
"""Share of the time that others had the processor from which on a machine is busy."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """Something to time.

    Args:
        prepare: Makes it ready, such as by switching the width; not timed.
        run: Does it once.
    """

    prepare: Callable[[], None]
    run: Callable[[], object]


class Run(NamedTuple):
    """One timed run.

    Args:
        took_ns: From its beginning to its end.
        waited_ns: How much of that others had a processor it could have used; summed over threads.
    """

    took_ns: int
    waited_ns: int


@dataclass
class Samples:
    """The runs of one task.

    Args:
        one_thread: Whether it computes with one thread.
        cold_ns: Its very first run.
        switched: Runs right after another task's.
        steady: Runs right after a run of its own.
    """

    one_thread: bool = True
    cold_ns: int = 0
    switched: list[Run] = field(default_factory=list)
    steady: list[Run] = field(default_factory=list)

    def alone_ns(self, run: Run) -> int:
        """Return what a run would have taken with nobody else there.

        For one thread what it took less what it waited; what others did to the caches is still in
        that. Several threads wait for each other as well, so for them it is what they took.
        """
        return max(1, run.took_ns - run.waited_ns) if self.one_thread else run.took_ns

    @property
    def times_ns(self) -> list[int]:
        """What the steady runs took, without others as far as that is known."""
        return [self.alone_ns(run) for run in self.steady]

    @property
    def waited_share(self) -> float:
        """Share of the time of the steady runs that others had the processor."""
        took = sum(run.took_ns for run in self.steady)
        return min(1.0, sum(run.waited_ns for run in self.steady) / took)

    @property
    def switch_ns(self) -> float:
        """What a run takes longer after another task's than after its own: median, at least 0."""
        pairs = zip(self.switched, self.steady, strict=True)
        longer = [self.alone_ns(first) - self.alone_ns(then) for first, then in pairs]
        return max(0.0, float(np.median(longer)))


def interleave(
    tasks: Sequence[Task],
    *,
    runs: int,
    warm_up: int,
    threads: int = 1,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    waited: Callable[[], int] | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Samples]:
    """Time all tasks in turns, so that whatever else the machine does hits them alike.

    A turn is two runs: the first pays for the change of task, the second does not.

    Args:
        tasks: What to time.
        runs: Turns that are counted.
        warm_up: Runs of each that are not counted.
        threads: How many each computes with.
        clock_ns: Time that passes.
        waited: How long it has waited for a processor so far; as the system tells if left out.
        progress: Told after each turn of all tasks.
    """
    waited = waited or (idle_ns if threads == 1 else queued_ns)
    found = [Samples(one_thread=threads == 1) for _ in tasks]
    turns = warm_up + runs
    with no_garbage_collection():
        for turn in range(turns):
            for task, samples in zip(tasks, found, strict=True):
                task.prepare()
                first = _timed(task.run, clock_ns, waited)
                samples.cold_ns = samples.cold_ns or samples.alone_ns(first)
                if turn >= warm_up:
                    samples.switched.append(first)
                    samples.steady.append(_timed(task.run, clock_ns, waited))
            progress(turn + 1, turns)
    return found


def _timed(
    run: Callable[[], object], clock_ns: Callable[[], int], waited: Callable[[], int]
) -> Run:
    before = waited()
    began = clock_ns()
    run()
    took = clock_ns() - began
    return Run(took, max(0, waited() - before))


def idle_ns() -> int:
    """Return the time this thread has not been computing, counted from some instant.

    A network on one thread never sleeps, so in a run this is what others had the processor for.
    """
    return time.perf_counter_ns() - time.thread_time_ns()


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep Python from collecting garbage in the middle of a run."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True)
class Times:
    """What a sample of times says, in nanoseconds.

    `jitter_cv` is the coefficient of variation of the lognormal that fits the sample:
    √(exp s² - 1) with s the standard deviation of the logarithms.
    """

    mean: float
    p50: float
    p90: float
    p99: float
    jitter_cv: float
    runs: int

    @property
    def spread(self) -> float:
        """(p90 − p50) / p50."""
        return (self.p90 - self.p50) / self.p50


def times(sample_ns: Sequence[int]) -> Times:
    """Return the statistics of at least two times; quantiles between samples are interpolated."""
    sample = np.asarray(sample_ns, dtype=float)
    if len(sample) < 2:
        raise ValueError(f"statistics need at least two runs, not {len(sample)}")
    p50, p90, p99 = (float(q) for q in np.quantile(sample, [0.5, 0.9, 0.99]))
    s = float(np.std(np.log(sample), ddof=1))
    return Times(float(sample.mean()), p50, p90, p99, math.sqrt(math.expm1(s * s)), len(sample))


def doubts(before: Environment, samples: Sequence[Samples]) -> list[str]:
    """Return why these times are no claim about the machine; nothing if it was quiet.

    Args:
        before: The machine just before, whose load is others'.
        samples: What was measured.
    """
    found = []
    if before.load is not None and before.load > BUSY_LOAD * before.cpus:
        found.append(f"the load was {before.load:.2f} on {before.cpus} processors before it began")
    share = max((s.waited_share for s in samples), default=0.0)
    if share > MOST_WAITED:
        found.append(f"others had the processor for up to {share:.0%} of the time")
    widest = max((times(s.times_ns).spread for s in samples), default=0.0)
    if widest > WIDE_SPREAD:
        found.append(f"p90 lies up to {widest:.0%} above p50")
    return found


def mean_w(meter: EnergyMeter, busy: Callable[[], object] | None, seconds: float) -> float:
    """Return the mean power while something is done again and again; while idle if it is None."""
    meter.begin()
    began = time.perf_counter()
    if busy is None:
        time.sleep(seconds)
    else:
        while time.perf_counter() - began < seconds:
            busy()
    took = time.perf_counter() - began
    return meter.end() / took
