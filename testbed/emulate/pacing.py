"""Pacing on the loopback interface: the rate of a link without any privilege, and nothing else.

There is no delay, no loss and no queue but the sender's own. A process of its own says how fast the
links are; in the programs of the run, `join` makes a socket follow (SO_MAX_PACING_RATE, which TCP
obeys by itself). A run with this backend is labelled with what it leaves out.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from testbed.emulate.lateness import Lateness
from testbed.emulate.messages import Messages
from testbed.emulate.shaping import BIN_NS, rate_bps

if TYPE_CHECKING:
    from testbed.links.capacity import Capacity

ENVIRONMENT = "TESTBED_PACER"
"""In the environment of the programs of a run: the abstract socket of the pacer, and how TCP is to
control congestion, which no route can say here."""

UPLINK, DOWNLINK = 0, 1
LEAVES_OUT = ("delay", "loss", "queue")

_SO_MAX_PACING_RATE = 47
_FREE = 2**32 - 1  # no limit
_RATES = struct.Struct("=QQ")
_PAYLOAD, _PACKET = 1448, 1500  # headers are not paced


def join(end: socket.socket, direction: int) -> None:
    """Let a TCP socket follow the rate of a direction, if this run is paced."""
    said = os.environ.get(ENVIRONMENT)
    if said is not None:
        name, _, control = said.partition("/")
        with suppress(OSError):  # not everybody may choose; the run records what it got
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        _follower(name).add(end, direction)


class _Follower:
    """Hears the rates in a thread, and sets them on the sockets that are still there."""

    def __init__(self, name: str) -> None:
        self._ends: tuple[WeakSet[socket.socket], WeakSet[socket.socket]] = (WeakSet(), WeakSet())
        self._rates = (_FREE, _FREE)
        self._lock = threading.Lock()
        self._pacer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._pacer.connect("\0" + name)
        self._hear()  # the rates of now
        threading.Thread(target=self._run, name="pacing", daemon=True).start()

    def add(self, end: socket.socket, direction: int) -> None:
        with self._lock:
            self._ends[direction].add(end)
            self._set()

    def _run(self) -> None:
        while self._hear():
            with self._lock:
                self._set()

    def _hear(self) -> bool:
        said = self._pacer.recv(_RATES.size)
        if said:
            self._rates = _RATES.unpack(said)
        return bool(said)

    def _set(self) -> None:
        for rate, ends in zip(self._rates, self._ends, strict=True):
            there = [end for end in ends if end.fileno() >= 0]
            for end in there:  # they share what there is
                value = rate if rate >= _FREE else max(1, rate // len(there))
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("=Q", value))


_followers: dict[str, _Follower] = {}


def _follower(name: str) -> _Follower:
    if name not in _followers:
        _followers[name] = _Follower(name)
    return _followers[name]


class Pacer:
    """Says how fast the links are, to everybody who has connected.

    Args:
        control: From and to whoever wants the network.
        said: What `ENVIRONMENT` says.
        capacities: Of the uplink and the downlink.
    """

    def __init__(self, control: Messages, said: str, capacities: Iterable[Capacity]) -> None:
        self._control = control
        self._capacities = tuple(capacities)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind("\0" + said.partition("/")[0])
        self._listener.listen()
        self._heard: list[socket.socket] = []
        self._said = _RATES.pack(_FREE, _FREE)
        self._start_ns = self._next_ns = 1 << 62
        self.lateness = Lateness()

    def run(self) -> None:
        """Pace until told to stop."""
        waited_for = [self._control.fileno(), self._listener.fileno()]
        while True:
            now_ns = time.monotonic_ns()
            if now_ns >= self._next_ns:
                self._change(now_ns)
            wait_s = min(max(0, self._next_ns - time.monotonic_ns()) * 1e-9, 3600.0)
            ready, _, _ = select.select(waited_for, (), (), wait_s)
            if self._listener.fileno() in ready:
                follower, _ = self._listener.accept()
                follower.setblocking(False)
                self._heard.append(follower)
                self._tell(follower)
            if self._control.fileno() in ready:
                message, _ = self._control.receive()
                if message["op"] != "start":
                    return
                self._start_ns = self._next_ns = message["at_ns"]
                self._control.send({"op": "started", "at_ns": self._start_ns})

    def _change(self, now_ns: int) -> None:
        number = (now_ns - self._start_ns) // BIN_NS
        self.lateness.add(now_ns - self._start_ns - number * BIN_NS)
        rates = (rate_bps(curve, number) for curve in self._capacities)
        said = _RATES.pack(*(bps * _PAYLOAD // _PACKET // 8 for bps in rates))
        if said != self._said:
            self._said = said
            for follower in list(self._heard):
                self._tell(follower)
        self._next_ns = self._start_ns + (number + 1) * BIN_NS

    def _tell(self, follower: socket.socket) -> None:
        try:
            follower.send(self._said)
        except OSError:  # it has ended
            self._heard.remove(follower)
            follower.close()

    def counts(self) -> dict[str, Any]:
        """Return how late the rates changed; packets pass by themselves."""
        late = self.lateness.counts() | {"packets": 0}
        return {"queue_drops": 0, "losses": 0, "kernel_drops": 0, **late}
