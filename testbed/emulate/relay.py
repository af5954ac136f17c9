"""The relay: a process that reads packets of one host and hands them to another when they are due.

Plain `select`, `read` and `write`. It never spins, since a real-time process that does is held back
by the kernel for 50 ms of every second; and it waits with `select`, since `epoll` rounds to
milliseconds.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from testbed.emulate import kernel
from testbed.emulate.crossing import FAR_NS, Crossing, DelayCrossing, crossing
from testbed.emulate.interfaces import (
    ETHERNET_HEADER,
    MTU_BYTES,
    client_address,
    frames_dropped,
)
from testbed.emulate.lateness import Lateness
from testbed.emulate.messages import Ended, Messages
from testbed.emulate.packetlog import DOWNLINK, LOST, PASSED, QUEUE, UPLINK, Capture, PacketLog
from testbed.emulate.shaping import ETHERNET_BYTES, Follower
from testbed.links.link import Path as LinkPath
from testbed.model import NS_PER_MS
from testbed.parts import Nested
from testbed.scenario import LinkSpec
from testbed.scenario.channels import open_channel, open_medium

_CONTROL = 3
_BURST = 32
"""Packets read from one interface before what is due is looked at again."""

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
        for _ in range(_BURST):
            try:
                packet = os.read(end, MTU_BYTES + 100)
            except BlockingIOError:
                return
            now_ns = time.monotonic_ns()
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
            with suppress(BlockingIOError):
                os.write(self._ends[end], header + due.packet if header else due.packet)
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


def main() -> None:
    """Run the relay over the connection at descriptor 3; interfaces are at 4 and on."""
    control = Messages(socket.socket(fileno=_CONTROL))
    plan, _ = control.receive()
    try:
        _run(control, plan)
    except Ended:
        pass  # whoever wanted the network is gone
    except Exception as error:  # noqa: BLE001
        with suppress(Ended):
            control.send({"op": "failed", "reason": f"{type(error).__name__}: {error}"})
        sys.exit(1)


def _channels(plan: dict[str, Any]) -> tuple[tuple[Crossing, Crossing], list[Follower]]:
    """Return both directions, and what lets the kernel shape them if it does."""
    clients: list[str] = plan["clients"]
    link = Nested("link", LinkSpec)
    ways: list[Crossing] = []
    followers = []
    shaped = plan["shaped"]
    connection = socket.socket(fileno=_CONTROL + 2 + len(clients)) if shaped else None
    for direction in ("uplink", "downlink"):
        spec = link.validate(plan[direction])
        assert isinstance(spec, LinkSpec)
        if connection is None:
            channel = open_channel(spec, clients, direction, plan["seed"])
            ways.append(crossing(channel, clients, spec.delay_ns))
            continue
        medium = open_medium(spec, clients, direction, plan["seed"])
        ways.append(DelayCrossing(LinkPath(medium, spec.delay_ns)))
        # The uplink is delayed before it is shaped; its curve begins as much later.
        towards, overhead, after_ns = (
            ("server", ETHERNET_BYTES, spec.delay_ns)
            if direction == "uplink"
            else ("clients", 0, 0)
        )
        follower = Follower(connection, shaped[towards], medium.capacity, overhead, after_ns)
        followers.append(follower)
    return (ways[0], ways[1]), followers


def _run(control: Messages, plan: dict[str, Any]) -> None:
    clients: list[str] = plan["clients"]
    ways, followers = _channels(plan)
    log = PacketLog(Path(plan["log"]), plan["about"]) if plan["log"] else None
    captures = []
    if plan["capture"]:
        folder = Path(plan["capture"])
        folder.mkdir(parents=True, exist_ok=True)
        captures = [Capture(folder / f"client-{name}.pcap") for name in clients]
        captures.append(Capture(folder / "server.pcap"))
    ends = list(range(_CONTROL + 1, _CONTROL + 2 + len(clients)))
    addresses = [client_address(number) for number in range(len(clients))]
    header = ETHERNET_HEADER if plan["backend"] == "packet" else b""
    relay = Relay(control, ends, addresses, ways, log, captures, header, followers)
    kernel.exact_timers()
    kernel.lock_memory()
    realtime = plan["realtime"] and kernel.realtime(kernel.RELAY_PRIORITY)
    gc.collect()
    gc.freeze()
    gc.disable()
    control.send({"op": "ready", "realtime": realtime})
    began_ns, used_ns = time.monotonic_ns(), time.process_time_ns()
    try:
        relay.run()
    finally:
        if log is not None:
            log.close()
        for capture in captures:
            capture.close()
    late = relay.lateness
    control.send(
        {
            "op": "report",
            "packets": late.count,
            "queue_drops": sum(way.queue_drops for way in ways),
            "losses": sum(way.losses for way in ways),
            "kernel_drops": sum(map(frames_dropped, ends)) if header else 0,
            "late_p50_ns": late.quantile_ns(500),
            "late_p99_ns": late.quantile_ns(990),
            "late_p999_ns": late.quantile_ns(999),
            "late_max_ns": late.worst_ns,
            "cpu_share": (time.process_time_ns() - used_ns) / (time.monotonic_ns() - began_ns),
        }
    )


if __name__ == "__main__":
    main()
