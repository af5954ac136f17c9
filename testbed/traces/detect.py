"""Telling trace formats, directions and technologies apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol

from testbed.errors import TraceError
from testbed.traces.source import Source
from testbed.traces.trace import Direction, Trace

SURE = 0.5
"""A guess below this is not acted on; the user is asked for the format."""

_WORD = re.compile(r"[a-z]+|\d+g", re.IGNORECASE)
_UP = {"up", "uplink", "upload", "ul"}
_DOWN = {"down", "downlink", "download", "dl"}
_TECHNOLOGY = {
    "lte": "lte",
    "4g": "lte",
    "5g": "5g",
    "nr": "5g",
    "mmwave": "mmwave",
    "wifi": "wifi",
    "wlan": "wifi",
    "3g": "3g",
    "umts": "3g",
    "hsdpa": "3g",
    "starlink": "satellite",
}


class Guess(NamedTuple):
    """How sure a reader is that a file is of its format, in (0, 1], and why."""

    sureness: float
    why: str


class Reader(Protocol):
    """One trace format: recognises a file from its first lines, and reads it."""

    title: str

    def recognise(self, source: Source) -> Guess | None:
        """Return how sure it is that `source` is of this format; None if it cannot be."""

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""


def guesses(source: Source) -> list[tuple[str, Guess]]:
    """Return (format, guess) of every format that the file may have, the surest first."""
    from testbed.traces import formats

    if not source.head:
        return []
    found = [
        (name, guess)
        for name in formats
        if (guess := formats.load(name)().recognise(source)) is not None
    ]
    return sorted(found, key=lambda pair: -pair[1].sureness)


def format_of(source: Source) -> str:
    """Return the name of the format that the content shows.

    Raise a `TraceError` that lists the formats if none is likely or two are equally so.
    """
    from testbed.traces import formats

    found = guesses(source)
    likely = [name for name, guess in found if guess.sureness >= SURE]
    if not likely:
        raise TraceError(
            source.path, 1, f"no trace format begins like this; name one of {', '.join(formats)}"
        )
    if len(likely) > 1 and found[0][1].sureness == found[1][1].sureness:
        raise TraceError(
            source.path, 1, f"may be {likely[0]} or {likely[1]}; name the format to read it as"
        )
    return likely[0]


def direction_of_name(path: Path) -> Direction | None:
    """Return the direction that a file name states: `x.up`, `a-up.pps`, `uplink_1.csv`."""
    return direction_of_text(path.name)


def direction_of_text(text: str) -> Direction | None:
    """Return the direction that a text states in a word of its own, such as `upload_mbps`."""
    words = {word.lower() for word in _WORD.findall(text)}
    up, down = bool(words & _UP), bool(words & _DOWN)
    if up == down:
        return None
    return "up" if up else "down"


def technology_of_name(path: Path) -> str | None:
    """Return the technology that the file name or its folder states, such as `lte`."""
    for part in (path.name, path.parent.name):
        named = {_TECHNOLOGY[w] for w in map(str.lower, _WORD.findall(part)) if w in _TECHNOLOGY}
        if len(named) == 1:
            return named.pop()
    return None
