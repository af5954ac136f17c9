"""Network interfaces by ioctl, in the network namespace of the caller. Standard library only."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path

MTU_BYTES = 1500
TUN_DEVICE = Path("/dev/net/tun")
QUEUE_PACKETS = 20_000
"""Packets that may wait for the relay to read them, so that the kernel never drops one."""

_TUNSETIFF = 0x4004_54CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_SIOCSIFMTU, _SIOCSIFTXQLEN = 0x8922, 0x8943
_IFF_UP = 0x1

SERVER_ADDRESS = "198.19.0.1"
NETMASK = "255.254.0.0"


def client_address(number: int) -> str:
    """Return the address of a client, counted from 0.

    198.18.0.0/15 is set aside for benchmarks of networks (RFC 2544), so that nobody takes these
    addresses for those of a real host.
    """
    high, low = divmod(number + 1, 256)
    return f"198.18.{high}.{low}"


def _set(request: int, name: str, value: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        return fcntl.ioctl(asked, request, name.encode().ljust(16, b"\0") + value.ljust(24, b"\0"))


def _address(text: str) -> bytes:
    return struct.pack("=H2x4s", socket.AF_INET, socket.inet_aton(text))


def bring_up(name: str) -> None:
    """Set an interface up."""
    (flags,) = struct.unpack_from("=H", _set(_SIOCGIFFLAGS, name, b""), 16)
    _set(_SIOCSIFFLAGS, name, struct.pack("=H", flags | _IFF_UP))


def give_address(name: str, address: str) -> None:
    """Give an interface an address of the emulated network, and a route to all others."""
    _set(_SIOCSIFADDR, name, _address(address))
    _set(_SIOCSIFNETMASK, name, _address(NETMASK))


def set_size(name: str, mtu_bytes: int = MTU_BYTES, queue_packets: int = QUEUE_PACKETS) -> None:
    """Set the largest packet of an interface, and how many may wait in it."""
    _set(_SIOCSIFMTU, name, struct.pack("=i", mtu_bytes))
    _set(_SIOCSIFTXQLEN, name, struct.pack("=i", queue_packets))


def open_tun(name: str) -> int:
    """Make a TUN interface and return the descriptor at which its packets are read and written.

    Raises:
        OSError: There is no such device, or it may not be opened.
    """
    tun = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        request = name.encode().ljust(16, b"\0") + struct.pack("=H", _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(tun, _TUNSETIFF, request.ljust(40, b"\0"))
    except OSError:
        os.close(tun)
        raise
    return tun


def packets_dropped() -> int:
    """Return the packets that the interfaces of this namespace have dropped, in and out."""
    dropped = 0
    for line in Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()[2:]:
        counts = line.split(":", 1)[1].split()
        dropped += int(counts[3]) + int(counts[11])
    return dropped
