"""A network over the kernel, from the outside."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from statistics import median

import pytest

from testbed.emulate.network import network
from testbed.emulate.packetlog import PASSED, UPLINK, read_packets
from testbed.errors import EnvironmentLacks, TestbedError, UnknownName
from testbed.scenario import NetworkSpec

pytestmark = pytest.mark.root

ROUNDS = 5
"""Of round trips: a busy machine makes some late, none early, and hardly ever most of them."""

ECHO = """
import socket, sys
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind((sys.argv[1], 5000))
print("bound", flush=True)
while True:
    data, sender = end.recvfrom(2000)
    end.sendto(data, sender)
"""

ROUND_TRIPS = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.settimeout(1)
for size in map(int, sys.argv[2:]):
    began_ns = time.monotonic_ns()
    end.sendto(bytes(size), (sys.argv[1], 5000))
    try:
        end.recv(2000)
        print(time.monotonic_ns() - began_ns, flush=True)
    except TimeoutError:
        print("none", flush=True)
"""


def spec(mbps=10.0, delay_ms=10.0, **uplink):
    link = {"kind": "constant", "mbps": mbps, "delay_ms": delay_ms}
    return NetworkSpec.model_validate({"uplink": link | uplink, "downlink": link})


@pytest.fixture
def pipe():
    read, write = os.pipe()
    with os.fdopen(read) as lines:
        yield lines, write
    os.close(write)


def round_trips_ms(net, client, pipe, *sizes):
    lines, end = pipe
    server = net.server.spawn([sys.executable, "-c", ECHO, net.server.address], stdout=end)
    assert lines.readline() == "bound\n"
    argv = [sys.executable, "-c", ROUND_TRIPS, net.server.address, *map(str, sizes)]
    assert net.clients[client].spawn(argv, stdout=end).wait(20) == 0
    server.signal()
    values = [lines.readline().strip() for _ in sizes]
    return [None if value == "none" else int(value) / 1e6 for value in values]


def test_before_the_start_there_is_the_propagation_delay_and_no_rate(pipe):
    with network(spec(mbps=0.1), ["camera"], seed=1) as net:
        trips = round_trips_ms(net, "camera", pipe, *[1472] * ROUNDS)
    assert min(trips) >= 20
    assert median(trips) < 25


def test_a_packet_takes_its_time_on_the_link_and_the_propagation_delay(pipe, tmp_path):
    log = tmp_path / "packets.log"
    with network(spec(mbps=1), ["camera"], seed=1, log=log) as net:
        net.start()
        trips = round_trips_ms(net, "camera", pipe, *[1472, 72] * ROUNDS)
        report = net.stop()
    # 1500 bytes at 1 Mbit/s are 12 ms, 100 bytes are 0.8 ms, each way
    for some, least_ms in ((trips[::2], 44), (trips[1::2], 21.6)):
        assert least_ms <= min(some)
        assert median(some) < least_ms + 2
    assert report.packets == 4 * ROUNDS
    packets, about = read_packets(log)
    assert about["clients"] == ["camera"]
    up = packets[(packets["direction"] == UPLINK) & (packets["fate"] == PASSED)]
    assert (up["due_ns"] - up["arrived_ns"]).tolist() == [22_000_000, 10_800_000] * ROUNDS


def test_a_link_may_lose_everything(pipe):
    inner = {"kind": "constant", "mbps": 10}
    lossy = {"kind": "loss", "rate": 0.999999, "link": inner}
    spec = NetworkSpec.model_validate({"uplink": lossy, "downlink": inner})
    with network(spec, ["camera"], seed=1) as net:
        net.start()
        time.sleep(0.05)
        assert round_trips_ms(net, "camera", pipe, 100) == [None]
        assert net.stop().losses == 1


def test_processes_report_how_they_ended(capfd):
    with network(spec(), ["camera"], seed=1) as net:
        assert net.server.spawn([sys.executable, "-c", "raise SystemExit(7)"]).wait(10) == 7
        asleep = net.server.spawn(["/bin/sleep", "60"])
        assert asleep.poll() is None
        with pytest.raises(TimeoutError, match="still running"):
            asleep.wait(0.05)
        asleep.signal()
        assert asleep.wait(10) == -15
        with pytest.raises(EnvironmentLacks, match=r"/no/such: .*No such file"):
            net.server.spawn(["/no/such"])


def test_descriptors_keep_their_numbers():
    ours, theirs = socket.socketpair()
    code = f"import os; os.write({theirs.fileno()}, b'here')"
    with network(spec(), ["camera"], seed=1) as net:
        child = net.clients["camera"].spawn(
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()]
        )
        assert child.wait(10) == 0
    assert ours.recv(10) == b"here"
    ours.close()
    theirs.close()


def test_an_unknown_backend_is_refused():
    with (
        pytest.raises(UnknownName, match=r"no backend 'tunn'. Did you mean 'tun'"),
        network(spec(), ["camera"], seed=1, backend="tunn"),
    ):
        pass


def test_captures_have_every_packet_of_every_host(pipe, tmp_path):
    with network(spec(), ["camera"], seed=1, capture=tmp_path / "captures") as net:
        round_trips_ms(net, "camera", pipe, 100, 1000)
        net.stop()
    for name in ("client-camera.pcap", "server.pcap"):
        data = (tmp_path / "captures" / name).read_bytes()
        lengths, at = [], 24
        while at < len(data):
            kept, length = struct.unpack_from("<8xII", data, at)
            assert data[at + 16] == 0x45  # IPv4, no options
            assert data[at + 25] == 17  # UDP
            lengths.append(length)
            at += 16 + kept
        assert lengths == [128, 128, 1028, 1028]


def test_a_network_that_is_over_says_so():
    with network(spec(), ["camera"], seed=1) as net:
        report = net.stop()
        assert net.stop() is report
    with pytest.raises(EnvironmentLacks, match="has been closed"):
        net.server.spawn(["/bin/true"])


def test_a_link_that_cannot_be_opened_is_refused_by_the_relay():
    absent = {"kind": "replay", "trace": "no/such/trace.up"}
    asked = NetworkSpec.model_validate({"uplink": absent, "downlink": spec().downlink})
    with (
        pytest.raises(TestbedError, match=r"^no trace .*no/such/trace.up"),
        network(asked, ["camera"], seed=1),
    ):
        pass


def test_a_program_killed_by_somebody_ends_the_network():
    with network(spec(), ["camera"], seed=1) as net:
        asleep = net.server.spawn(["/bin/sleep", "60"])
        os.kill(asleep.pid, 9)
        with pytest.raises(EnvironmentLacks, match="was killed by signal 9; the network is gone"):
            net.clients["camera"].spawn(["/bin/sleep", "60"]).wait(10)
