"""The server: one queue, some workers, batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from testbed.devices.hosts import UNMEASURED, HostTimes
from testbed.devices.profile import bounded_ns
from testbed.model import Fate, FrameRecord
from testbed.simulate.clock import Clock


class Sender(Protocol):
    """Who sent a frame and wants to know what became of it."""

    def decoded(self, job: Job) -> None:
        """Learn that the frame has been decoded, at the present."""

    def refused(self, job: Job, fate: Fate) -> None:
        """Learn that the server will not decode it."""


@dataclass(slots=True)
class Job:
    """A frame at the server.

    Args:
        frame: Its record, which the server fills in.
        deadline_ns: When its answer becomes late.
        mac: Work of its decoder.
        sender: Is told what became of it.
        alone_ns: How long its decoder takes in a batch of one.
    """

    frame: FrameRecord
    deadline_ns: int
    mac: int
    sender: Sender
    alone_ns: int = 0


class Server:
    """First in, first out, decoded in batches of up to `batch_max` on `workers` machines.

    A batch starts when a worker is free and either `batch_max` frames wait or the oldest of them
    has waited `batch_wait_ns`. It takes `decode_ns` of the sum of its frames' work.

    Args:
        env: The simulation.
        decode_ns: From the multiply-accumulates of a batch to its time on one worker.
        workers: How many.
        batch_max: Most frames in a batch.
        batch_wait_ns: How long a frame may wait for others while a worker is free.
        queue_limit: Most frames waiting; a frame that comes to a full queue is refused.
        drop_expired: Whether a frame whose deadline has passed is given up instead of decoded.
        measured: Whether jobs alone take a measured time, between which and whose sum a batch lies.
        hosts: What a machine adds, if it was measured.
    """

    def __init__(
        self,
        env: Clock,
        decode_ns: Callable[[int], int],
        *,
        workers: int,
        batch_max: int,
        batch_wait_ns: int,
        queue_limit: int,
        drop_expired: bool,
        measured: bool = False,
        hosts: HostTimes = UNMEASURED,
    ) -> None:
        self._env = env
        self._decode_ns = decode_ns
        self._idle = workers
        self._batch_max = batch_max
        self._batch_wait_ns = batch_wait_ns
        self._queue_limit = queue_limit
        self._drop_expired = drop_expired
        self._at_once = batch_max == 1 and not drop_expired  # nothing to wait or look for
        self._measured = measured
        self._hosts = hosts
        self._queue: deque[Job] = deque()

    def arrive(self, job: Job) -> None:
        """Take a job into the queue."""
        job.frame.arrived_ns = self._env.now
        if self._hosts.server_wait_ns:
            self._env.after(self._hosts.server_wait_ns, self._admit, job)
        else:
            self._admit(job)

    def _admit(self, job: Job) -> None:
        now = self._env.now
        if self._at_once and self._idle and not self._queue:
            job.frame.batch_start_ns = now
            self._decode([job])
            return
        if len(self._queue) >= self._queue_limit:
            job.sender.refused(job, Fate.DROPPED_QUEUE)
            return
        self._queue.append(job)
        if self._idle:
            self._start()

    def _start(self, _: None = None) -> None:
        """Start as many batches as idle workers, the queue and the waiting time allow."""
        env, queue = self._env, self._queue
        now = env.now
        while self._idle and queue:
            oldest_ns = queue[0].frame.arrived_ns
            assert oldest_ns is not None
            ready_ns = oldest_ns + self._batch_wait_ns
            if len(queue) < self._batch_max and now < ready_ns:
                env.after(ready_ns - now, self._start)
                return
            batch = self._take(now)
            if batch:
                self._decode(batch)

    def _decode(self, batch: list[Job]) -> None:
        self._idle -= 1
        spent_ns = self._decode_ns(sum([job.mac for job in batch]))
        if self._measured:
            spent_ns = bounded_ns(spent_ns, [job.alone_ns for job in batch])
        self._env.after(spent_ns + self._hosts.decode_ns, self._finish, batch)

    def _take(self, now: int) -> list[Job]:
        batch: list[Job] = []
        queue = self._queue
        while queue and len(batch) < self._batch_max:
            job = queue.popleft()
            if self._drop_expired and now > job.deadline_ns:
                job.sender.refused(job, Fate.DROPPED_DEADLINE)
            else:
                job.frame.batch_start_ns = now
                batch.append(job)
        return batch

    def _finish(self, batch: list[Job]) -> None:
        now = self._env.now
        self._idle += 1
        for job in batch:
            job.frame.decoded_ns = now
            job.sender.decoded(job)
        if self._queue:
            self._start()
