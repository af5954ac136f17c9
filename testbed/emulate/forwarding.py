"""Forwarding: packets are read from one host and handed to another when they are due.

Plain `select`, `read` and `write`. It never spins, since a real-time process that does is held back
by the kernel for 50 ms of every second; and it waits with `select`, since `epoll` rounds to
milliseconds.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from testbed.emulate.crossing import FAR_NS, Crossing
from testbed.emulate.interfaces import MTU_BYTES, frames_dropped
from testbed.emulate.lateness import Lateness
from testbed.emulate.messages import Messages
from testbed.emulate.packetlog import DOWNLINK, LOST, PASSED, QUEUE, UPLINK, Capture, PacketLog
from testbed.emulate.shaping import Follower
from testbed.model import NS_PER_MS

_READ = 256
"""Packets read from one interface in one go. A frame's come at once, and a packet has come when it
is read: what is worked out of one must not delay the others."""

_BURST = 32
"""Packets that are worked on before what is due is looked at again."""

_QUIET_NS = 2 * NS_PER_MS
_FATES = {"queue": QUEUE, "lost": LOST}


class Relay:
    """Both directions of a network.

    Args:
        control: From and to whoever wants the network.
        ends: Descriptors of the clients' interfaces in order, and of the server's.
        addresses: Of the clients, in the same order.
        crossings: From the clients, and to the clients.
        log: Where packets are logged; None for nowhere.
        captures: For each of `ends`; empty for none.
        header: What stands before an IP packet at the ends.
        followers: What lets the kernel shape.
    """

    def __init__(
        self,
        control: Messages,
        ends: Sequence[int],
        addresses: Sequence[str],
        crossings: tuple[Crossing, Crossing],
        log: PacketLog | None = None,
        captures: Sequence[Capture] = (),
        header: bytes = b"",
        followers: Sequence[Follower] = (),
    ) -> None:
        self._control = control
        self._ends = list(ends)
        self._server = len(ends) - 1
        self._number_of = {socket.inet_aton(text): n for n, text in enumerate(addresses)}
        self._crossings = crossings
        for direction, way in enumerate(crossings):
            way.on_loss = partial(self._gone, direction, LOST)
        self._log = log
        self._captures = captures
        self._header = header
        self._followers = list(followers)
        self._start_ns = 0
        self._begun = False
        self._unwritten = 0  # found no room in an interface
        self.lateness = Lateness()

    def run(self) -> None:
        """Relay until told to stop."""
        up, down = self._crossings
        control = self._control.fileno()
        number_of_end = {end: number for number, end in enumerate(self._ends)}
        waited_for = [control, *self._ends]
        clock = time.monotonic_ns
        while True:
            self._release(UPLINK, up)
            self._release(DOWNLINK, down)
            next_ns = min(up.next_ns, down.next_ns)
            for follower in self._followers:
                if follower.next_ns <= clock():
                    follower.act(clock())
                next_ns = min(next_ns, follower.next_ns)
            wait_ns = next_ns - clock()
            if self._log is not None and wait_ns > _QUIET_NS:
                self._log.flush()
            wait_s = min(max(wait_ns, 0), FAR_NS // 1000) * 1e-9
            ready, _, _ = select.select(waited_for, (), (), wait_s)
            for end in ready:
                if end == control:
                    if not self._obey():
                        return
                else:
                    self._read(end, number_of_end[end])

    def _read(self, end: int, number: int) -> None:
        up, down = self._crossings
        from_server = number == self._server
        begin = len(self._header)
        clock, read = time.monotonic_ns, os.read
        packets: list[tuple[int, bytes]] = []
        with suppress(BlockingIOError):
            while len(packets) < _READ:
                packet = read(end, MTU_BYTES + 100)
                packets.append((clock(), packet))
        for count, (now_ns, packet) in enumerate(packets, 1):
            if count % _BURST == 0:
                self._release(UPLINK, up)
                self._release(DOWNLINK, down)
            if begin:
                packet = packet[begin:]
            if packet[0] >> 4 != 4:
                continue  # only IPv4 has an address here
            client = self._number_of.get(packet[16:20]) if from_server else number
            if client is None:
                continue
            if self._captures:
                self._captures[number].add(now_ns, packet)
            direction, way = (DOWNLINK, down) if from_server else (UPLINK, up)
            gone = way.arrive(now_ns, client, packet)
            if gone is not None:
                self._gone(direction, _FATES[gone], client, len(packet), now_ns)

    def _gone(self, direction: int, fate: int, client: int, size_bytes: int, at_ns: int) -> None:
        """Log a packet that does not get to the other end."""
        if self._log is not None:
            at_ns -= self._start_ns
            self._log.add(direction, fate, client, size_bytes, at_ns, at_ns, at_ns)

    def _release(self, direction: int, way: Crossing) -> None:
        now_ns = time.monotonic_ns()
        header = self._header
        while (due := way.take(now_ns)) is not None:
            end = self._server if direction == UPLINK else due.client
            try:
                os.write(self._ends[end], header + due.packet if header else due.packet)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    raise
                self._unwritten += 1
            now_ns = time.monotonic_ns()
            if self._begun and due.arrived_ns >= self._start_ns:
                self.lateness.add(now_ns - due.due_ns)
                if self._log is not None:
                    zero_ns = self._start_ns
                    self._log.add(
                        direction,
                        PASSED,
                        due.client,
                        len(due.packet),
                        due.arrived_ns - zero_ns,
                        due.due_ns - zero_ns,
                        now_ns - zero_ns,
                    )
            if self._captures:
                self._captures[end].add(now_ns, due.packet)

    def _obey(self) -> bool:
        """Do what is asked; return False if that is to stop."""
        message, _ = self._control.receive()
        if message["op"] == "start":
            self._start_ns = message["at_ns"]
            self._begun = True
            for way in self._crossings:
                way.begin(self._start_ns)
            for follower in self._followers:
                follower.begin(self._start_ns)
            self._control.send({"op": "started", "at_ns": self._start_ns})
            return True
        return False

    def counts(self) -> dict[str, Any]:
        """Return what passed, what did not, and how late."""
        ways = self._crossings
        unread = map(frames_dropped, self._ends) if self._header else ()
        return {
            "queue_drops": sum(way.queue_drops for way in ways),
            "losses": sum(way.losses for way in ways),
            "kernel_drops": self._unwritten + sum(unread),
            **self.lateness.counts(),
        }
