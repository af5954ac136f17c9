"""Guesses what a user meant by a key or a value with the wrong unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# How much of the first unit of each quantity one of the others is.
_QUANTITIES: tuple[dict[str, Decimal], ...] = tuple(
    {unit: Decimal(size) for unit, size in quantity.items()}
    for quantity in (
        {"s": "1", "ms": "0.001", "us": "0.000001", "ns": "0.000000001", "min": "60", "h": "3600"},
        {"bps": "1", "kbps": "1000", "mbps": "1000000", "gbps": "1000000000"},
        {"bytes": "1", "b": "1", "kb": "1000", "mb": "1000000", "kib": "1024", "mib": "1048576"},
    )
)
_WORDS = {
    "sec": "s",
    "second": "s",
    "seconds": "s",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "minutes": "min",
    "mbit/s": "mbps",
    "kbit/s": "kbps",
    "gbit/s": "gbps",
    "bit/s": "bps",
    "mb/s": "mbps",
    "byte": "bytes",
}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z/]*)\s*")


@dataclass(frozen=True)
class Hint:
    """The key that was probably meant, and its value in the unit of that key."""

    key: str
    value: str


def value_for(key: str, text: str) -> str | None:
    """Return what to write at `key` for a text such as `25ms`; None if it is nothing of the kind.

    The number is converted to the unit of the key: `0.2s` at `deadline_ms` gives `200`.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    _, unit = _split(key)
    if found[2] and unit:
        return _convert(text, None, unit)
    return None if found[2] else found[1]


def hint(key: str, value: Any, known: Iterable[str]) -> Hint | None:
    """Return the known key that says the same as `key` in another unit, with its value.

    `delay_s: 0.025` and `delay: 25ms` both give `delay_ms: 25`. None if there is no such key or
    the value is not a number.
    """
    stem, given = _split(key)
    for candidate in known:
        its_stem, unit = _split(candidate)
        if unit is None or its_stem != stem or candidate == key:
            continue
        if (converted := _convert(value, given, unit)) is not None:
            return Hint(candidate, converted)
    return None


def _split(key: str) -> tuple[str, str | None]:
    """Split `delay_ms` into (`delay`, `ms`), and `mbps` into (``, `mbps`)."""
    stem, _, last = key.rpartition("_")
    unit = _WORDS.get(last.lower(), last.lower())
    if any(unit in quantity for quantity in _QUANTITIES):
        return stem, unit
    return key, None


def _convert(value: Any, unit: str | None, wanted: str) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    found = _NUMBER.fullmatch(str(value))
    if found is None:
        return None
    number, written = found.groups()
    unit = _WORDS.get(written.lower(), written.lower()) or unit or wanted
    for quantity in _QUANTITIES:
        if unit in quantity and wanted in quantity:
            exact = Decimal(number) * quantity[unit] / quantity[wanted]
            return f"{exact.normalize():f}"
    return None
