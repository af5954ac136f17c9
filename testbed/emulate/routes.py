"""The route of an interface to the emulated network, with what TCP takes from it.

A route can name the congestion control and the initial window of the connections that use it. That
needs no cooperation of programs, and works where the settings of a network namespace do not: those
accept only what is in the host's `tcp_allowed_congestion_control`. Standard library only; one
message of rtnetlink (`man 7 rtnetlink`) is not worth a second's import.
"""

from __future__ import annotations

import os
import socket
import struct

_PREFIX = ("198.18.0.0", 15)
_RTM_NEWROUTE = 24
_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_REPLACE, _NLM_F_CREATE = 0x1, 0x4, 0x100, 0x400
_RT_TABLE_MAIN, _RTPROT_KERNEL, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 2, 253, 1
_RTA_DST, _RTA_OIF, _RTA_PREFSRC, _RTA_METRICS = 1, 4, 7, 8
_RTAX_INITCWND, _RTAX_CC_ALGO = 11, 16


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute of a netlink message, padded to four bytes."""
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data.ljust(-(-len(data) // 4) * 4, b"\0")


def exchange(message_type: int, flags: int, body: bytes) -> None:
    """Send one rtnetlink message and wait until the kernel has done it.

    Raises:
        OSError: The kernel refuses.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as netlink:
        netlink.bind((0, 0))
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        netlink.send(struct.pack("=IHHII", 16 + len(body), message_type, flags, 1, 0) + body)
        answer = netlink.recv(1 << 16)
    kind, error = struct.unpack_from("=4xH10xi", answer)
    if kind == _NLMSG_ERROR and error:
        raise OSError(-error, f"rtnetlink: {os.strerror(-error)}")


def set_route(name: str, address: str, congestion_control: str, initial_window: int) -> None:
    """Replace the route that an interface got with its address.

    Args:
        name: Of the interface.
        address: Its own.
        congestion_control: Of connections over it.
        initial_window: In segments.

    Raises:
        OSError: The kernel refuses, for example because it has no such congestion control.
    """
    metrics = attribute(_RTAX_CC_ALGO, congestion_control.encode() + b"\0")
    metrics += attribute(_RTAX_INITCWND, struct.pack("=I", initial_window))
    network, length = _PREFIX
    body = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET,
        length,
        0,
        0,
        _RT_TABLE_MAIN,
        _RTPROT_KERNEL,
        _RT_SCOPE_LINK,
        _RTN_UNICAST,
        0,
    )
    body += attribute(_RTA_DST, socket.inet_aton(network))
    body += attribute(_RTA_PREFSRC, socket.inet_aton(address))
    body += attribute(_RTA_OIF, struct.pack("=I", socket.if_nametoindex(name)))
    body += attribute(_RTA_METRICS, metrics)
    exchange(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_REPLACE, body)
