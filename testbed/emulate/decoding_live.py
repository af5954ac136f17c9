"""A network that decodes, in processes of its own: what breaks one of them breaks no server.

Bytes between the server and a worker, little-endian, on a socket pair that nobody else has: a batch
is its size (4), then the number of frames (4), then for each its kind (1), the most boxes (2), its
length (4) and its payload; the results are their size (4), the instant (8), then for each frame a
`Status` (1), the parts of a pixel (1), the length of the boxes (4) and the boxes.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.emulate.batcher import Job
from testbed.emulate.bodies import Kind, Request, Status
from testbed.emulate.decoding import Finished, Result
from testbed.errors import EnvironmentLacks, TestbedError, did_you_mean
from testbed.model import NS_PER_S

SIZE = struct.Struct("<I")
FRAME = struct.Struct("<BHI")
ENDED = struct.Struct("<q")
RESULT = struct.Struct("<BBI")

START_S = 300.0  # to import torch and read the weights, on a slow machine under load
BATCH_S = 60.0  # for a batch, until the worker is taken for stuck


@dataclass(frozen=True)
class Network:
    """What a worker loads.

    Args:
        weights: File that `testbed train` wrote, or somebody's.
        network: Name of the configuration in somebody's file.
        device: Of torch.
        threads: Of torch, in each worker; None for torch's own choice.
        teacher: File of the network that decodes whole pictures, run at full width; None if
            pictures are not decoded.
    """

    weights: str
    network: str | None = None
    device: str = "cpu"
    threads: int | None = None
    teacher: str | None = None


class _Worker:
    """One process."""

    def __init__(self, network: Network) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-m", "testbed.emulate.decoding_worker"),
                    *(str(theirs.fileno()), json.dumps(asdict(network))),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which ends its workers
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.sock = ours
        self.ready = False
        self.batch: list[Job] | None = None
        self.until_ns = time.monotonic_ns() + round(START_S * NS_PER_S)

    def close(self) -> None:
        self.sock.close()
        self.process.kill()
        self.process.wait()


class Live:
    """Runs the decoder of a split detector on batches, each in one of `workers` processes.

    Frames of a batch that have the same width and shape go through the network together. A worker
    that dies or gets stuck is replaced, and its frames fail.

    Args:
        network: What to load.
        names: By which clients may ask for this detector.
        workers: How many processes.
        say: Takes a line for the log.

    Raises:
        TestbedError: The weights cannot be loaded.
        EnvironmentLacks: A worker does not start.
    """

    stand_in = False

    def __init__(
        self,
        network: Network,
        names: Iterable[str],
        *,
        workers: int = 1,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.workers = workers
        self._network = network
        self._names = frozenset(names)
        self._say = say
        self._own: list[_Worker] = []
        self._broken: list[Finished] = []
        try:
            for _ in range(workers):
                self._own.append(_Worker(network))
            for worker in self._own:
                self._await(worker)
        except BaseException:
            self.close()
            raise

    @property
    def next_ns(self) -> int | None:
        """When the first batch has taken too long."""
        if self._broken:
            return 0
        return min((w.until_ns for w in self._own if w.batch is not None or not w.ready),
                   default=None)  # fmt: skip

    def refuses(self, detector: str) -> str:
        """Say what this detector is called, if it is asked for by another name."""
        if detector in self._names:
            return ""
        return f"no detector '{detector}' is served here{did_you_mean(detector, self._names)}"

    def admit(
        self, detector: str, request: Request, payload: memoryview
    ) -> tuple[Kind, int, memoryview] | None:
        """Return a bottleneck, or a picture if there is a teacher; None for anything else."""
        if request.kind is Kind.PICTURE and self._network.teacher is None:
            return None
        if request.kind is Kind.STAND_IN:
            return None
        return request.kind, request.most_boxes, payload

    def begin(self, worker: int, batch: list[Job], now_ns: int) -> None:
        """Hand a batch to a worker, or fail it if the worker is not there."""
        own = self._own[worker]
        own.batch, own.until_ns = batch, now_ns + round(BATCH_S * NS_PER_S)
        chunks: list[bytes | memoryview] = [SIZE.pack(len(batch))]
        for job in batch:
            kind, most, payload = job.work
            chunks += [FRAME.pack(kind, most, len(payload)), payload]
        try:
            own.sock.sendall(SIZE.pack(sum(map(len, chunks))) + b"".join(chunks))
        except OSError:
            self._replace(worker, "is gone")

    def descriptors(self) -> list[int]:
        """Return the ends of the workers' sockets."""
        return [worker.sock.fileno() for worker in self._own]

    def finished(self, now_ns: int) -> list[Finished]:
        """Return the batches that workers have decoded, or have failed to."""
        readable, _, _ = select.select(self.descriptors(), [], [], 0)
        done: list[Finished] = []
        for index, worker in enumerate(self._own):
            if worker.sock.fileno() in readable:
                try:
                    if worker.ready:
                        done.append(self._results(index, worker))
                    else:
                        self._await(worker)
                        done.append(Finished(index, now_ns, []))
                except (OSError, EOFError):
                    self._replace(index, "is gone")
                except (struct.error, ValueError, TestbedError) as error:
                    self._replace(index, f"makes no sense: {error}")
            elif now_ns > worker.until_ns and (worker.batch is not None or not worker.ready):
                self._replace(index, "is stuck")
        done += self._broken
        self._broken = []
        return done

    def close(self) -> None:
        """End all workers."""
        for worker in self._own:
            worker.close()

    def _await(self, worker: _Worker) -> None:
        """Wait until a worker has loaded its network. Raise what it says is wrong."""
        worker.sock.settimeout(START_S)
        try:
            said = receive(worker.sock).decode()
        except (OSError, EOFError):
            raise EnvironmentLacks("a decoder process did not start") from None
        if said.startswith("lacks "):
            raise EnvironmentLacks(said.removeprefix("lacks "))
        if said:
            raise TestbedError(said)
        worker.sock.settimeout(BATCH_S)
        worker.ready = True

    def _results(self, index: int, worker: _Worker) -> Finished:
        raw = receive(worker.sock)
        (ended_ns,) = ENDED.unpack_from(raw)
        place = ENDED.size
        results: list[Result] = []
        while place < len(raw):
            status, parts, length = RESULT.unpack_from(raw, place)
            place += RESULT.size
            results.append(Result(Status(status), parts, raw[place : place + length]))
            place += length
        batch, worker.batch = worker.batch, None
        if batch is None or len(results) != len(batch):
            raise ValueError("results that nobody waits for")
        return Finished(index, ended_ns, results)

    def _replace(self, index: int, why: str) -> None:
        """Start another process in the place of one that is of no more use."""
        old = self._own[index]
        self._say(f"decoder {index} {why}; another one is started")
        old.close()
        if old.batch is not None:
            failed = [Result(Status.FAILED)] * len(old.batch)
            self._broken.append(Finished(index, time.monotonic_ns(), failed, free=False))
        self._own[index] = _Worker(self._network)


def receive(sock: socket.socket) -> bytes:
    """Return one sized block. Raise an `EOFError` if the other end is gone."""
    (size,) = SIZE.unpack(_exactly(sock, SIZE.size))
    return _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    with memoryview(data) as view:
        place = 0
        while place < size:
            count = sock.recv_into(view[place:])
            if not count:
                raise EOFError("the other end is gone")
            place += count
    return bytes(data)


def names_of(weights: Path, network: str | None) -> set[str]:
    """Return what clients may call the detector in a file: the file's name, and the network's."""
    names = {weights.stem}
    if network is not None:
        names.add(network)
    with suppress(OSError, ValueError, KeyError, struct.error):
        with weights.open("rb") as file:  # safetensors: 8 bytes of length, then JSON
            (length,) = struct.unpack("<Q", file.read(8))
            described = json.loads(file.read(min(length, 1 << 24)))["__metadata__"]["config"]
        names.add(json.loads(described)["name"])
    return names
