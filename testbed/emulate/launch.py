"""The launcher: a small process that makes the namespaces of a run and starts everything in them.

It is executed afresh, before anybody imports numpy, because a process with threads cannot enter a
user namespace. What it does, in order: new user namespace (where it is not root), new PID and
mount namespace, a child that is the first process in there, one network namespace for each host.
That child, the keeper, keeps the cores of a virtual machine awake (`wakeful`) and starts processes
on request. Whoever dies, the kernel clears up:

- the caller: the launcher gets a signal and the keeper reads the end of its connection;
- the launcher: the keeper gets a signal, and with the first process of a PID namespace all others;
- the keeper: the same;
- anything else by a signal that nobody asked for: the keeper ends, and all others with it.

Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from testbed.emulate import hosts, kernel
from testbed.emulate.messages import Ended, Messages
from testbed.emulate.wakeful import LOOK_S, Wakeful

_AWAKE = 0
"""The number of what keeps cores awake; what is asked for is counted from 1."""

_HIGH = 500
"""Descriptors below this may be asked for by number."""


def main() -> None:
    """Run the launcher over the connection whose descriptor is the first argument."""
    control = Messages(socket.socket(fileno=int(sys.argv[1])))
    try:
        plan, _ = control.receive()
    except Ended:
        return
    try:
        if plan["user_namespace"]:
            kernel.own_user_namespace()
        kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS)
        apart = True
    except OSError as error:
        if plan["isolated"]:
            control.send({"op": "refused", "reason": str(error)})
            return
        apart = False
    kernel.die_with_parent()  # not before: a process that gains rights is spared
    outer_proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    alive, held = os.pipe2(os.O_CLOEXEC)
    keeper = os.fork()
    if keeper:
        control.close()
        os.close(alive)
        os.waitpid(keeper, 0)
        return
    os.close(held)
    kernel.die_with_parent()
    if apart:
        kernel.own_proc()
    try:
        network = hosts.make(plan)
    except OSError as error:
        control.send({"op": "refused", "reason": str(error)})
        return
    Keeper(control, network, alive, outer_proc).run()


class Keeper:
    """Starts processes on the hosts of a network, and ends when it should.

    Args:
        control: From and to the caller.
        network: The hosts.
        alive: Reads as ended when the launcher is gone.
        outer_proc: The /proc of the caller, to tell it the numbers by which it knows processes.
    """

    def __init__(
        self, control: Messages, network: hosts.Hosts, alive: int, outer_proc: int
    ) -> None:
        self._control = control
        self._network = network
        self._alive = alive
        self._outer_proc = outer_proc
        self._awake = Wakeful()
        # From PID in here to the caller's number for it.
        self._processes: dict[int, int] = dict.fromkeys(self._awake.processes, _AWAKE)
        self._signalled: set[int] = set()

    def run(self) -> NoReturn:
        """Serve until everything is over."""
        died, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        with suppress(Ended):
            self._control.send({"op": "ready", **self._network.describe(), "pid": self._own_pid()})
            waited_for: list[int] = [self._control.fileno(), died, self._alive]
            look_s = LOOK_S if self._awake.processes else None
            while True:
                ready, _, _ = select.select(waited_for, [], [], look_s)
                self._awake.look()
                if self._alive in ready:
                    break
                if died in ready:
                    os.read(died, 4096)
                    if not self._reap():
                        break
                if self._control.fileno() in ready:
                    self._serve()
        for pid in self._processes:  # without a PID namespace nobody else does it
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        os._exit(0)

    def _own_pid(self) -> int:
        return int(os.readlink("self", dir_fd=self._outer_proc))

    def _reap(self) -> bool:
        """Report who has ended. Return False if it was somebody the network cannot do without."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                number = self._processes.pop(pid, None)
                if number is None:
                    continue  # somebody's orphan
                code = os.waitstatus_to_exitcode(status)
                self._control.send({"op": "ended", "number": number, "code": code})
                if code < 0 and pid not in self._signalled:
                    return False
        return True

    def _serve(self) -> None:
        message, descriptors = self._control.receive()
        match message["op"]:
            case "spawn":
                self._control.send(self._spawn(message, descriptors))
            case "signal":
                for pid, number in self._processes.items():
                    if number == message["number"]:
                        self._signalled.add(pid)
                        with suppress(ProcessLookupError):
                            os.killpg(pid, message["signal"])
            case "dropped":
                network = self._network
                dropped, full = network.packets_dropped(), network.queue_drops()
                self._control.send({"op": "dropped", "packets": dropped, "queue": full})
        for descriptor in descriptors:
            os.close(descriptor)

    def _spawn(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Start a process, and return its number in the caller's /proc or what went wrong."""
        said, say = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if not pid:
            self._become(message, descriptors, say)
        os.close(say)
        with open(said, "rb") as answers:  # noqa: PTH123
            outer, _, rest = answers.read().decode(errors="replace").partition("\n")
        granted, _, error = rest.partition("\n")
        if error:
            return {"op": "refused", "reason": error}
        self._processes[pid] = message["number"]
        return {"op": "spawned", "pid": int(outer), "realtime": granted == "realtime"}

    def _become(self, message: dict[str, Any], descriptors: list[int], say: int) -> NoReturn:
        """Turn this fresh child into the process that was asked for."""
        say = fcntl.fcntl(say, fcntl.F_DUPFD_CLOEXEC, _HIGH)  # out of the way of what is asked for
        try:
            kernel.die_with_parent()
            os.write(say, f"{self._own_pid()}\n".encode())
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            own = self._network.of(message["host"])
            if own.namespace is not None:
                kernel.enter(own.namespace)
            granted = message["priority"] > 0 and kernel.realtime(message["priority"])
            os.write(say, b"realtime\n" if granted else b"ordinary\n")
            first = 1 + max([2, *message["descriptors"]])
            targets = [*message["descriptors"], *range(first, first + len(own.ends))]
            sources = [*descriptors, *own.ends]
            _place(dict(zip(targets, sources, strict=True)))
            os.chdir(message["cwd"])
            os.execvpe(message["argv"][0], message["argv"], message["env"])  # noqa: S606
        except BaseException as error:  # noqa: BLE001
            os.write(say, f"{message['argv'][0]}: {error}".encode())
        os._exit(127)


def _place(wanted: dict[int, int]) -> None:
    """Give descriptors the numbers they should have, whatever is there now, for a new program."""
    high = {
        number: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        for number, source in wanted.items()
    }
    for number, source in high.items():
        os.dup2(source, number, inheritable=True)


if __name__ == "__main__":
    main()
