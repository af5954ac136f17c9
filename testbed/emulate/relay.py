"""The relay: the process between the hosts of a network. `forwarding` has what it does."""

from __future__ import annotations

import gc
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from testbed.emulate import kernel
from testbed.emulate.crossing import Crossing, DelayCrossing, crossing
from testbed.emulate.forwarding import Relay
from testbed.emulate.interfaces import ETHERNET_HEADER, client_address
from testbed.emulate.messages import Ended, Messages
from testbed.emulate.pacing import Pacer
from testbed.emulate.packetlog import Capture, PacketLog
from testbed.emulate.shaping import ETHERNET_BYTES, Follower
from testbed.errors import TestbedError
from testbed.links.link import Medium
from testbed.links.link import Path as LinkPath
from testbed.parts import Nested
from testbed.scenario import LinkSpec
from testbed.scenario.channels import open_channel, open_medium

DIRECTIONS = ("uplink", "downlink")
_CONTROL = 3


class Forwarder(Protocol):
    """What runs in this process."""

    def run(self) -> None:
        """Run until told to stop."""

    def counts(self) -> dict[str, Any]:
        """Return what passed, what did not, and how late."""


def main() -> None:
    """Run the relay over the connection at descriptor 3; interfaces are at 4 and on."""
    control = Messages(socket.socket(fileno=_CONTROL))
    plan, _ = control.receive()
    try:
        _run(control, plan)
    except Ended:
        pass  # whoever wanted the network is gone
    except TestbedError as error:
        with suppress(Ended):
            control.send({"op": "refused", "reason": str(error)})
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001
        with suppress(Ended):
            control.send({"op": "failed", "reason": f"{type(error).__name__}: {error}"})
        sys.exit(1)


def _spec(plan: dict[str, Any], direction: str) -> LinkSpec:
    spec = Nested("link", LinkSpec).validate(plan[direction])
    assert isinstance(spec, LinkSpec)
    return spec


def _medium(plan: dict[str, Any], direction: str) -> Medium:
    return open_medium(_spec(plan, direction), plan["clients"], direction, plan["seed"])


def _channels(plan: dict[str, Any]) -> tuple[tuple[Crossing, Crossing], list[Follower]]:
    """Return both directions, and what lets the kernel shape them if it does."""
    clients: list[str] = plan["clients"]
    ways: list[Crossing] = []
    followers: list[Follower] = []
    shaped = plan["shaped"]
    connection = socket.socket(fileno=_CONTROL + 2 + len(clients)) if shaped else None
    for direction in DIRECTIONS:
        spec = _spec(plan, direction)
        if connection is None:
            channel = open_channel(spec, clients, direction, plan["seed"])
            ways.append(crossing(channel, clients, spec.delay_ns))
            continue
        medium = _medium(plan, direction)
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


def _forwarder(control: Messages, plan: dict[str, Any], undo: ExitStack) -> Forwarder:
    """Return what passes packets on, as far as it is not the kernel."""
    clients: list[str] = plan["clients"]
    if plan["backend"] == "pacing":
        media = [_medium(plan, direction) for direction in DIRECTIONS]
        return Pacer(control, plan["pacer"], [medium.capacity for medium in media])
    ways, followers = _channels(plan)
    log = PacketLog(Path(plan["log"]), plan["about"]) if plan["log"] else None
    if log is not None:
        undo.callback(log.close)
    captures = []
    if plan["capture"]:
        folder = Path(plan["capture"])
        folder.mkdir(parents=True, exist_ok=True)
        captures = [Capture(folder / f"client-{name}.pcap") for name in clients]
        captures.append(Capture(folder / "server.pcap"))
        for capture in captures:
            undo.callback(capture.close)
    ends = list(range(_CONTROL + 1, _CONTROL + 2 + len(clients)))
    addresses = [client_address(number) for number in range(len(clients))]
    header = ETHERNET_HEADER if plan["backend"] == "packet" else b""
    return Relay(control, ends, addresses, ways, log, captures, header, followers)


def _run(control: Messages, plan: dict[str, Any]) -> None:
    with ExitStack() as undo:
        forwarder = _forwarder(control, plan, undo)
        kernel.exact_timers()
        kernel.lock_memory()
        realtime = plan["realtime"] and kernel.realtime(kernel.RELAY_PRIORITY)
        gc.collect()
        gc.freeze()
        gc.disable()
        control.send({"op": "ready", "realtime": realtime})
        began_ns, used_ns = time.monotonic_ns(), time.process_time_ns()
        forwarder.run()
        share = (time.process_time_ns() - used_ns) / (time.monotonic_ns() - began_ns)
    control.send({"op": "report", "cpu_share": share, **forwarder.counts()})


if __name__ == "__main__":
    main()
