"""All measurements of a profile: several detectors, sizes of picture and widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.profiling import environment, networks
from testbed.profiling.environment import Environment
from testbed.profiling.measure import (
    LEAST_RUNS,
    Progress,
    Samples,
    Times,
    doubts,
    interleave,
    mean_w,
    times,
)
from testbed.profiling.meters import EnergyMeter
from testbed.profiling.networks import Part

FLOOR_SIDE = 128
"""The smallest picture of every network, on which the least time of a decoder is measured."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure.

    Args:
        groups: Name of the network, side of the picture, widths.
        part: Which half.
        threads: Threads to compute with.
        runs: Of each width.
        warm_up: Runs before those.
        window_s: How long power is averaged for.
    """

    groups: tuple[tuple[str, int, tuple[float, ...]], ...]
    part: Part = "encoder"
    threads: int = 1
    runs: int = LEAST_RUNS
    warm_up: int = 20
    window_s: float = 5.0

    @property
    def is_quick(self) -> bool:
        """Whether there are too few runs for a p99."""
        return self.runs < LEAST_RUNS


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was measured of one part of a network at one width."""

    detector: str
    side: int
    width: float
    mac: int
    times: Times
    waited_share: float
    switch_ns: float
    peak_bytes: int | None
    active_w: float | None

    @property
    def gmac_per_s(self) -> float:
        """Effective rate: 10⁹ multiply-accumulates per second."""
        return self.mac / self.times.mean


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything measured in one go.

    Args:
        request: What was asked for.
        engine: What ran the networks.
        before, after: The machine.
        points: In the order asked for.
        yardstick: Of the matrix product that was timed in turns with the networks.
        first_ns: The longest first run of a network.
        floor: Of the decoder on the smallest picture; None for an encoder.
        idle_w: None without a meter.
        meter: Why these watts, or why none.
        doubts: Why these times are no claim about the machine.
    """

    request: Request
    engine: str
    before: Environment
    after: Environment
    points: tuple[Point, ...]
    yardstick: Times
    first_ns: int
    floor: Times | None
    idle_w: float | None
    meter: str
    doubts: tuple[str, ...]


def take(
    request: Request,
    meter: EnergyMeter | None = None,
    why: str = "no meter was asked for",
    progress: Progress = lambda done, total: None,
) -> Measurement:
    """Measure everything asked for.

    Args:
        request: What to measure.
        meter: Of energy, if there is one.
        why: Which meter this is, or why there is none.
        progress: Told how far it is.
    """
    before = environment.read()
    idle_w = mean_w(meter, None, request.window_s) if meter else None
    points: list[Point] = []
    everything: list[Samples] = []
    yardsticks: list[int] = []
    firsts: list[int] = []
    floor = None
    steps = len(request.groups)
    with networks.threads(request.threads):
        for index, (name, side, widths) in enumerate(request.groups):

            def step(done: int, total: int, index: int = index) -> None:
                progress(index * total + done, steps * total)

            found = networks.subjects(name, side, widths, request.part)
            tasks = [subject.task for subject in found]
            *samples, stick = interleave(
                [*tasks, networks.yardstick()],
                runs=request.runs,
                warm_up=request.warm_up,
                threads=request.threads,
                progress=step,
            )
            everything += samples
            yardsticks += stick.times_ns
            firsts.append(samples[0].cold_ns)
            for subject, sample in zip(found, samples, strict=True):
                subject.task.prepare()
                points.append(
                    Point(
                        detector=name,
                        side=side,
                        width=subject.width,
                        mac=subject.mac,
                        times=times(sample.times_ns),
                        waited_share=sample.waited_share,
                        switch_ns=sample.switch_ns,
                        peak_bytes=networks.peak_bytes(subject.task),
                        active_w=mean_w(meter, subject.task.run, request.window_s)
                        if meter
                        else None,
                    )
                )
        if request.part == "decoder":
            floor = _floor(request)
    return Measurement(
        request=request,
        engine=networks.engine(),
        before=before,
        after=environment.read(),
        points=tuple(points),
        yardstick=times(yardsticks),
        first_ns=max(firsts),
        floor=floor,
        idle_w=idle_w,
        meter=why,
        doubts=tuple(doubts(before, everything)),
    )


def _floor(request: Request) -> Times:
    name, _, widths = request.groups[0]
    [subject] = networks.subjects(name, FLOOR_SIDE, widths[:1], request.part)
    [sample] = interleave(
        [subject.task], runs=request.runs, warm_up=request.warm_up, threads=request.threads
    )
    return times(sample.times_ns)


def groups(
    names: Sequence[str], sides: Sequence[int] | None, widths: Sequence[float] | None
) -> tuple[tuple[str, int, tuple[float, ...]], ...]:
    """Return every network at every size of picture; at its own where none is given.

    Raise `UnknownName` for a network, a `TestbedError` for a width it does not have.
    """
    from testbed.detectors.configurations import find

    found = []
    for given in names:
        name = networks.config_name(given)
        for side in sides or [find(name).side]:
            found.append((name, side, networks.widths_of(name, widths)))
    return tuple(found)
