"""Messages between the processes of one run: JSON and file descriptors over a socket pair.

They never cross a network. Standard library only.
"""

from __future__ import annotations

import array
import json
import socket
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 1 << 20
_MAX_DESCRIPTORS = 253  # SCM_MAX_FD of Linux


class Ended(Exception):
    """The other end is gone."""


def pair() -> tuple[Messages, Messages]:
    """Return two ends of a connection."""
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Messages(first), Messages(second)


class Messages:
    """One end of a connection.

    Args:
        end: A socket of type `SOCK_SEQPACKET`.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_BYTES)

    def fileno(self) -> int:
        """Return the descriptor, for `select` and to pass on."""
        return self.socket.fileno()

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message. Raise `Ended` if nobody is there to read it."""
        data = json.dumps(message).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        try:
            self.socket.sendmsg([data], rights if descriptors else [])
        except (BrokenPipeError, ConnectionResetError):
            raise Ended from None

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Wait for a message and return it. Raise `Ended` if there will be none."""
        received = array.array("i")
        try:
            data, ancillary, _, _ = self.socket.recvmsg(
                MAX_BYTES,
                socket.CMSG_SPACE(_MAX_DESCRIPTORS * received.itemsize),
                socket.MSG_CMSG_CLOEXEC,
            )
        except ConnectionResetError:
            raise Ended from None
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
        if not data:
            raise Ended
        message: dict[str, Any] = json.loads(data)
        return message, received.tolist()

    def close(self) -> None:
        """Close this end."""
        self.socket.close()
