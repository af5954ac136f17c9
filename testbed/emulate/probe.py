"""What works on this machine, found by sending packets and looking at a clock.

A kernel may accept a setting and ignore it, so nothing is believed that was not measured.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache

from testbed.emulate.goodput import PACKET_BYTES, SEGMENT_BYTES, flow
from testbed.emulate.network import network
from testbed.errors import TestbedError
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.scenario import NetworkSpec

_MBPS = 8.0
_DELAY_MS = 10.0
_PACKETS, _WARM = 110, 10
_RATE_TOLERANCE = 0.2
_DELAY_TOLERANCE_MS = 20.0
_WAIT_S = 15.0
_PACED_S = 1.5

_SERVER = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.settimeout(10)
end.bind((sys.argv[1], 5000))
print("bound", flush=True)
data, sender = end.recvfrom(2000)
end.sendto(data, sender)
arrivals = []
for _ in range(int(sys.argv[2])):
    end.recv(2000)
    arrivals.append(time.monotonic_ns())
end.sendto(repr(arrivals[-1] - arrivals[int(sys.argv[3]) - 1]).encode(), sender)
"""

_CLIENT = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.settimeout(10)
end.connect((sys.argv[1], 5000))
began_ns = time.monotonic_ns()
end.send(b"")
end.recv(2000)
round_trip_ns = time.monotonic_ns() - began_ns
for _ in range(int(sys.argv[2])):
    end.send(bytes(1472))
print(round_trip_ns, end.recv(2000).decode())
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a backend works here.

    Args:
        backend: Its name.
        works: Whether it does what it was asked for.
        detail: What was measured, or why it does not work.
    """

    backend: str
    works: bool
    detail: str


@cache
def probe(backend: str, *, user_namespace: bool | None = None) -> Probe:
    """Measure rate and round trip of a small network; about a second.

    Args:
        backend: The one to try.
        user_namespace: As in `testbed.emulate.network.network`.
    """
    try:
        return _paced() if backend == "pacing" else _probe(backend, user_namespace)
    except (TestbedError, TimeoutError) as error:
        return Probe(backend, False, " ".join(str(error).split()))


def _probe(backend: str, user_namespace: bool | None) -> Probe:
    link = {"kind": "constant", "mbps": _MBPS, "delay_ms": _DELAY_MS}
    spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
    read, write = os.pipe()
    with os.fdopen(read) as said, os.fdopen(write, "w") as say:
        with network(
            spec, ["probe"], seed=0, backend=backend, user_namespace=user_namespace
        ) as net:
            address, python = net.server.address, [sys.executable, "-c"]
            counts = [str(_PACKETS), str(_WARM)]
            end = say.fileno()
            net.server.spawn([*python, _SERVER, address, *counts], stdout=end)
            said.readline()
            net.start()
            client = net.clients["probe"].spawn([*python, _CLIENT, address, *counts], stdout=end)
            if client.wait(_WAIT_S) != 0:
                return Probe(backend, False, "packets do not get through")
            report = net.stop()
        round_trip_ns, spread_ns = map(int, said.readline().split())
    return verdict(backend, round_trip_ns, spread_ns, report.late_p99_ns, realtime=report.realtime)


def _paced() -> Probe:
    link = {"kind": "constant", "mbps": _MBPS}
    spec = NetworkSpec.model_validate({"uplink": link, "downlink": link})
    got = flow(spec, _PACED_S, backend="pacing").mbps(NS_PER_S // 2, round(_PACED_S * NS_PER_S))
    right = _MBPS * SEGMENT_BYTES / PACKET_BYTES
    measured = f"{got:.2f} Mbit/s of goodput where {right:.2f} are right"
    return Probe("pacing", abs(got / right - 1) <= _RATE_TOLERANCE, f"{measured}; rate only")


def verdict(
    backend: str, round_trip_ns: int, spread_ns: int, late_ns: int, *, realtime: bool
) -> Probe:
    """Return what follows from a measurement.

    Args:
        backend: Its name.
        round_trip_ns: Of an empty datagram.
        spread_ns: From the last packet of the warm-up to the last of all.
        late_ns: Lateness of the relay, 99 %.
        realtime: Whether it had real-time priority.
    """
    mbps = (_PACKETS - _WARM) * 1500 * 8000 / max(1, spread_ns)
    round_trip_ms = round_trip_ns / NS_PER_MS
    wrong = []
    if abs(mbps / _MBPS - 1) > _RATE_TOLERANCE:
        wrong.append(f"the rate is {mbps:.2f} Mbit/s in place of {_MBPS:g}")
    if not 0 <= round_trip_ms - 2 * _DELAY_MS <= _DELAY_TOLERANCE_MS:
        wrong.append(f"the round trip is {round_trip_ms:.1f} ms in place of {2 * _DELAY_MS:g}")
    if wrong:
        return Probe(backend, False, "; ".join(wrong))
    how = "real-time" if realtime else "without real-time priority"
    late = f"relay {late_ns / NS_PER_MS:.1f} ms late (99 %), {how}"
    return Probe(backend, True, f"{mbps:.2f} Mbit/s, {round_trip_ms:.1f} ms; {late}")
