"""Cores that do not sleep while a network is there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from testbed.emulate import wakeful
from testbed.emulate.network import network
from testbed.emulate.wakeful import LOOK_S, Wakeful, can_keep_awake
from testbed.scenario import NetworkSpec

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not can_keep_awake(), reason="nothing is kept awake here"),
]

LINK = {"kind": "constant", "mbps": 2, "delay_ms": 5}


def of_one_core(keeper):
    """Return the children of a process that may use one core, and which."""
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    found = {int(child): os.sched_getaffinity(int(child)) for child in children}
    return {child: cores for child, cores in found.items() if len(cores) == 1}


def test_each_core_has_a_process_that_ends_with_the_network():
    spec = NetworkSpec.model_validate({"uplink": LINK, "downlink": LINK})
    wanted = [{core} for core in sorted(os.sched_getaffinity(0))]
    with network(spec, ["camera"], seed=1, backend="tun") as net:
        until = time.monotonic() + 20
        while list((found := of_one_core(net.keeper_pid)).values()) != wanted:
            assert time.monotonic() < until, found
            time.sleep(0.01)
    until = time.monotonic() + 1
    while any(Path(f"/proc/{child}").exists() for child in found):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def stopped():
    """Return a process of idle priority that gets nowhere."""
    process = subprocess.Popen(["sleep", "100"])
    os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    process.send_signal(signal.SIGSTOP)
    yield process.pid
    process.kill()
    process.wait()


def test_who_gets_nowhere_is_lifted_and_not_before_it_is_clear(monkeypatch, stopped):
    now_s = 1000.0
    monkeypatch.setattr(wakeful, "can_keep_awake", lambda: False)
    monkeypatch.setattr(wakeful.time, "monotonic", lambda: now_s)
    awake = Wakeful()
    assert awake.processes == []
    awake.processes = [stopped]

    for now_s, policy in (  # noqa: B007
        (1000.0, os.SCHED_IDLE),
        (1000.0 + 0.9 * LOOK_S, os.SCHED_IDLE),
        (1000.0 + 1.1 * LOOK_S, os.SCHED_OTHER),
    ):
        awake.look()
        assert os.sched_getscheduler(stopped) == policy
