"""When packets are due at the other end, and whether a real relay keeps to it."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from testbed.emulate.crossing import FAR_NS, DelayCrossing, crossing
from testbed.emulate.network import network
from testbed.emulate.packetlog import LOST, PASSED, QUEUE, UPLINK, read_packets
from testbed.links.capacity import ConstantRate
from testbed.links.link import Medium, Path
from testbed.scenario import LinkSpec, NetworkSpec
from testbed.scenario.channels import open_channel

MS = 1_000_000


def link_spec(**keys):
    asked = keys if "kind" in keys else {"kind": "constant", "mbps": 12} | keys
    return NetworkSpec.model_validate({"uplink": asked, "downlink": asked}).uplink


def opened(clients=("one",), **keys):
    spec = link_spec(**keys)
    return crossing(open_channel(spec, clients, "uplink", 1), clients, spec.delay_ns)


def taken(way, now_ns):
    """Return due time and client of all that is due by now."""
    out = []
    while (due := way.take(now_ns)) is not None:
        out.append((due.due_ns, due.client))
    return out


def test_before_the_links_begin_a_packet_takes_the_propagation_delay():
    way = opened(delay_ms=7)
    assert way.next_ns == FAR_NS
    way.arrive(5 * MS, 0, bytes(1500))
    way.begin(100 * MS)
    way.arrive(100 * MS - 1, 0, bytes(1500))
    assert way.next_ns == 12 * MS
    assert taken(way, 200 * MS) == [(12 * MS, 0), (107 * MS - 1, 0)]


def test_after_that_it_takes_its_turn_on_the_link_as_well():
    way = opened(delay_ms=7)  # 12 Mbit/s: 1500 bytes are a millisecond
    way.begin(100 * MS)
    assert way.arrive(100 * MS, 0, bytes(1500)) is None
    assert way.arrive(100 * MS, 0, bytes(750)) is None
    assert taken(way, 108 * MS - 1) == []
    assert taken(way, 200 * MS) == [(108 * MS, 0), (108 * MS + MS // 2, 0)]


def test_a_full_queue_refuses():
    way = opened(queue_bytes=2000)
    way.begin(0)
    assert way.arrive(0, 0, bytes(1500)) is None
    assert way.arrive(0, 0, bytes(1500)) == "queue"
    assert (way.queue_drops, way.losses) == (1, 0)


def test_a_lost_packet_has_used_the_link():
    inner = {"kind": "constant", "mbps": 12}
    way = opened(kind="loss", rate=0.5, link=inner)
    way.begin(0)
    fates = [way.arrive(0, 0, bytes(1500)) for _ in range(200)]
    due = [at for at, _ in taken(way, 10**12)]
    assert way.losses == fates.count("lost") == 200 - len(due)
    assert 60 < way.losses < 140
    assert due == [(n + 1) * MS for n, fate in enumerate(fates) if fate is None]


def test_clients_of_a_cell_share_it_packet_by_packet():
    way = opened(("one", "two"), delay_ms=3, sharing="processor-sharing")
    way.begin(50 * MS)
    way.arrive(50 * MS, 0, bytes(1500))
    way.arrive(50 * MS, 1, bytes(1500))
    way.arrive(50 * MS, 1, bytes(1500))
    assert way.next_ns == 52 * MS  # leaves the cell
    assert taken(way, 52 * MS) == []
    assert way.next_ns == 53 * MS  # alone now
    assert sorted(taken(way, 60 * MS)) == [(55 * MS, 0), (55 * MS, 1), (56 * MS, 1)]


def test_losses_of_a_cell_are_told():
    inner = {"kind": "constant", "mbps": 12}
    way = opened(("one", "two"), kind="loss", rate=0.999, link=inner)
    told = []
    way.on_loss = lambda *about: told.append(about)
    way.begin(0)
    assert way.arrive(5, 1, bytes(100)) is None
    assert taken(way, 10**12) == []
    assert told == [(1, 100, 5)]


def test_delay_alone_has_no_rate():
    way = DelayCrossing(Path(Medium(ConstantRate(1)), 4 * MS))
    way.begin(0)
    for _ in range(3):
        way.arrive(9, 0, bytes(1500))
    assert taken(way, 10**9) == [(4 * MS + 9, 0)] * 3


INNER = {"kind": "constant", "mbps": 5}

SENDER = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(150):
    end.sendto(bytes(100 + 2 * number), (sys.argv[1], 9))
    if number % 30 == 29:
        time.sleep(0.05)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("backend", "uplink"),
    [
        ("tun", {"kind": "replay", "trace": "lte/drive-a.up", "queue_bytes": 8000}),
        ("packet", {"kind": "replay", "trace": "lte/drive-a.up", "sharing": "fifo"}),
        ("tun", {"kind": "loss", "rate": 0.1, "burst": 2.0, "link": INNER}),
        ("tun", {"kind": "jitter", "link": INNER, "sharing": "none"}),
        ("tun", INNER | {"sharing": "round-robin", "queue_bytes": 8000}),
        ("tun", {"kind": "replay", "trace": "lte/drive-a.up", "sharing": "proportional-fair"}),
    ],
    ids=["trace", "packet", "loss", "jitter", "round-robin", "proportional-fair"],
)
def test_every_packet_is_due_when_the_links_of_the_simulator_say(tmp_path, uplink, backend):
    down = {"kind": "constant", "mbps": 50}
    spec = NetworkSpec.model_validate({"uplink": uplink | {"delay_ms": 8}, "downlink": down})
    clients = ["one", "two"]
    log = tmp_path / "packets.log"
    with network(spec, clients, seed=3, log=log, backend=backend) as net:
        zero_ns = net.start()
        time.sleep(max(0, zero_ns - time.monotonic_ns()) / 1e9)  # links log nothing before
        argv = [sys.executable, "-c", SENDER, net.server.address]
        senders = [net.clients[name].spawn(argv) for name in clients]
        assert [sender.wait(20) for sender in senders] == [0, 0]
        net.server.spawn(["/bin/sleep", "1.5"]).wait(10)  # until the last has passed
        report = net.stop()
    packets, _ = read_packets(log)
    up = packets[packets["direction"] == UPLINK]
    assert len(up) == 300
    assert report.queue_drops == np.count_nonzero(up["fate"] == QUEUE)
    assert report.losses == np.count_nonzero(up["fate"] == LOST)

    assert isinstance(spec.uplink, LinkSpec)
    way = crossing(open_channel(spec.uplink, clients, "uplink", 3), clients, spec.uplink.delay_ns)
    way.begin(0)
    refused = 0
    for packet in np.sort(up, order="arrived_ns", kind="stable"):
        gone = way.arrive(int(packet["arrived_ns"]), packet["client"], bytes(packet["size_bytes"]))
        refused += gone == "queue"
    passed = up[up["fate"] == PASSED]
    logged = sorted(zip(passed["due_ns"].tolist(), passed["client"].tolist(), strict=True))
    assert sorted(taken(way, 10**15)) == logged
    assert refused == report.queue_drops
