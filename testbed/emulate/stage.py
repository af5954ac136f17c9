"""Where the processes of a run stand: in an emulated network, or before a server elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from testbed.emulate.decoding_live import START_S
from testbed.emulate.messages import Messages, pair
from testbed.emulate.network import Host, Network, environment, network
from testbed.emulate.processes import Child
from testbed.scenario import Scenario

Address = tuple[str, int]

PORT = 7070
"""Where the server of an emulated network listens; nobody else is there."""

READY_S = 90.0
"""Within this every process must have read its plan and connected; torch takes its time."""


class Stage(Protocol):
    """Hosts for the clients of a run, and a server that they reach."""

    def serve(self, plan: dict[str, Any]) -> Address:
        """Have a server, and return where the clients reach it."""

    def device(self, name: str) -> Child:
        """Start the process of a client."""

    def start(self, at_ns: int) -> int:
        """Let time begin at an instant of CLOCK_MONOTONIC, and return it."""

    def stop(self) -> dict[str, Any] | None:
        """Return what the relay did; None without one."""


def _argv(module: str, end: Messages) -> list[str]:
    return [sys.executable, "-P", "-m", f"testbed.emulate.{module}", str(end.fileno())]


class InNetwork:
    """Hosts in namespaces of their own, with the links of the scenario between them.

    Args:
        net: The network.
        undo: Closes what is opened here.
    """

    def __init__(self, net: Network, undo: ExitStack) -> None:
        self._net = net
        self._undo = undo

    def serve(self, plan: dict[str, Any]) -> Address:
        """Start a server on its host, and wait until it listens."""
        child = self._spawn(self._net.server, "station")
        child.tell(**plan, port=PORT)
        child.hear("ready", READY_S + (START_S if plan["network"] else 0))
        return self._net.server.address, PORT

    def device(self, name: str) -> Child:
        """Start the process of a client on its host."""
        return self._spawn(self._net.clients[name], "device")

    def _spawn(self, host: Host, module: str) -> Child:
        ours, theirs = pair()
        child = Child(host.name, ours)
        self._undo.callback(child.close)
        with theirs.socket as end:
            argv = _argv(module, theirs)
            host.spawn(argv, pass_fds=[end.fileno()], env=environment())
        return child

    def start(self, at_ns: int) -> int:
        """Let the links begin."""
        return self._net.start(at_ns)

    def stop(self) -> dict[str, Any] | None:
        """Return what the relay did."""
        return self._net.stop().as_json()


class BeforeServer:
    """Clients on this very host, and a server elsewhere with whatever lies between.

    Args:
        address: The server's.
        undo: Ends what is started here.
    """

    def __init__(self, address: Address, undo: ExitStack) -> None:
        self._address = address
        self._undo = undo

    def serve(self, plan: dict[str, Any]) -> Address:
        """Return the address of the server, which somebody else has started."""
        return self._address

    def device(self, name: str) -> Child:
        """Start the process of a client, which dies with this one."""
        ours, theirs = pair()
        with theirs.socket as end:
            process = subprocess.Popen(  # noqa: S603
                _argv("device", theirs),
                pass_fds=[end.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,  # only this process hears Ctrl-C
            )
        child = Child(name, ours)
        self._undo.callback(process.wait)
        self._undo.callback(process.kill)
        self._undo.callback(child.close)
        return child

    def start(self, at_ns: int) -> int:
        """Let nothing begin: what lies between has begun long ago."""
        return at_ns

    def stop(self) -> dict[str, Any] | None:
        """Return None: there is no relay."""
        return None


@contextmanager
def in_network(
    scenario: Scenario,
    names: Sequence[str],
    seed: int,
    backend: str,
    log: Path | None,
    capture: Path | None,
) -> Iterator[InNetwork]:
    """Make a network for some clients, and unmake it when the block ends."""
    spec = scenario.spec.network
    made = network(spec, names, seed=seed, backend=backend, log=log, capture=capture)
    with made as net, ExitStack() as undo:
        yield InNetwork(net, undo)


@contextmanager
def before_server(address: Address) -> Iterator[BeforeServer]:
    """Have clients of a server elsewhere, and end them when the block ends."""
    with ExitStack() as undo:
        yield BeforeServer(address, undo)
