"""What the kernel knows of a TCP connection and lets us choose, as far as we use it."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

from testbed.emulate import settings

# Places in `struct tcp_info` of linux/tcp.h; the structure only ever grows at its end.
_TOTAL_RETRANS = (struct.Struct("=I"), 100)
_BYTES_RETRANS = (struct.Struct("=Q"), 208)
_MOST_BYTES = 256


class Repeated(NamedTuple):
    """What a connection has sent again so far.

    Args:
        size_bytes: Payload.
        segments: How many.
    """

    size_bytes: int = 0
    segments: int = 0

    def __sub__(self, earlier: Repeated) -> Repeated:
        return Repeated(self.size_bytes - earlier.size_bytes, self.segments - earlier.segments)


def repeated(descriptor: int) -> Repeated:
    """Return what the connection of a socket has sent again; nothing if the kernel does not say."""
    info = b""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MOST_BYTES)
    layout, place = _BYTES_RETRANS
    if len(info) < place + layout.size:
        return Repeated()
    (size_bytes,) = layout.unpack_from(info, place)
    layout, place = _TOTAL_RETRANS
    (segments,) = layout.unpack_from(info, place)
    return Repeated(size_bytes, segments)


def congestion_control(descriptor: int) -> str:
    """Return the congestion control of the connection of a socket, as the kernel says."""
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        return settings.congestion_control(sock)


def control(name: str, sock: socket.socket) -> None:
    """Ask for a congestion control; where the kernel refuses, the connection has its default."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
