"""Rates for the kernel's shaper, and what does not need a kernel of the other modules."""

from __future__ import annotations

import socket
import struct

import pytest

from testbed.emulate import backends, netlink, pacing
from testbed.emulate.probe import verdict
from testbed.emulate.settings import TcpSettings
from testbed.emulate.shaping import FLOOR_BPS, Follower, htb_change, rate_bps
from testbed.errors import TestbedError, UnknownName
from testbed.links.capacity import ConstantRate, Opportunities
from testbed.model import NS_PER_MS
from testbed.scenario import NetworkSpec
from testbed.scenario.channels import open_medium
from testbed.traces import read

BIN_NS = 100 * NS_PER_MS


@pytest.fixture
def bursty(tmp_path):
    """Ten opportunities in the first 100 ms, none in the next, one in the third."""
    path = tmp_path / "bursty.up"
    path.write_text("".join(f"{10 * n}\n" for n in range(1, 11)) + "300\n")
    return Opportunities(read(path))


def test_the_rate_of_a_bin_is_what_it_offers_but_never_below_one_packet(bursty):
    assert [rate_bps(bursty, number) for number in range(4)] == [
        10 * 1500 * 80,
        FLOOR_BPS,
        FLOOR_BPS,
        10 * 1500 * 80,  # the trace begins again
    ]
    assert rate_bps(ConstantRate(5_000_000), 17) == 5_000_000


def htb_fields(message):
    """Return rate, ceiling, and buffers of a change, as the kernel would read them."""
    size, kind, flags = struct.unpack_from("=IHH", message)
    assert (size, kind, flags) == (len(message), 40, 5)  # RTM_NEWTCLASS; REQUEST, ACK
    family, interface, handle, parent = struct.unpack_from("=BxxxiII", message, 16)
    assert (family, handle, parent) == (socket.AF_UNSPEC, 0x10001, 0x10000)
    assert message[36:44] == b"\x08\x00\x01\x00htb\x00"
    options, parameters = struct.unpack_from("=4xHH", message, 40), message[52:]
    assert (options, len(parameters)) == ((52, 2), 44)
    rate, ceiling = struct.unpack_from("=8xI", parameters), struct.unpack_from("=20xI", parameters)
    return interface, rate[0], ceiling[0], struct.unpack_from("=24xII", parameters)


def test_a_change_of_rate_has_the_form_of_the_kernel():
    # 50 Mbit/s: 6.25e6 bytes/s; 2 ms are 12,500 bytes, which take 2 ms: 31,250 ticks of 64 ns
    assert htb_fields(htb_change(7, 50_000_000)) == (7, 6_250_000, 6_250_000, (31_250, 31_250))
    # 0.12 Mbit/s: 15,000 bytes/s; the burst is 3100 bytes, which take 206.7 ms
    assert htb_fields(htb_change(3, 120_000)) == (3, 15_000, 15_000, (3_229_166, 3_229_166))


def test_a_follower_asks_for_a_change_when_the_rate_changes(bursty, monkeypatch):
    asked = []
    monkeypatch.setattr(netlink, "ask", lambda _, message: asked.append(htb_fields(message)[1]))
    follower = Follower(None, 1, bursty, overhead_bytes=14, after_ns=5)
    assert follower.next_ns > 10**18
    follower.begin(1000)
    assert follower.next_ns == 1005
    for _ in range(4):
        follower.act(follower.next_ns)
    ethernet = 1514 / 1500
    assert asked == [int(150_000 * ethernet), int(15_000 * ethernet), int(150_000 * ethernet)]
    assert follower.next_ns == 1005 + 4 * BIN_NS


def network(uplink, **more):
    return NetworkSpec.model_validate(
        {"uplink": uplink, "downlink": {"kind": "constant", "mbps": 1}, **more}
    )


def test_a_shaper_with_one_queue_refuses_cells_and_sleep():
    constant = {"kind": "constant", "mbps": 1}
    cell = network(constant).uplink
    assert open_medium(cell, ["one"], "uplink", 1).capacity.when(8_000_000) == 8000
    with pytest.raises(TestbedError, match=r"uplink.sharing: 'processor-sharing' needs a queue"):
        open_medium(cell, ["one", "two"], "uplink", 1)
    asleep = network({"kind": "after-idle", "link": constant, "table": [[1, 20]]}).uplink
    with pytest.raises(TestbedError, match=r"network.uplink: sleep and queue management"):
        open_medium(asleep, ["one"], "uplink", 1)


def test_settings_of_tcp_are_those_of_the_transport():
    assert TcpSettings.of(network({"kind": "constant", "mbps": 1})) == TcpSettings()
    tcp = {
        "kind": "tcp",
        "congestion_control": "reno",
        "idle_restart": False,
        "initial_window": 40,
    }
    settings = TcpSettings.of(network({"kind": "constant", "mbps": 1}, transport=tcp))
    assert settings == TcpSettings("reno", idle_restart=False, initial_window=40)
    assert settings.sysctls == {
        "net.ipv4.tcp_slow_start_after_idle": "0",
        "net.ipv4.tcp_no_metrics_save": "1",
    }
    assert TcpSettings(buffer_bytes=4096).sysctls["net.ipv4.tcp_rmem"] == "4096 4096 4096"


def test_a_backend_is_judged_by_what_was_measured():
    good = verdict("tun", 20_600_000, 150_000_000, 100_000, realtime=True)
    assert (good.works, good.detail) == (
        True,
        "8.00 Mbit/s, 20.6 ms; relay 0.1 ms late (99 %), real-time",
    )
    slow = verdict("tun", 20_600_000, 300_000_000, 100_000, realtime=True)
    assert (slow.works, slow.detail) == (False, "the rate is 4.00 Mbit/s in place of 8")
    ignored = verdict("tc", 100_000, 150_000_000, 0, realtime=False)
    assert (ignored.works, ignored.detail) == (False, "the round trip is 0.1 ms in place of 20")


def test_backends_are_chosen_by_name():
    assert backends.choose("tc") == "tc"
    with pytest.raises(UnknownName, match=r"no backend 'packets'. Did you mean 'packet'"):
        backends.choose("packets")


def test_a_socket_is_left_alone_where_nobody_paces(monkeypatch):
    monkeypatch.delenv(pacing.ENVIRONMENT, raising=False)
    with socket.socket() as end:
        pacing.join(end, pacing.UPLINK)
        rate = end.getsockopt(socket.SOL_SOCKET, 47, 8)
    assert int.from_bytes(rate, "little") in (2**32 - 1, 2**64 - 1)
