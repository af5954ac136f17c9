"""`HOST:PORT`, as users write it."""

from __future__ import annotations

import errno
import socket

from testbed.errors import EnvironmentLacks, TestbedError

Address = tuple[str, int]
BACKLOG = 128


def parse(text: str) -> Address:
    """Return host and port of `HOST:PORT`, `[IPv6]:PORT` or `:PORT`, which means every address.

    Raise a `TestbedError` for anything else.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise TestbedError(f"'{text}': an IPv6 address goes into brackets, such as [::1]:7070")
    if not (colon and port.isascii() and port.isdecimal() and int(port) <= 65_535):
        raise TestbedError(f"'{text}' is no HOST:PORT, such as 127.0.0.1:7070")
    return host, int(port)


def text(address: Address) -> str:
    """Return an address as users write it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_local(address: Address) -> bool:
    """Return whether nobody but this machine can reach it."""
    return address[0] in ("localhost", "::1") or address[0].startswith("127.")


def listen(address: Address) -> socket.socket:
    """Return a socket that listens.

    Raises:
        TestbedError: There is no such host.
        EnvironmentLacks: The address is taken, is none of this machine's, or is not permitted.
    """
    host, port = address
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise TestbedError(f"{text(address)}: {error.strerror}") from None
    family, kind, number, _, place = found[0]
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        hint = "; another process listens there" if error.errno == errno.EADDRINUSE else ""
        raise EnvironmentLacks(f"{text(address)}: {error.strerror}{hint}") from None
    return sock
