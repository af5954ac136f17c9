"""What a client meets on a seed, with nothing hidden: frames, deadlines, the channel to come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbed.clients.film import Film, film_of
from testbed.devices.radio import Radio
from testbed.errors import TestbedError
from testbed.links import links
from testbed.links.capacity import Capacity
from testbed.links.link import Link, Medium
from testbed.metrics.utility import Floats, Ints, Utility, Worth
from testbed.model import NS_PER_S, Mode, Rung
from testbed.parts import make
from testbed.scenario import LinkSpec, Scenario
from testbed.scenario.channels import CELL
from testbed.streams import stream

_NEVER = 2**62


class Exact(NamedTuple):
    """Columns of a problem, by frame, or by frame and rung, or by rung."""

    gone_ns: list[int]
    encode_ns: list[list[int]]
    latest_ns: list[list[int]]
    units: list[list[int]]
    sends: list[bool]
    skips: list[bool]


@dataclass(frozen=True)
class Problem:
    """The decisions of one client on one seed, and all that follows from them.

    Frames are encoded in order, one at a time, and sent first in, first out. What the server, the
    answers of other frames and a radio that fell asleep again may add in waiting is left out, and
    so is what a link may lose, so that the best value is an upper bound of what any policy can
    reach in the simulator.

    Args:
        rungs: The ladder, cheapest payload first.
        captured_ns: When each frame is captured; increasing.
        encode_ns: Of shape (frames, rungs): time on the device.
        latest_ns: Of the same shape: last instant at which an upload may end and its answer be in
            time; -1 for never.
        deadline_ns: From capture to answer.
        curve: What the uplink offers.
        utility: What a frame is worth; `testbed.metrics.utility`.
        may_refuse: Whether a payload may be lost without using the link, as a full queue does it.
        awake_ns: When the radio can send at the earliest, having slept at first.
        waking_ns: How long the first upload waits for it.
        payload_bytes: Of shape (frames, rungs): what each point sends of each frame, where that
            depends on the frame; None where every frame sends what the rungs say.
        queue_limit: Most frames that wait for the encoder, the oldest giving way; None for any.
    """

    rungs: tuple[Rung, ...]
    captured_ns: tuple[int, ...]
    encode_ns: Ints
    latest_ns: Ints
    deadline_ns: int
    curve: Capacity
    utility: Utility
    may_refuse: bool = False
    awake_ns: int = 0
    waking_ns: int = 0
    payload_bytes: Ints | None = None
    queue_limit: int | None = None

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.captured_ns)

    @cached_property
    def gone_ns(self) -> Ints:
        """When each frame, if it still waits for the encoder then, has given way to newer ones."""
        gone = np.full(self.frames, _NEVER)
        if self.queue_limit is not None and self.queue_limit < self.frames:
            gone[: -self.queue_limit] = self.captured_ns[self.queue_limit :]
        return gone

    @cached_property
    def exact(self) -> Exact:
        """What one decision is looked up in, quicker than in arrays."""
        return Exact(
            *(
                getattr(self, name).tolist()
                for name in ("gone_ns", "encode_ns", "latest_ns", "units", "sends", "skips")
            )
        )

    @cached_property
    def worth(self) -> Worth:
        """What a frame is worth on this ladder."""
        return Worth(self.rungs, self.utility)

    @property
    def accuracy(self) -> Floats:
        """Accuracy of each rung."""
        return self.worth.accuracy

    @property
    def price(self) -> Floats:
        """What each rung's energy costs, in utility."""
        return self.worth.price

    @property
    def step(self) -> float:
        """What a switch by one place costs, in utility."""
        return self.worth.step

    @cached_property
    def units(self) -> Ints:
        """Payload of each frame and rung in units of the curve, (frames, rungs)."""
        sizes = self.payload_bytes
        if sizes is None:
            each = np.array([rung.payload_bytes for rung in self.rungs], np.int64)
            sizes = np.broadcast_to(each, (self.frames, len(each)))
        return sizes * self.curve.units_per_byte

    @cached_property
    def sends(self) -> NDArray[np.bool_]:
        """Which rungs use the link."""
        return np.array([rung.payload_bytes > 0 for rung in self.rungs])

    @cached_property
    def skips(self) -> NDArray[np.bool_]:
        """Which rungs answer nothing at all."""
        return np.array([rung.point.mode is Mode.SKIP for rung in self.rungs])


def problem_of(scenario: Scenario, seed: int, utility: Utility | None = None) -> Problem:
    """Return the problem of the one client of a scenario.

    Args:
        scenario: Of one client.
        seed: One of any.
        utility: What a frame is worth; as the scenario says if None.

    Raises:
        TestbedError: There are several clients, and what one meets depends on what others do; or
            the run is too short for a frame.
    """
    if len(scenario.clients) != 1 or scenario.clients[0].spec.count != 1:
        raise TestbedError("the optimum is known for one client; this scenario has several")
    group, spec = scenario.clients[0], scenario.spec
    name, fps = group.spec.name, group.spec.source.fps
    period_ns = round(NS_PER_S / fps)
    phase_ns = group.spec.source.phase_ns
    if phase_ns is None:
        phase_ns = int(stream(seed, name, "camera").integers(period_ns))
    numbers = range(int(spec.duration_ns * fps / NS_PER_S) + 1)
    captured = [phase_ns + round(i * NS_PER_S / fps) for i in numbers]
    captured = [at for at in captured if at < spec.duration_ns]
    if not captured:
        raise TestbedError("no frame is captured, so there is nothing to decide")
    rungs = group.ladder.rungs
    spent = np.array([float(rung.encode_ns) for rung in rungs])
    factors = _factors(group.device.jitter_cv, seed, name, len(captured))
    encode_ns = np.floor(np.outer(factors, spent)).astype(np.int64)
    sends = [place for place, rung in enumerate(rungs) if rung.payload_bytes]
    first_ns = captured[0] + min((int(encode_ns[0, place]) for place in sends), default=0)
    awake_ns = Radio(group.radio).wake(first_ns)
    up, down = spec.network.uplink, spec.network.downlink
    uplink = _medium(up, name, "uplink", seed)
    ideal = spec.network.transport.kind == "ideal"
    return Problem(
        rungs=rungs,
        captured_ns=tuple(captured),
        encode_ns=encode_ns,
        latest_ns=_latest(
            captured, rungs, spec.deadline_ns, up, down, group.spec.answer_bytes,
            _medium(down, name, "downlink", seed).capacity,
        ),
        deadline_ns=spec.deadline_ns,
        curve=uplink.capacity,
        utility=utility or spec.utility.weights,
        may_refuse=up.queue_bytes is not None or uplink.queue is not None or not ideal,
        awake_ns=awake_ns,
        waking_ns=awake_ns - first_ns,
        queue_limit=group.spec.queue.limit if group.spec.queue.drop == "oldest" else None,
        payload_bytes=_sizes(film_of(group, seed, name, len(captured)), rungs),
    )  # fmt: skip


def _sizes(film: Film | None, rungs: Sequence[Rung]) -> Ints | None:
    """Return what each point sends of each picture that a client sees; None if it sees none."""
    if film is None:
        return None

    def sent(rung: Rung, picture: int) -> int:
        return film.payload_bytes(rung, picture) if rung.payload_bytes else 0

    return np.array([[sent(rung, picture) for rung in rungs] for picture in film.seen], np.int64)


def _factors(cv: float, seed: int, name: str, count: int) -> Floats:
    """Return how much longer than the profile says each frame takes to encode."""
    variance = math.log1p(cv * cv)
    draws = stream(seed, name, "encode").lognormal(-variance / 2, math.sqrt(variance), count)
    return np.asarray(draws, np.float64)


def _medium(spec: LinkSpec, name: str, direction: str, seed: int) -> Medium:
    """Return one direction of the channel, with the draws that the simulator gives it."""
    part: Link = make(links, spec)
    return part.medium(stream(seed, name if spec.sharing == "none" else CELL, direction))


def _latest(
    captured: Sequence[int],
    rungs: Sequence[Rung],
    deadline_ns: int,
    up: LinkSpec,
    down: LinkSpec,
    answer_bytes: int,
    back: Capacity,
) -> Ints:
    """Return the last instant at which each upload may end and its answer be in time."""
    units = answer_bytes * back.units_per_byte
    decode = np.array([rung.decode_ns for rung in rungs], np.int64)
    latest = np.full((len(captured), len(rungs)), -1, np.int64)
    for frame, at in enumerate(captured):
        spare = back.offered(at + deadline_ns - down.delay_ns) - units
        if spare >= 0:  # the last instant at which the answer may enter an idle downlink
            decoded_ns = back.when(spare + 1) - 1
            latest[frame] = np.maximum(decoded_ns - up.delay_ns - decode, -1)
    return latest
