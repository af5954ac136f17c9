"""What a server decodes with: the contract, and timed waits where there is no network to run."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from testbed.devices.profile import bounded_ns
from testbed.emulate.batcher import Job
from testbed.emulate.bodies import Request, Status
from testbed.errors import did_you_mean
from testbed.model import Mode

if TYPE_CHECKING:
    from testbed.detectors.published import DetectorTable
    from testbed.devices.profile import ServerProfile
    from testbed.scenario import Scenario


class Result(NamedTuple):
    """What a decoder found in one frame.

    Args:
        status: `DECODED`, or why not.
        parts: Of a pixel, which edges of boxes count.
        boxes: As `testbed.emulate.bodies.pack_boxes` makes them.
    """

    status: Status
    parts: int = 1
    boxes: bytes = b""


class Finished(NamedTuple):
    """A batch that is done.

    Args:
        worker: Who did it.
        ended_ns: When.
        results: One for each frame, in their order.
        free: Whether the worker can take another batch. One that has to be replaced says so later,
            with no results.
    """

    worker: int
    ended_ns: int
    results: list[Result]
    free: bool = True


class Decoder(Protocol):
    """Decodes batches, several at a time, without ever making its caller wait.

    Attributes:
        workers: How many at a time.
        stand_in: Whether it only takes the time that decoding would.
    """

    workers: int
    stand_in: bool

    @property
    def next_ns(self) -> int | None:
        """When to ask for what is finished, even if no descriptor is readable."""

    def refuses(self, detector: str) -> str:
        """Say why payloads of a detector are not decoded here; empty if they are."""

    def admit(self, detector: str, request: Request, payload: memoryview) -> object | None:
        """Return what `begin` needs to know of a frame; None for one that cannot be decoded."""

    def begin(self, worker: int, batch: list[Job], now_ns: int) -> None:
        """Let a free worker decode what `admit` made of the frames of a batch."""

    def descriptors(self) -> Iterable[int]:
        """Return the descriptors that become readable when something is finished."""

    def finished(self, now_ns: int) -> list[Finished]:
        """Return what is done by now."""

    def close(self) -> None:
        """Let go of everything."""


class Work(NamedTuple):
    """What one frame takes: multiply-accumulates, and the time of a batch of it alone."""

    mac: int
    alone_ns: int


class StandIn:
    """Waits as long as decoding takes by a server profile, and finds nothing.

    The times are those of the simulator's server: the profile's time of a batch's summed work, and
    where the profile has measured times, between the longest of them alone and their sum.

    Args:
        times: From the name of a detector to what each (mode, width) takes.
        decode_ns: From the multiply-accumulates of a batch to its time.
        workers: How many at a time.
        measured: Whether the profile has measured times.
    """

    stand_in = True

    def __init__(
        self,
        times: Mapping[str, Mapping[tuple[Mode, float], Work]],
        decode_ns: Callable[[int], int],
        *,
        workers: int = 1,
        measured: bool = False,
    ) -> None:
        self.workers = workers
        self._times = times
        self._decode_ns = decode_ns
        self._measured = measured
        self._ends: list[tuple[int, int, int]] = []  # when, worker, frames

    @property
    def next_ns(self) -> int | None:
        """When the next batch is done."""
        return self._ends[0][0] if self._ends else None

    def refuses(self, detector: str) -> str:
        """Say which detectors there are, if this is none of them."""
        if detector in self._times:
            return ""
        return f"no detector '{detector}' is served here{did_you_mean(detector, self._times)}"

    def admit(self, detector: str, request: Request, payload: memoryview) -> Work | None:
        """Return what the profile says of the frame's operating point; None if nothing."""
        return self._times[detector].get((request.point.mode, request.point.width))

    def begin(self, worker: int, batch: list[Job], now_ns: int) -> None:
        """Set the worker's alarm."""
        works: list[Work] = [job.work for job in batch]
        spent_ns = self._decode_ns(sum(work.mac for work in works))
        if self._measured:
            spent_ns = bounded_ns(spent_ns, [work.alone_ns for work in works])
        heapq.heappush(self._ends, (now_ns + spent_ns, worker, len(batch)))

    def descriptors(self) -> Sequence[int]:
        """Return none: only time passes."""
        return ()

    def finished(self, now_ns: int) -> list[Finished]:
        """Return the batches whose time has passed. They end when somebody looks, not before."""
        done: list[Finished] = []
        while self._ends and self._ends[0][0] <= now_ns:
            _, worker, count = heapq.heappop(self._ends)
            done.append(Finished(worker, now_ns, [Result(Status.DECODED)] * count))
        return done

    def close(self) -> None:
        """Forget what is under way."""
        self._ends.clear()


def of_scenario(scenario: Scenario) -> StandIn:
    """Return the stand-in for the server of a scenario and the detectors of its clients."""
    times = {
        client.detector.name: {
            (rung.point.mode, rung.point.width): Work(rung.server_mac, rung.decode_ns)
            for rung in client.ladder
            if rung.server_mac or rung.decode_ns
        }
        for client in scenario.clients
    }
    server = scenario.server
    return StandIn(
        times,
        server.decode_ns,
        workers=scenario.spec.server.workers,
        measured=bool(server.sheet.points),
    )


def of_tables(tables: Iterable[DetectorTable], profile: ServerProfile, workers: int) -> StandIn:
    """Return the stand-in for a server profile and some published tables."""
    times = {
        table.name: {
            (Mode.SPLIT, point.width): Work(
                point.server_mac,
                profile.decode_ns(point.server_mac, detector=table.name, width=point.width),
            )
            for point in table.points
        }
        for table in tables
    }
    return StandIn(times, profile.decode_ns, workers=workers, measured=bool(profile.sheet.points))
