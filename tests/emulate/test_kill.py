"""Whoever is killed, whenever: a second later nothing of an emulated network is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from testbed.emulate.wakeful import can_keep_awake

pytestmark = pytest.mark.root

OWNER = """
import sys, time
from testbed.emulate.network import network
from testbed.scenario import NetworkSpec

FLOOD = '''
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    end.sendto(bytes(1400), (sys.argv[1], 9))
    time.sleep(0.002)
'''
SLEEP = '''
import subprocess, sys, time
grandchild = subprocess.Popen(["sleep", "100"])
time.sleep(100)
'''
link = {"kind": "constant", "mbps": 2, "delay_ms": 5}
spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
with network(spec, ["camera"], seed=1, backend=sys.argv[1]) as net:
    server = net.server.spawn([sys.executable, "-c", SLEEP])
    camera = net.clients["camera"].spawn([sys.executable, "-c", FLOOD, net.server.address])
    net.start()
    print("running", flush=True)
    camera.wait(100)
"""

ROLES = ["owner", "launcher", "keeper", "relay", "server", "camera"]
WAKEFUL = len(os.sched_getaffinity(0)) if can_keep_awake() else 0
GRANDCHILD = b"sleep\x00"
"""A process that the server has started; killing it is the server's affair."""


def marked(mark):
    """Return the processes of a run and their command lines, whoever is their parent now."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile, or a kernel thread
    return found


def in_order(processes):
    """Return the process IDs of a complete run in the order of `ROLES`, the wakeful ones last."""

    def role(pid):
        line = processes[pid]
        if b"testbed.emulate.launch" in line:
            launchers = sorted(p for p in processes if b"testbed.emulate.launch" in processes[p])
            at = launchers.index(pid)
            return 1 + at if at < 2 else 7
        signs = {0: b"backend=sys.argv", 3: b"testbed.emulate.relay", 4: b"grandchild"}
        found = (at for at, sign in signs.items() if sign in line)
        return next(found, 6 if line.startswith(GRANDCHILD) else 5)

    return sorted(processes, key=role)


def namespaces():
    """Return the network namespaces that any process is in."""
    seen = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            seen.add(link.readlink().name)
        except OSError:
            continue
    return seen


class Run:
    """An owner of a network in a process of its own, marked by its environment."""

    def __init__(self, backend):
        self.mark = uuid.uuid4().hex.encode()
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, backend],
            env={**os.environ, "KILL_TEST": self.mark.decode()},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def until_running(self):
        assert self.process.stdout.readline() == b"running\n"
        until = time.monotonic() + 5
        while len(processes := marked(self.mark)) <= len(ROLES) + WAKEFUL:
            assert time.monotonic() < until, processes
            time.sleep(0.01)
        return in_order(processes)

    def left_after_a_second(self):
        """Return what is left of the network; the owner need only end as soon as it can."""
        until = time.monotonic() + 1
        while left := {k: v for k, v in marked(self.mark).items() if k != self.process.pid}:
            if time.monotonic() > until:
                return left
            time.sleep(0.005)
        self.process.wait(60)
        return marked(self.mark)

    def close(self):
        for pid in marked(self.mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start():
    runs = []

    def start(backend):
        runs.append(Run(backend))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


OTHERS = [
    ("wakeful", "tun"),
    ("relay", "packet"),
    ("keeper", "packet"),
    ("owner", "tc"),
    ("launcher", "tc"),
]


@pytest.mark.parametrize(
    ("role", "backend"), [*((role, "tun") for role in ROLES), *OTHERS, ("owner", "pacing")]
)
def test_nothing_is_left_a_second_after_one_of_them_is_killed(start, role, backend):
    interfaces, before = set(Path("/sys/class/net").iterdir()), namespaces()
    run = start(backend)
    processes = run.until_running()
    if role == "wakeful" and not WAKEFUL:
        pytest.skip("nothing is kept awake here")
    victim = processes[-1 if role == "wakeful" else ROLES.index(role)]
    if backend != "pacing":
        assert len(namespaces() - before) >= 3
    os.kill(victim, signal.SIGKILL)
    assert run.left_after_a_second() == {}
    assert set(Path("/sys/class/net").iterdir()) == interfaces


@pytest.mark.slow
def test_nothing_is_left_after_kills_at_random_moments(start):
    draw = random.Random(7)
    hit = 0
    for _ in range(50):
        run = start("tun")  # `auto` tries backends first, and outlives a kill among its trials
        time.sleep(draw.uniform(0.02, 3.0))
        processes = marked(run.mark)
        victims = [pid for pid, line in processes.items() if not line.startswith(GRANDCHILD)]
        victim = draw.choice(sorted(victims))
        os.kill(victim, signal.SIGKILL)
        hit += 1
        assert run.left_after_a_second() == {}, f"after {hit} kills"
        run.close()
    assert hit == 50
