"""A long TCP flow gets what the links offer: no more, no less."""

from __future__ import annotations

import pytest
from realtime import measured

from testbed.emulate.goodput import PACKET_BYTES, SEGMENT_BYTES, flow
from testbed.links.capacity import of_trace
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.scenario import NetworkSpec
from testbed.traces import read

pytestmark = [pytest.mark.root, measured]

DELAY_NS = 5 * NS_PER_MS


def spec(mbps, **more):
    up = {"kind": "constant", "mbps": mbps, "delay_ms": 5}
    return NetworkSpec.model_validate({"uplink": up | more, "downlink": up})


@pytest.mark.parametrize("backend", ["tun", "packet"])
@pytest.mark.parametrize("mbps", [1, 10, 100])
def test_a_constant_rate_within_a_thousandth(backend, mbps):
    sent = flow(spec(mbps), 3.5, backend=backend)
    got = sent.mbps(NS_PER_S, round(3.4 * NS_PER_S))
    assert got == pytest.approx(mbps * SEGMENT_BYTES / PACKET_BYTES, rel=1e-3)
    assert sent.congestion_control == "cubic"
    assert sent.report.kernel_drops == 0


def test_400_megabits_a_second_within_half_a_percent():
    """What two cores without other work carry; a run that was late says nothing."""
    for _ in range(3):
        sent = flow(spec(400), 3.5, backend="tun")
        if sent.report.valid:
            break
    else:
        pytest.skip(f"this machine is too busy: {sent.report.reason}")
    got = sent.mbps(NS_PER_S, round(3.4 * NS_PER_S))
    assert got == pytest.approx(400 * SEGMENT_BYTES / PACKET_BYTES, rel=5e-3)


def test_the_congestion_control_of_the_scenario():
    reno = {"kind": "tcp", "congestion_control": "reno"}
    asked = spec(5).model_dump(mode="json") | {"transport": reno}
    assert flow(NetworkSpec.model_validate(asked), 0.5).congestion_control == "reno"


def test_without_root():
    sent = flow(spec(5), 3.0, user_namespace=True)
    got = sent.mbps(NS_PER_S, round(2.9 * NS_PER_S))
    assert got == pytest.approx(5 * SEGMENT_BYTES / PACKET_BYTES, rel=0.01)


def test_the_queue_of_a_link_drops_what_it_has_no_room_for():
    sent = flow(spec(5, queue_bytes=30_000), 3.0)
    assert sent.report.queue_drops > 0
    assert sent.mbps(NS_PER_S, round(2.9 * NS_PER_S)) == pytest.approx(4.83, rel=0.05)


def test_htb_follows_a_measured_trace_within_two_thousandths_in_total(shared):
    path = shared / "traces/mahimahi/Verizon-LTE-short.up"
    up = {"kind": "replay", "trace": str(path), "delay_ms": 5}
    down = {"kind": "constant", "mbps": 50, "delay_ms": 5}
    sent = flow(NetworkSpec.model_validate({"uplink": up, "downlink": down}), 12.0, backend="tc")
    first_ns, last_ns, count = sent.between(2 * NS_PER_S, round(11.9 * NS_PER_S))
    curve = of_trace(read(path))
    offered = curve.offered(last_ns - DELAY_NS) - curve.offered(first_ns - DELAY_NS)
    assert count == pytest.approx(offered * SEGMENT_BYTES / PACKET_BYTES, rel=2e-3)
