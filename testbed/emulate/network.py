"""A network of real hosts with the links of a scenario between them.

    with network(spec.network, ["camera"], seed=1, log=folder / "packets.log") as net:
        server = net.server.spawn([sys.executable, "-m", "…"])
        camera = net.clients["camera"].spawn([sys.executable, "-m", "…"], pass_fds=[fd])
        # here clients may connect: until the start there is nothing but the propagation delay
        zero_ns = net.start()          # time zero of the links, on CLOCK_MONOTONIC
        camera.wait(timeout_s=60)
        report = net.stop()            # lateness, drops, whether the run may be believed

Every host is a network namespace with one interface, `Host.address`; clients reach `server.address`
and the server reaches each client. `spawn` executes a program there, which dies with the network.
A process that dies by a signal which was not sent through `Process.signal` ends the network, and
so does the relay; then every call raises `EnvironmentLacks` and nothing is left running.

The relay opens the links from their specification, with the seed and names that the simulator uses,
so that both engines drive the same channel. Processes share one clock, `time.monotonic_ns()`.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from select import select
from signal import SIGKILL, SIGTERM
from typing import Any

import testbed
from testbed.emulate import backends, kernel, pacing
from testbed.emulate.hosts import RELAY
from testbed.emulate.lateness import ORDINARY_GATE, REALTIME_GATE, RelayReport
from testbed.emulate.messages import Ended, Messages, pair
from testbed.emulate.settings import TcpSettings
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.model import NS_PER_MS
from testbed.scenario import NetworkSpec

_READY_S = 60.0
_STOP_S = 10.0
_LEAD_NS = 20 * NS_PER_MS
"""From `start` to time zero, so that the relay knows it before it is."""


class Process:
    """A program on a host.

    Attributes:
        pid: As the caller sees it.
        realtime: Whether it has real-time priority.
    """

    def __init__(self, network: Network, number: int, pid: int, *, realtime: bool) -> None:
        self.pid = pid
        self.realtime = realtime
        self._network = network
        self._number = number

    def poll(self) -> int | None:
        """Return its exit code, negative for the signal that ended it; None while it runs."""
        return self._network.exit_code(self._number, 0.0)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            TimeoutError: It is still running.
            EnvironmentLacks: The network has broken down meanwhile.
        """
        code = self._network.exit_code(self._number, timeout_s)
        if code is None:
            raise TimeoutError(f"process {self.pid} is still running after {timeout_s:g} s")
        return code

    def signal(self, number: int = SIGTERM) -> None:
        """Send a signal to it and to what it has started."""
        self._network.signal(self._number, number)


@dataclass(frozen=True)
class Host:
    """A client or the server.

    Args:
        name: The client's, or `server`.
        address: Its IPv4 address.
    """

    name: str
    address: str
    _network: Network
    _number: int

    def spawn(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        realtime: bool = True,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Process:
        """Execute a program on this host.

        Args:
            argv: The program and its arguments.
            pass_fds: Descriptors that it gets under the same numbers.
            env: Its environment; this process's own if None.
            realtime: Whether it comes before ordinary processes, where that is allowed. Not for
                what computes without a pause: the kernel holds such a process back, and with it
                the relay.
            stdout: Descriptor of its output; None for this process's own.
            stderr: The same for its errors.

        Raises:
            EnvironmentLacks: It cannot be executed.
        """
        wanted = {number: number for number in pass_fds}
        wanted |= {1: stdout} if stdout is not None else {}
        wanted |= {2: stderr} if stderr is not None else {}
        priority = kernel.ENDPOINT_PRIORITY if realtime else 0
        return self._network.spawn(self._number, argv, wanted, env, priority)


class Network:
    """A running network. `network` makes one.

    Attributes:
        backend: What shapes the packets.
        server: Where frames are decoded.
        clients: Hosts by the name of the client.
        settings: What the kernel of the hosts is set to, as read back.
        shaped: Indices of the interfaces that the kernel shapes, by name; empty if it shapes none.
        realtime: Whether the relay has real-time priority.
    """

    def __init__(
        self, backend: str, clients: Sequence[str], control: Messages, congestion_control: str
    ) -> None:
        self.backend = backend
        self._control = control
        pacer = f"testbed-{secrets.token_hex(8)}/{congestion_control}"
        self._extra = {pacing.ENVIRONMENT: pacer} if backend == "pacing" else {}
        self._lock = threading.RLock()
        self._codes: dict[int, int] = {}
        self._count = 0
        self._broken: str | None = None
        self._relay: Messages | None = None
        self._report: RelayReport | None = None
        ready = self._answer("ready", _READY_S)
        self.keeper_pid: int = ready["pid"]
        self.settings: dict[str, str | None] = ready["settings"]
        self.shaped: dict[str, int] = ready["shaped"]
        addresses: list[str] = ready["addresses"]
        *own, server = (
            Host(name, address, self, number)
            for number, (name, address) in enumerate(
                zip([*clients, "server"], addresses, strict=True)
            )
        )
        self.server: Host = server
        self.clients: dict[str, Host] = {host.name: host for host in own}
        self.realtime = False

    # What processes need.

    def spawn(
        self,
        host: int | str,
        argv: Sequence[str],
        descriptors: Mapping[int, int],
        env: Mapping[str, str] | None,
        priority: int,
    ) -> Process:
        """Execute a program on a host by its number; see `Host.spawn`."""
        with self._lock:
            self._count += 1
            number = self._count
            env = {**(os.environ if env is None else env), **self._extra}
            message = {
                "op": "spawn",
                "number": number,
                "host": host,
                "argv": list(argv),
                "env": env,
                "cwd": str(Path.cwd()),
                "priority": priority,
                "descriptors": list(descriptors),
            }
            self._say(message, list(descriptors.values()))
            answer = self._answer("spawned", _READY_S)
        return Process(self, number, answer["pid"], realtime=answer["realtime"])

    def signal(self, number: int, signal: int) -> None:
        """Send a signal to a process by its number."""
        with self._lock:
            self._say({"op": "signal", "number": number, "signal": int(signal)})

    def exit_code(self, number: int, timeout_s: float | None) -> int | None:
        """Return the exit code of a process; None if it still runs after a while."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while number not in self._codes:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            if not self._hear(left_s) and left_s == 0.0:
                return None
        return self._codes[number]

    # What a run needs.

    def start(self, at_ns: int | None = None) -> int:
        """Let the links begin, and return when that is on CLOCK_MONOTONIC.

        Args:
            at_ns: When their time is zero, in the future; None for some milliseconds from now.
        """
        assert self._relay is not None
        if at_ns is None:
            at_ns = time.monotonic_ns() + _LEAD_NS
        self._tell_relay({"op": "start", "at_ns": at_ns})
        self._relay_answer("started", _STOP_S)
        return at_ns

    def stop(self) -> RelayReport:
        """Stop the relay and return what it did. A second time the same."""
        if self._report is None:
            self._tell_relay({"op": "stop"})
            said = self._relay_answer("report", _STOP_S)
            del said["op"]
            with self._lock:
                self._say({"op": "dropped"})
                dropped = self._answer("dropped", _STOP_S)
            self._report = RelayReport(
                backend=self.backend,
                realtime=self.realtime,
                kernel_drops=dropped["packets"] + said.pop("kernel_drops"),
                queue_drops=dropped["queue"] + said.pop("queue_drops"),
                load_average=os.getloadavg()[0],
                gate=REALTIME_GATE if self.realtime else ORDINARY_GATE,
                settings=self.settings,
                leaves_out=pacing.LEAVES_OUT if self.backend == "pacing" else (),
                **said,
            )
        return self._report

    def close(self) -> None:
        """Close the connections; whatever still runs on the hosts is killed."""
        self._control.close()
        if self._relay is not None:
            self._relay.close()
        self._broken = self._broken or "the emulated network has been closed"

    def start_relay(self, plan: dict[str, Any]) -> None:
        """Execute the relay and wait until it is ready."""
        ours, theirs = pair()
        with theirs.socket:
            argv = [sys.executable, "-P", "-m", "testbed.emulate.relay"]
            self.spawn(RELAY, argv, {3: theirs.fileno()}, environment(), 0)
        self._relay = ours
        self._tell_relay({**plan, "pacer": self._extra.get(pacing.ENVIRONMENT)})
        self.realtime = self._relay_answer("ready", _READY_S)["realtime"]

    # Conversations with the keeper and the relay.

    def _say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        self._check()
        try:
            self._control.send(message, descriptors)
        except Ended:
            self._break()

    def _answer(self, op: str, timeout_s: float) -> dict[str, Any]:
        until_s = time.monotonic() + timeout_s
        while True:
            message = self._next(max(0.0, until_s - time.monotonic()))
            if message is None:
                raise EnvironmentLacks(f"the launcher of the network said nothing in {timeout_s} s")
            if message["op"] == op:
                return message
            if message["op"] == "refused":
                raise EnvironmentLacks(message["reason"])

    def _next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Return the next message from the keeper; None if none comes in time."""
        with self._lock:
            self._check()
            if not select([self._control], [], [], timeout_s)[0]:
                return None
            try:
                message, _ = self._control.receive()
            except Ended:
                self._break()
            if message["op"] == "ended":
                self._codes[message["number"]] = message["code"]
            return message

    def _hear(self, timeout_s: float | None) -> bool:
        """Take news of processes; return whether there was any."""
        step_s = 0.1 if timeout_s is None else min(timeout_s, 0.1)  # others may want to speak
        return self._next(step_s) is not None

    def _check(self) -> None:
        if self._broken is not None:
            raise EnvironmentLacks(self._broken)

    def _break(self) -> None:
        dead = [code for code in self._codes.values() if code < 0]
        how = f" by signal {-dead[-1]}" if dead else ""
        self._broken = f"a process of the emulated network was killed{how}; the network is gone"
        self._check()

    def _tell_relay(self, message: dict[str, Any]) -> None:
        assert self._relay is not None
        with suppress(Ended):
            self._relay.send(message)

    def _relay_answer(self, op: str, timeout_s: float) -> dict[str, Any]:
        assert self._relay is not None
        if select([self._relay], [], [], timeout_s)[0]:
            with suppress(Ended):
                message, _ = self._relay.receive()
                if message["op"] == op:
                    return message
                if message["op"] == "refused":
                    raise TestbedError(message["reason"])
                raise TestbedError(f"the relay failed: {message.get('reason', message['op'])}")
        self._hear(1.0)
        self._check()
        raise EnvironmentLacks("the relay of the emulated network ended of its own accord")


@contextmanager
def network(
    spec: NetworkSpec,
    clients: Sequence[str],
    *,
    seed: int,
    backend: str = "auto",
    log: Path | None = None,
    capture: Path | None = None,
    settings: TcpSettings | None = None,
    realtime: bool = True,
    user_namespace: bool | None = None,
) -> Iterator[Network]:
    """Make a network, and unmake it when the block ends, however it ends.

    Args:
        spec: The links of the scenario.
        clients: Names of the clients.
        seed: Of the run.
        backend: One of `backends.BACKENDS`, or `auto` for the first that works here.
        log: File for the log of all packets; None for none.
        capture: Folder for captures of each host; None for none.
        settings: Of TCP; None for what the scenario's transport says.
        realtime: Whether relay and endpoints may have real-time priority.
        user_namespace: Whether to work without root; None for only if there is no root.

    Raises:
        EnvironmentLacks: The kernel refuses, or somebody killed a process of the network.
        TestbedError: The links cannot be opened.
    """
    chosen = backends.choose(backend, user_namespace=user_namespace)
    settings = settings or TcpSettings.of(spec)
    if user_namespace is None:
        user_namespace = os.geteuid() != 0
    ours, theirs = pair()
    with theirs.socket:
        launcher = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "testbed.emulate.launch", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
    made: Network | None = None
    try:
        ours.send(
            {
                "backend": chosen,
                "isolated": chosen != "pacing",
                "user_namespace": user_namespace,
                "clients": len(clients),
                "sysctls": settings.sysctls,
                "congestion_control": settings.congestion_control,
                "initial_window": settings.initial_window,
                "uplink_queue": spec.uplink.queue_bytes,
                "downlink_queue": spec.downlink.queue_bytes,
            }
        )
        made = Network(chosen, clients, ours, settings.congestion_control)
        made.start_relay(
            {
                "uplink": spec.uplink.model_dump(mode="json"),
                "downlink": spec.downlink.model_dump(mode="json"),
                "clients": list(clients),
                "seed": seed,
                "backend": chosen,
                "shaped": made.shaped,
                "log": None if log is None else str(log.absolute()),
                "capture": None if capture is None else str(capture.absolute()),
                "realtime": realtime,
                "about": {"clients": list(clients), "seed": seed, "backend": chosen},
            }
        )
        yield made
    finally:
        if made is None:
            ours.close()
        else:
            made.close()
        with suppress(ProcessLookupError):
            launcher.send_signal(SIGKILL)
        launcher.wait()


def environment() -> dict[str, str]:
    """Return an environment in which this very package is found."""
    home = str(Path(testbed.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}
