"""The server: one queue, some workers, batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import simpy

from testbed.devices.profile import ServerProfile
from testbed.model import Fate, FrameRecord


@dataclass(slots=True)
class Job:
    """A frame at the server.

    Args:
        frame: Its record, which the server fills in.
        deadline_ns: When its answer becomes late.
        mac: Work of its decoder.
        answered: Called when the frame is decoded.
        refused: Called with the fate when the server will not decode it.
    """

    frame: FrameRecord
    deadline_ns: int
    mac: int
    answered: Callable[[Job], None]
    refused: Callable[[Job, Fate], None]
    arrived_ns: int = 0


class Server:
    """First in, first out, decoded in batches of up to `batch_max` on `workers` machines.

    A batch starts when a worker is free and either `batch_max` frames wait or the oldest of them
    has waited `batch_wait_ns`. It takes `profile.decode_ns` of the sum of its frames' work.

    Args:
        env: The simulation.
        profile: Speed of one worker.
        workers: How many.
        batch_max: Most frames in a batch.
        batch_wait_ns: How long a frame may wait for others while a worker is free.
        queue_limit: Most frames waiting; a frame that comes to a full queue is refused.
        drop_expired: Whether a frame whose deadline has passed is given up instead of decoded.
    """

    def __init__(
        self,
        env: simpy.Environment,
        profile: ServerProfile,
        *,
        workers: int,
        batch_max: int,
        batch_wait_ns: int,
        queue_limit: int,
        drop_expired: bool,
    ) -> None:
        self._env = env
        # The work of a batch takes few values: as many as there are combinations of rungs.
        self._decode_ns = lru_cache(maxsize=1 << 16)(profile.decode_ns)
        self._idle = workers
        self._batch_max = batch_max
        self._batch_wait_ns = batch_wait_ns
        self._queue_limit = queue_limit
        self._drop_expired = drop_expired
        self._queue: deque[Job] = deque()

    def arrive(self, event: simpy.Event) -> None:
        """Take the job that `event` carries into the queue."""
        job: Any = event.value
        now = self._env.now
        job.frame.arrived_ns = job.arrived_ns = now
        if len(self._queue) >= self._queue_limit:
            job.refused(job, Fate.DROPPED_QUEUE)
            return
        self._queue.append(job)
        if self._idle:
            self._start()

    def _start(self, _: simpy.Event | None = None) -> None:
        """Start as many batches as idle workers, the queue and the waiting time allow."""
        env, queue = self._env, self._queue
        now = env.now
        while self._idle and queue:
            ready_ns = queue[0].arrived_ns + self._batch_wait_ns
            if len(queue) < self._batch_max and now < ready_ns:
                env.timeout(ready_ns - now).callbacks.append(self._start)
                return
            batch = self._take(now)
            if batch:
                self._idle -= 1
                spent_ns = self._decode_ns(sum([job.mac for job in batch]))
                env.timeout(spent_ns, batch).callbacks.append(self._finish)

    def _take(self, now: int) -> list[Job]:
        batch: list[Job] = []
        queue = self._queue
        while queue and len(batch) < self._batch_max:
            job = queue.popleft()
            if self._drop_expired and now > job.deadline_ns:
                job.refused(job, Fate.DROPPED_DEADLINE)
            else:
                job.frame.batch_start_ns = now
                batch.append(job)
        return batch

    def _finish(self, event: simpy.Event) -> None:
        batch: Any = event.value
        now = self._env.now
        self._idle += 1
        for job in batch:
            job.frame.decoded_ns = now
            job.answered(job)
        if self._queue:
            self._start()
