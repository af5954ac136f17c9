"""The timers of this machine's kernel ring when the simulator says (`testbed.links.tcp.rtt`)."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from realtime import measured

from testbed.links.tcp.rtt import rings_ns

pytestmark = [pytest.mark.root, measured, pytest.mark.timeout(60)]

SYNS = """
import json, select, socket, struct, time
from fcntl import ioctl
from pyroute2 import IPRoute

tun = open("/dev/net/tun", "r+b", buffering=0)
ioctl(tun, 0x400454CA, struct.pack("16sH", b"t0", 0x1001))
with IPRoute() as kernel:
    [index] = kernel.link_lookup(ifname="t0")
    kernel.addr("add", index=index, address="10.9.0.1", prefixlen=24)
    kernel.link("set", index=index, state="up")
seen, asking, begun = {}, [], time.monotonic()
while (now := time.monotonic()) < begun + 4.5:
    if len(asking) < 40 and now >= begun + 0.0413 * len(asking):
        asking.append(socket.socket())
        asking[-1].setblocking(False)
        asking[-1].connect_ex(("10.9.0.2", 80))
    if select.select([tun], [], [], 0.005)[0]:
        packet = tun.read(2000)
        if packet[0] >> 4 == 4 and packet[9] == 6:
            seen.setdefault(packet[20:22].hex(), []).append(time.monotonic())
print(json.dumps(list(seen.values())))
"""
"""Asks 40 times for a connection with somebody who is not there, and says when SYNs came."""


@pytest.fixture
def gaps_s():
    """Return the seconds between each first SYN and its repetition, and from there to the next."""
    if not Path("/dev/net/tun").exists() or shutil.which("unshare") is None:
        pytest.skip("needs /dev/net/tun and unshare")
    config = Path("/proc/config.gz")
    if (
        not config.exists()
        or "CONFIG_HZ=250\n" not in gzip.decompress(config.read_bytes()).decode()
    ):
        pytest.skip("the kernel does not say that it counts 250 ticks a second")
    command = ["unshare", "-n", sys.executable, "-c", SYNS]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    times = [came[:3] for came in json.loads(done.stdout) if len(came) > 2]
    assert len(times) > 30
    return [(b - a, c - b) for a, b, c in times]


def test_a_syn_is_repeated_when_the_timer_wheel_gets_round_to_it(gaps_s):
    """1.000 to 1.032 s after the first, by when that was; then, on the wheel's grid, after 1.024.

    Linux waits as long again the first four times (`tcp_syn_linear_timeouts`, since 6.5).
    """
    first, second = zip(*gaps_s, strict=True)

    assert min(first) >= 0.999
    assert max(first) <= 1.034
    assert sum(first) / len(first) == pytest.approx(1.016, abs=0.004)
    if max(second) < 1.5:
        grid_ns = rings_ns(0, 1_000_000_000)
        exact_ns = rings_ns(grid_ns, 1_000_000_000) - grid_ns
        assert sum(second) / len(second) == pytest.approx(exact_ns / 1e9, abs=0.002)
