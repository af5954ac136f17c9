"""The goodput of a long TCP flow over an emulated network: what every link has to carry exactly."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.emulate.lateness import RelayReport
from testbed.emulate.network import environment, network
from testbed.errors import EnvironmentLacks
from testbed.model import NS_PER_S
from testbed.scenario import NetworkSpec

SEGMENT_BYTES, PACKET_BYTES = 1448, 1500
"""Of a full segment with timestamps: what TCP carries, and what the link does."""

_WAIT_S = 30.0

_SINK = """
import socket, sys, time
listening = socket.create_server((sys.argv[1], 5000))
end, _ = listening.accept()
buffer, total, said_ns = bytearray(1 << 20), 0, 0
while count := end.recv_into(buffer):
    total += count
    now_ns = time.monotonic_ns()
    if now_ns - said_ns > 20_000_000:
        said_ns = now_ns
        print(now_ns, total, flush=True)
"""

_SOURCE = """
import os, socket, sys, time
for attempt in range(100):
    try:
        end = socket.create_connection((sys.argv[1], 5000), 10)
        break
    except ConnectionRefusedError:  # the sink is not there yet
        time.sleep(0.05)
if "TESTBED_PACER" in os.environ:
    from testbed.emulate import pacing
    pacing.join(end, pacing.UPLINK)
name = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(bytes(1))[0].decode()
print("control", name, flush=True)
until_ns, data = int(sys.argv[2]), bytes(1 << 16)
end.settimeout(1)
while time.monotonic_ns() < until_ns:
    try:
        end.send(data)
    except TimeoutError:
        pass
"""


@dataclass(frozen=True)
class Flow:
    """What arrived of a long flow.

    Args:
        marks: Pairs of an instant, ns since the links began, and the bytes that had arrived by it.
        congestion_control: Of the connection, as the kernel says.
        report: Of the relay.
    """

    marks: tuple[tuple[int, int], ...]
    congestion_control: str
    report: RelayReport

    def between(self, from_ns: int, until_ns: int) -> tuple[int, int, int]:
        """Return the first and the last instant marked in a span, and the bytes between them."""
        inside = [mark for mark in self.marks if from_ns <= mark[0] <= until_ns]
        (first_ns, first), (last_ns, last) = inside[0], inside[-1]
        return first_ns, last_ns, last - first

    def mbps(self, from_ns: int, until_ns: int) -> float:
        """Return the goodput in a span, Mbit/s."""
        first_ns, last_ns, count = self.between(from_ns, until_ns)
        return count * 8000 / (last_ns - first_ns)


def flow(
    spec: NetworkSpec,
    seconds: float,
    *,
    backend: str = "auto",
    seed: int = 1,
    log: Path | None = None,
    user_namespace: bool | None = None,
) -> Flow:
    """Send for some time as fast as TCP can, from a client to the server.

    Args:
        spec: The links.
        seconds: For how long, from when the links begin.
        backend: As in `testbed.emulate.network.network`.
        seed: Of the links.
        log: As there.
        user_namespace: As there.

    Raises:
        EnvironmentLacks: Nothing arrived, or the network cannot be made.
    """
    with tempfile.TemporaryFile() as sunk, tempfile.TemporaryFile() as said:
        with network(
            spec, ["source"], seed=seed, backend=backend, log=log, user_namespace=user_namespace
        ) as net:
            address, python = net.server.address, [sys.executable, "-c"]
            sink = net.server.spawn([*python, _SINK, address], stdout=sunk.fileno())
            start_ns = net.start()
            until_ns = start_ns + round(seconds * NS_PER_S)
            argv = [*python, _SOURCE, address, str(until_ns)]
            source = net.clients["source"].spawn(argv, stdout=said.fileno(), env=environment())
            code = source.wait(seconds + _WAIT_S)
            sink.signal()
            sink.wait(_WAIT_S)
            report = net.stop()
        if code != 0:
            raise EnvironmentLacks(f"the source of the flow ended with exit code {code}")
        said.seek(0)
        sunk.seek(0)
        control = said.read().decode().split()[1]
        lines = [line.split() for line in sunk.read().decode().splitlines()]
    marks = tuple((int(at) - start_ns, int(total)) for at, total in lines)
    return Flow(marks, control, report)
