"""What can shape the packets of an emulated network on this machine."""

from __future__ import annotations

from testbed.errors import UnknownName

BACKENDS = ("tun", "packet", "tc")


def choose(asked: str) -> str:
    """Return the backend to use: the one asked for, or the first that works here if `auto`.

    Raises:
        UnknownName: There is no such backend.
    """
    if asked == "auto":
        return BACKENDS[0]
    if asked not in BACKENDS:
        raise UnknownName("backend", asked, ("auto", *BACKENDS))
    return asked
