"""Processes to spread work over, which never outlive whoever asked for them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress

from testbed.errors import EnvironmentLacks

_PR_SET_PDEATHSIG = 1


@contextmanager
def pool(count: int, *, fresh: bool = False) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of `count` processes, gone when the block ends, however it ends.

    Only this process hears Ctrl-C, and ends the others. They end by themselves if it is killed.

    Args:
        count: How many.
        fresh: Whether they start from nothing, which takes seconds. A copy of a process in which
            torch has had threads waits for them for ever.

    Raises:
        EnvironmentLacks: One of them died, most likely for want of memory.
    """
    context = multiprocessing.get_context("spawn") if fresh else None
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
    )
    try:
        yield executor
    except BaseException as error:
        for child in multiprocessing.active_children():
            child.kill()
        executor.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise EnvironmentLacks(
                "a worker process died, most likely for want of memory; use fewer --workers"
            ) from None
        raise
    executor.shutdown()


def _begin(parent: int) -> None:
    """Leave Ctrl-C to the parent, and die with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before we could ask
        os._exit(1)
