"""Shaping by the kernel: an HTB class on an interface, whose rate follows a capacity curve.

The settings are those with which HTB was found to follow LTE traces within 0.2 % in total: a burst
of two packets or 2 ms, a child queue with a limit in bytes, rates for bins of 100 ms, never below
one packet per bin, because the timer of a packet that waits at a low rate is not set anew when the
rate rises. A change keeps the queue and the tokens; TBF, which fills its bucket at every change, is
up to 540 % too fast. pyroute2 sets up; a change is one prepared message, sixty times quicker.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from testbed.emulate import netlink
from testbed.model import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from testbed.links.capacity import Capacity

BIN_NS = 100 * NS_PER_MS
FLOOR_BPS = 120_000
_OPEN_BPS = 10 * 10**9
"""Until the links begin."""

_BURST_BYTES = 3100
_BURST_NS = 2 * NS_PER_MS
ETHERNET_BYTES = 14
PACKET_BYTES = 1500
NO_LIMIT_BYTES = 1 << 30

_RTM_NEWQDISC, _RTM_NEWTCLASS = 36, 40
_TCA_KIND, _TCA_OPTIONS, _TCA_HTB_PARMS = 1, 2, 1
_ROOT, _CLASS, _LEAF = 0x1_0000, 0x1_0001, 0x10_0000
_TICK_NS = 64  # PSCHED_SHIFT of the kernel


def _traffic(interface: int, handle: int, parent: int) -> bytes:
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, interface, handle, parent, 0)


def htb_change(interface: int, bps: int) -> bytes:
    """Return the request that gives the one class of an interface another rate.

    Args:
        interface: Its index.
        bps: Bits per second, headers of the interface included.
    """
    rate = max(1, bps // 8)
    burst = max(_BURST_BYTES, rate * _BURST_NS // NS_PER_S)
    ticks = min(burst * NS_PER_S // rate // _TICK_NS, 2**32 - 1)
    spec = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, min(rate, 2**32 - 1))  # 1: Ethernet, no table
    parameters = spec + spec + struct.pack("=IIIII", ticks, ticks, PACKET_BYTES + 14, 0, 0)
    options = netlink.attribute(_TCA_HTB_PARMS, parameters)
    body = _traffic(interface, _CLASS, _ROOT) + netlink.attribute(_TCA_KIND, b"htb\0")
    return netlink.message(_RTM_NEWTCLASS, 0, body + netlink.attribute(_TCA_OPTIONS, options))


def rate_bps(capacity: Capacity, number: int, bin_ns: int = BIN_NS) -> int:
    """Return what a curve offers in a bin of time, as a rate; at least the floor."""
    began_ns = number * bin_ns
    units = capacity.offered(began_ns + bin_ns) - capacity.offered(began_ns)
    return max(FLOOR_BPS, units * 8 * NS_PER_S // (capacity.units_per_byte * bin_ns))


class Follower:
    """Lets the class of an interface follow a curve from when the links begin.

    Args:
        connection: To the network namespace of the interface.
        interface: Its index.
        capacity: The curve.
        overhead_bytes: What the interface counts of a packet on top of what the curve does.
        after_ns: How much later than the links the curve begins.
    """

    def __init__(
        self,
        connection: socket.socket,
        interface: int,
        capacity: Capacity,
        overhead_bytes: int = 0,
        after_ns: int = 0,
    ) -> None:
        self.next_ns = 1 << 62
        self._connection = connection
        self._interface = interface
        self._capacity = capacity
        self._overhead_bytes = overhead_bytes
        self._after_ns = after_ns
        self._start_ns = 0
        self._last_bps = 0

    def begin(self, start_ns: int) -> None:
        """Let the links have their time zero at an instant."""
        self.next_ns = self._start_ns = start_ns + self._after_ns

    def act(self, now_ns: int) -> None:
        """Set the rate of the present bin."""
        number = (now_ns - self._start_ns) // BIN_NS
        bps = rate_bps(self._capacity, number)
        bps = bps * (PACKET_BYTES + self._overhead_bytes) // PACKET_BYTES
        if bps != self._last_bps:
            netlink.ask(self._connection, htb_change(self._interface, bps))
            self._last_bps = bps
        self.next_ns = self._start_ns + (number + 1) * BIN_NS


def set_up(limits: dict[str, int | None]) -> dict[str, int]:
    """Give interfaces of this namespace a class each; return their indices.

    Args:
        limits: For each interface, how many bytes may wait; None for any number.

    Raises:
        OSError: The kernel refuses, or pyroute2 is not installed.
    """
    return {name: int(index) for name, index in _apart(_set_up, limits).items()}


def queue_drops(names: Sequence[str]) -> int:
    """Return the packets that had no room in the queues of interfaces."""
    return sum(_apart(_drops, list(names)).values())


def _apart(task: Any, argument: Any) -> dict[str, int]:
    """Run what needs pyroute2 in a child, so that its loops and sockets stay out of here."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = {"done": task(argument)}
        except BaseException as error:  # noqa: BLE001
            answer = {"failed": f"{type(error).__name__}: {error}"}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        said = json.loads(answers.read() or b'{"failed": "ended"}')
    os.waitpid(child, 0)
    if "failed" in said:
        raise OSError(f"traffic control: {said['failed']}")
    done: dict[str, int] = said["done"]
    return done


def _set_up(limits: dict[str, int | None]) -> dict[str, int]:
    from pyroute2 import IPRoute

    indices = {}
    with IPRoute() as kernel, netlink.connect() as connection:
        for name, limit in limits.items():
            index = kernel.link_lookup(ifname=name)[0]
            kernel.tc("add", "htb", index, "1:", default=1)
            kernel.tc(
                "add-class", "htb", index, "1:1", parent="1:", rate=_OPEN_BPS, burst=_BURST_BYTES
            )
            netlink.ask(connection, htb_change(index, _OPEN_BPS))
            queue = _traffic(index, _LEAF, _CLASS) + netlink.attribute(_TCA_KIND, b"bfifo\0")
            size = struct.pack("=I", NO_LIMIT_BYTES if limit is None else limit)
            queue += netlink.attribute(_TCA_OPTIONS, size)  # pyroute2 does not know bfifo's
            flags = netlink.CREATE | netlink.REPLACE
            netlink.ask(connection, netlink.message(_RTM_NEWQDISC, flags, queue))
            indices[name] = index
    return indices


def _drops(names: list[str]) -> dict[str, int]:
    from pyroute2 import IPRoute

    drops = {}
    with IPRoute() as kernel:
        for name in names:
            index = kernel.link_lookup(ifname=name)[0]
            roots = [q for q in kernel.get_qdiscs(index) if q["parent"] == 0xFFFF_FFFF]
            drops[name] = roots[0].get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["drops"]
    return drops
