"""Network interfaces by ioctl, in the network namespace of the caller. Standard library only."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

MTU_BYTES = 1500
TUN_DEVICE = Path("/dev/net/tun")
_TUNSETIFF = 0x4004_54CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_SIOCSIFHWADDR, _SIOCETHTOOL = 0x8924, 0x8946
_IFF_UP, _IFF_NOARP = 0x1, 0x80
_ARPHRD_ETHER = 1
_ETH_P_IP = 0x0800
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 263, 6, 23
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_PACKET_BUFFER_BYTES = 64 << 20
_OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)  # ETHTOOL_S: TXCSUM, SG, TSO, GSO, GRO

_MAC = bytes.fromhex("020000000001")
"""Of every interface. Without ARP a host sends to its own address, so that all have to be the same;
bit 1 of the first byte says that nobody has assigned it."""

ETHERNET_HEADER = _MAC + _MAC + struct.pack("!H", _ETH_P_IP)

SERVER_ADDRESS = "198.19.0.1"
_NETMASK = "255.254.0.0"
CLIENTS = ("198.18.0.0", 16)
EVERYBODY = ("198.18.0.0", 15)


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


def _raise_flag(name: str, flag: int) -> None:
    (flags,) = struct.unpack_from("=H", _set(_SIOCGIFFLAGS, name, b""), 16)
    _set(_SIOCSIFFLAGS, name, struct.pack("=H", flags | flag))


def bring_up(name: str) -> None:
    """Set an interface up."""
    _raise_flag(name, _IFF_UP)


def bare_ethernet(name: str) -> None:
    """Make an Ethernet interface one that carries IP packets one by one, as they are.

    No ARP, the same address everywhere, no checksum or segmentation left to hardware that is not
    there.
    """
    _set(_SIOCSIFHWADDR, name, struct.pack("=H6s", _ARPHRD_ETHER, _MAC))
    _raise_flag(name, _IFF_NOARP)
    for command in _OFFLOADS:
        value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
        with suppress(OSError):  # what it does not have cannot be switched off
            _set(_SIOCETHTOOL, name, struct.pack("=Q", ctypes.addressof(value)))


def open_packets(name: str) -> int:
    """Return a descriptor at which the Ethernet frames of an interface are read and written."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    end.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    for force, ordinary in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            end.setsockopt(socket.SOL_SOCKET, force, _PACKET_BUFFER_BYTES)
        except OSError:  # not in a user namespace
            end.setsockopt(socket.SOL_SOCKET, ordinary, _PACKET_BUFFER_BYTES)
    end.bind((name, _ETH_P_IP))
    end.setblocking(False)
    return end.detach()


def frames_dropped(end: int) -> int:
    """Return the frames that found no room at a descriptor of `open_packets` since last asked."""
    with socket.socket(fileno=os.dup(end)) as asked:
        _, dropped = struct.unpack("=II", asked.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(dropped)


def give_address(name: str, address: str) -> None:
    """Give an interface an address of the emulated network, and a route to all others."""
    _set(_SIOCSIFADDR, name, _address(address))
    _set(_SIOCSIFNETMASK, name, _address(_NETMASK))


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
