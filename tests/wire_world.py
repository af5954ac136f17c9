"""A server in a thread, honest clients, and peers that are none."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import contextmanager

from testbed.emulate.bodies import Hello, Kind, Request, Status
from testbed.emulate.connection import connect
from testbed.emulate.decoding import Finished, Result, StandIn, Work
from testbed.emulate.protocol import Type, pack
from testbed.emulate.serving import Rules, Server
from testbed.model import Mode, OperatingPoint

MS = 1_000_000
POINT = OperatingPoint(0.5)
WIDE = OperatingPoint(1.0)
DETECTOR = "published/table"


def waits(spent_ms=1, *, workers=1):
    """A stand-in that takes the same time for every batch."""
    works = {(Mode.SPLIT, width): Work(1, spent_ms * MS) for width in (0.5, 1.0)}
    return StandIn({DETECTOR: works}, lambda mac: spent_ms * MS, workers=workers)


class Gate:
    """A decoder that is done when the test says so: one batch for each `open`."""

    stand_in = True
    next_ns = None

    def __init__(self, *, workers=1):
        self.workers = workers
        self.begun = []
        self._hears, self._says = socket.socketpair()
        self._hears.setblocking(False)

    def open(self):
        self._says.send(b"x")

    def refuses(self, detector):
        return ""

    def admit(self, detector, request, payload):
        return request.frame

    def begin(self, worker, batch, now_ns):
        self.begun.append((worker, len(batch)))

    def descriptors(self):
        return [self._hears.fileno()] if self.begun else []

    def finished(self, now_ns):
        try:
            if not self.begun or not self._hears.recv(1):
                return []
        except BlockingIOError:
            return []
        worker, count = self.begun.pop(0)
        return [Finished(worker, now_ns, [Result(Status.DECODED)] * count)]

    def close(self):
        self._hears.close()
        self._says.close()


@contextmanager
def serving(decoder=None, rules=None, **options):
    """Serve in a thread; yield the server, with its log as `lines`."""
    listener = socket.create_server(("127.0.0.1", 0))
    lines = []
    server = Server(listener, decoder or waits(), rules or Rules(), say=lines.append, **options)
    server.lines = lines
    failed = []

    def run():
        try:
            server.run()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
    assert not failed, "the server broke"
    assert not thread.is_alive()


def client(server, **options):
    """Connect to a server."""
    return connect(
        server.address, **{"client": "camera", "detector": DETECTOR, "timeout_s": 5.0, **options}
    )


def answers(line, count, timeout_s=5.0):
    """Send what waits and return the next answers, by frame."""
    found = {}
    end = time.monotonic() + timeout_s
    while len(found) < count:
        left = end - time.monotonic()
        assert left > 0, f"{len(found)} of {count} answers"
        readable, writable, _ = select.select([line], [line] if line.wants_write else [], [], left)
        if writable:
            line.flush()
        if readable or writable:
            for answer in line.receive():
                found[answer.frame] = answer
    return found


def ask(line, frame=0, payload=b"x" * 1000, point=POINT, **options):
    """Send a frame and return its answer."""
    line.send(Request(frame, point, Kind.STAND_IN, **options), payload)
    return answers(line, 1)[frame]


def eventually(true, timeout_s=5.0):
    """Wait until something is true."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def stranger(server):
    """A plain socket, connected."""
    return socket.create_connection(server.address, timeout=5)


def hello(client="rogue", detector=DETECTOR, run=b"r" * 16):
    """The bytes of an opening."""
    body = Hello(client, detector, run, bytes(16), bytes(16)).pack()
    return pack(Type.HELLO, 0, body) + body


def frame(sequence, number, payload=b"x" * 10, **options):
    """The bytes of a frame in an open connection."""
    fixed = Request(number, POINT, Kind.STAND_IN, **options).pack()
    return pack(Type.FRAME, sequence, fixed, payload) + fixed + payload


def ends(sock, timeout_s=5.0):
    """Read to the end of what a server sends; return it and how long it took."""
    began = time.monotonic()
    sock.settimeout(timeout_s)
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data, time.monotonic() - began
