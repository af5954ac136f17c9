"""How a client's frames get to the server: over one connection, or over a new one for each."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from testbed.emulate.bodies import Answer, Request
from testbed.emulate.clock import WallClock
from testbed.emulate.connection import FRAMING_BYTES, Connection
from testbed.emulate.tcp_info import Repeated, repeated

Open = Callable[..., Connection]
"""Opens a connection; takes `wait`, whether to wait for the server's welcome."""

Take = Callable[[Answer, int], None]
"""Takes an answer, and when all of its frame was at the server, in time since the epoch."""


class _Watched:
    """Connections in the loop of a clock.

    Args:
        clock: Keeps the time.
        take: Gets the answers.
        offset_ns: The server's clock minus ours.
    """

    def __init__(self, clock: WallClock, take: Take, offset_ns: int) -> None:
        self._clock = clock
        self._offset_ns = offset_ns
        self._take = take
        self._began: dict[int, int] = {}
        self._repeated: dict[Connection, Repeated] = {}
        self._reading: Connection | None = None

    def repeated(self) -> Repeated:
        """Return what the connection of the answer in hand has sent again since last asked."""
        line = self._reading
        if line is None:
            return Repeated()
        before = self._repeated.get(line, Repeated())
        self._repeated[line] = repeated(line.fileno())
        return self._repeated[line] - before

    def began_ns(self, frame: int) -> int:
        """Return when the first byte of a frame was handed to the kernel; forget it."""
        return self._began.pop(frame)

    def _watch(self, line: Connection) -> None:
        self._clock.watch(line, partial(self._read, line), partial(self._write, line))

    def _read(self, line: Connection) -> int:
        """Take the answers that have come over a connection; return how many."""
        self._reading = line
        answers = line.receive()
        for answer in answers:
            self._take(answer, self._clock.ours(line.ours(answer.arrived_ns)))
        return len(answers)

    def _write(self, line: Connection) -> None:
        for handed in line.flush():
            self._began[handed.frame] = self._clock.ours(handed.began_ns)

    def _dated(self, request: Request) -> Request:
        """Return a request whose deadline is by the server's clock."""
        assert request.deadline_ns is not None
        until_ns = self._clock.theirs(request.deadline_ns) + self._offset_ns
        return request._replace(deadline_ns=until_ns)


class LongLived(_Watched):
    """One connection, open before the run begins.

    Args:
        clock: Keeps the time.
        take: Gets the answers.
        line: The connection.
    """

    def __init__(self, clock: WallClock, take: Take, line: Connection) -> None:
        super().__init__(clock, take, line.offset_ns or 0)
        self.framing_bytes = FRAMING_BYTES
        self._line = line
        self._watch(line)

    def send(self, request: Request, payload: bytes) -> None:
        """Hand over a frame; what the kernel does not take at once follows when it does."""
        self._line.send(self._dated(request), payload)
        self._write(self._line)

    def backlog_bytes(self) -> int:
        """Return the bytes handed over that the server's TCP has not acknowledged."""
        line = self._line
        return line.backlog_bytes

    def close(self) -> None:
        """Close the connection."""
        self._clock.forget(self._line)
        self._line.close()


class PerFrame(_Watched):
    """A connection for each frame, opened when it is handed over and closed after its answer.

    Opening waits for a round trip, so a thread does it.

    Args:
        clock: Keeps the time.
        take: Gets the answers.
        offset_ns: The server's clock minus ours.
        connect: Opens a connection.
        framing_bytes: What is sent before each payload, the connection's opening included.
    """

    def __init__(
        self, clock: WallClock, take: Take, offset_ns: int, connect: Open, framing_bytes: int
    ) -> None:
        super().__init__(clock, take, offset_ns)
        self.framing_bytes = framing_bytes
        self._connect = connect
        self._opening: dict[int, int] = {}  # payload bytes of frames without a connection yet
        self._lines: dict[int, Connection] = {}
        self._ready = Mailbox()
        clock.watch(self._ready, self._opened, lambda: None)

    def send(self, request: Request, payload: bytes) -> None:
        """Open a connection and hand the frame over."""
        self._opening[request.frame] = len(payload)

        def work() -> None:
            try:
                opened: object = self._connect(wait=False)
            except Exception as error:  # noqa: BLE001 - the loop raises it
                opened = error
            self._ready.put((request, payload, opened))

        threading.Thread(target=work, daemon=True).start()

    def _opened(self) -> None:
        for request, payload, line in self._ready.take():
            del self._opening[request.frame]
            if isinstance(line, Exception):
                raise line
            self._lines[request.frame] = line
            self._watch(line)
            line.send(self._dated(request), payload)
            self._write(line)

    def _read(self, line: Connection) -> int:
        answered = super()._read(line)
        if answered:
            [frame] = [frame for frame, its in self._lines.items() if its is line]
            self._clock.forget(self._lines.pop(frame))
            self._repeated.pop(line, None)
            line.close()
        return answered

    def backlog_bytes(self) -> int:
        """Return the bytes handed over that the server's TCP has not acknowledged."""
        lines = self._lines.values()
        sent = sum(line.backlog_bytes for line in lines)
        return sent + sum(self._opening.values())

    def close(self) -> None:
        """Close all connections."""
        self._clock.forget(self._ready)
        self._ready.close()
        for line in self._lines.values():
            self._clock.forget(line)
            line.close()


class Mailbox:
    """What threads have finished, for a loop around `select`."""

    wants_write = False

    def __init__(self) -> None:
        self._letters: list[Any] = []
        self._lock = threading.Lock()
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, readable when there is something."""
        return self._here.fileno()

    def put(self, letter: Any) -> None:
        """Leave something; any thread may."""
        with self._lock, suppress(OSError):  # closed: nobody waits for it any more
            self._letters.append(letter)
            self._there.send(b"!")

    def take(self) -> list[Any]:
        """Return what has been left since the last time."""
        self._here.recv(4096)
        with self._lock:
            letters, self._letters = self._letters, []
        return letters

    def close(self) -> None:
        """Take nothing any more; what a thread finishes later goes nowhere."""
        with self._lock:
            self._here.close()
            self._there.close()
