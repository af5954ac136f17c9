"""Pacing on loopback, which needs no privilege."""

from __future__ import annotations

import sys

import pytest

from testbed.emulate.goodput import PACKET_BYTES, SEGMENT_BYTES, flow
from testbed.model import NS_PER_S
from testbed.scenario import NetworkSpec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def test_a_flow_gets_the_rate_and_the_run_says_what_is_left_out():
    link = {"kind": "constant", "mbps": 5, "delay_ms": 30}
    spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
    sent = flow(spec, 2.5, backend="pacing")
    right = 5 * SEGMENT_BYTES / PACKET_BYTES
    assert sent.mbps(NS_PER_S, round(2.4 * NS_PER_S)) == pytest.approx(right, rel=0.02)
    assert sent.report.leaves_out == ("delay", "loss", "queue")
