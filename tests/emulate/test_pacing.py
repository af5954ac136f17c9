"""Pacing on loopback, which needs no privilege."""

from __future__ import annotations

import sys

import pytest
from realtime import measured

from testbed.emulate.goodput import PACKET_BYTES, SEGMENT_BYTES, flow
from testbed.emulate.run import Emulated
from testbed.model import NS_PER_S
from testbed.scenario import NetworkSpec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


@measured
def test_a_flow_gets_the_rate_and_the_run_says_what_is_left_out():
    link = {"kind": "constant", "mbps": 5, "delay_ms": 30}
    spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
    # Loopback carries up to 64 kB in one piece, so that a window is known to a piece at either end.
    sent = flow(spec, 6.5, backend="pacing")
    right = 5 * SEGMENT_BYTES / PACKET_BYTES
    assert sent.mbps(NS_PER_S, round(6.4 * NS_PER_S)) == pytest.approx(right, rel=0.02)
    assert sent.congestion_control in ("cubic", "reno")  # what may be chosen depends on the user
    assert sent.report.leaves_out == ("delay", "loss", "queue")


def test_the_results_of_such_a_run_say_so():
    report = {
        "relay": {"backend": "pacing", "realtime": True, "leaves_out": ["delay", "loss", "queue"]},
        "clients": {"camera": {"stand_in": False}},
        "valid": True,
    }
    said = list(Emulated([], [], [report]).warnings())
    assert said == ["emulated by pacing: the links' delay, loss, queue are left out"]
