"""The few messages of rtnetlink that are sent often, or before anything may be imported.

`man 7 rtnetlink`, `linux/if_link.h`, `linux/pkt_sched.h`. Standard library only. What is set up
once and without hurry is left to pyroute2.
"""

from __future__ import annotations

import os
import socket
import struct

_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK = 0x1, 0x4
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400

_RTM_NEWLINK, _RTM_NEWROUTE = 16, 24
_IFLA_IFNAME, _IFLA_TXQLEN, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 13, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_RT_TABLE_MAIN, _RTPROT_KERNEL, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 2, 253, 1
_RTA_DST, _RTA_OIF, _RTA_PREFSRC, _RTA_METRICS = 1, 4, 7, 8
_RTAX_INITCWND, _RTAX_CC_ALGO = 11, 16


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded to four bytes."""
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data.ljust(-(-len(data) // 4) * 4, b"\0")


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a request that the kernel acknowledges."""
    flags |= _NLM_F_REQUEST | _NLM_F_ACK
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def connect() -> socket.socket:
    """Return a connection to the network namespace of this process."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    netlink.bind((0, 0))
    return netlink


def ask(netlink: socket.socket, request: bytes) -> None:
    """Send a request and wait until the kernel has done it. Raise an `OSError` if it refuses."""
    netlink.send(request)
    kind, error = struct.unpack_from("=4xH10xi", netlink.recv(1 << 16))
    if kind == _NLMSG_ERROR and error:
        raise OSError(-error, f"rtnetlink: {os.strerror(-error)}")


def _once(kind: int, flags: int, body: bytes) -> None:
    with connect() as netlink:
        ask(netlink, message(kind, flags, body))


def add_veth(name: str, peer: str, peer_namespace: int) -> None:
    """Make two interfaces that are the ends of one cable.

    Args:
        name: Of the end in the namespace of this process.
        peer: Of the other one.
        peer_namespace: Descriptor of its namespace.
    """
    no_link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    other = no_link + attribute(_IFLA_IFNAME, peer.encode() + b"\0")
    other += attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_namespace))
    info = attribute(_INFO_KIND, b"veth\0")
    info += attribute(_INFO_DATA, attribute(_VETH_PEER, other))
    body = no_link + attribute(_IFLA_IFNAME, name.encode() + b"\0")
    _once(_RTM_NEWLINK, CREATE | EXCLUSIVE, body + attribute(_IFLA_LINKINFO, info))


def set_queue(name: str, packets: int) -> None:
    """Set how many packets may wait in an interface. An ioctl for it is refused without root."""
    index = socket.if_nametoindex(name)
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    _once(_RTM_NEWLINK, 0, body + attribute(_IFLA_TXQLEN, struct.pack("=I", packets)))


def set_route(
    destination: tuple[str, int],
    name: str,
    address: str | None = None,
    congestion_control: str | None = None,
    initial_window: int | None = None,
) -> None:
    """Add a route through an interface, or replace it, with what TCP takes from it.

    A route can name the congestion control and the initial window of the connections over it. That
    needs no cooperation of programs, and works where the settings of a network namespace do not:
    those accept only what is in the host's `tcp_allowed_congestion_control`.

    Args:
        destination: Network and length of its prefix.
        name: Of the interface.
        address: Its own; None if it has none.
        congestion_control: Of connections over the route.
        initial_window: In segments.

    Raises:
        OSError: The kernel refuses, for example because it has no such congestion control.
    """
    network, length = destination
    metrics = b""
    if congestion_control is not None:
        metrics += attribute(_RTAX_CC_ALGO, congestion_control.encode() + b"\0")
    if initial_window is not None:
        metrics += attribute(_RTAX_INITCWND, struct.pack("=I", initial_window))
    head = (_RT_TABLE_MAIN, _RTPROT_KERNEL, _RT_SCOPE_LINK, _RTN_UNICAST, 0)
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, *head)
    body += attribute(_RTA_DST, socket.inet_aton(network))
    if address is not None:
        body += attribute(_RTA_PREFSRC, socket.inet_aton(address))
    body += attribute(_RTA_OIF, struct.pack("=I", socket.if_nametoindex(name)))
    if metrics:
        body += attribute(_RTA_METRICS, metrics)
    _once(_RTM_NEWROUTE, CREATE | REPLACE, body)
