"""The server's queue and batches, as rules without a clock; the simulator's server has the same.

Whoever owns a batcher says what time it is and does what it returns. `testbed.simulate.server` is
its twin in virtual time; a test holds the two against each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False, slots=True)
class Job:
    """A frame at the server.

    Args:
        owner: Whose it is; no business of the batcher's.
        arrived_ns: When the server had all of it.
        deadline_ns: When its answer becomes late; None for never.
        work: What the decoder made of it when it came.
        batch_start_ns: When its batch was begun.
        ahead: How many frames waited when it came.
    """

    owner: Any
    arrived_ns: int
    deadline_ns: int | None = None
    work: Any = None
    batch_start_ns: int | None = None
    ahead: int = 0


class Batcher:
    """First in, first out, in batches of up to `batch_max` on `workers` workers.

    A batch starts when a worker is free and either `batch_max` frames wait or the oldest of them
    has waited `batch_wait_ns`.

    Args:
        workers: How many batches may be under way.
        batch_max: Most frames in a batch.
        batch_wait_ns: How long a frame may wait for others while a worker is free.
        queue_limit: Most frames waiting; one more is refused.
        drop_expired: Whether a frame whose deadline has passed is given up instead of decoded.
        given_up: Is told of those.
    """

    def __init__(
        self,
        *,
        workers: int,
        batch_max: int,
        batch_wait_ns: int,
        queue_limit: int,
        drop_expired: bool,
        given_up: Callable[[Job, int], None],
    ) -> None:
        self._free = list(range(workers - 1, -1, -1))
        self._batch_max = batch_max
        self._batch_wait_ns = batch_wait_ns
        self._queue_limit = queue_limit
        self._drop_expired = drop_expired
        self._given_up = given_up
        self._queue: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next_ns(self) -> int | None:
        """When to ask for a batch next, if nothing else happens; None for not at all."""
        if not self._free or not self._queue:
            return None
        return self._queue[0].arrived_ns + self._batch_wait_ns

    def arrive(self, job: Job) -> bool:
        """Take a job into the queue, or return False because it is full."""
        job.ahead = len(self._queue)
        if len(self._queue) >= self._queue_limit:
            return False
        self._queue.append(job)
        return True

    def start(self, now_ns: int) -> tuple[int, list[Job]] | None:
        """Return a free worker and the batch it is to decode from now on, if there is one.

        To be called until it returns None, whenever a job has come, a worker has finished or
        `next_ns` has.
        """
        queue = self._queue
        while self._free and queue:
            if len(queue) < self._batch_max and now_ns < queue[0].arrived_ns + self._batch_wait_ns:
                return None
            batch: list[Job] = []
            while queue and len(batch) < self._batch_max:
                job = queue.popleft()
                late = job.deadline_ns is not None and now_ns > job.deadline_ns
                if self._drop_expired and late:
                    self._given_up(job, now_ns)
                else:
                    job.batch_start_ns = now_ns
                    batch.append(job)
            if batch:
                return self._free.pop(), batch
        return None

    def finish(self, worker: int) -> None:
        """Have a worker free again."""
        self._free.append(worker)

    def withdraw(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Take back what waits and is wanted back; return it."""
        found = [job for job in self._queue if wanted(job)]
        if found:
            self._queue = deque(job for job in self._queue if not wanted(job))
        return found
