"""Units as they stand at the end of a column name: `time_s`, `DL rate (kbit/s)`, `rate_mbps`."""

from __future__ import annotations

import re

TIME_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "sec": 10**9, "seconds": 10**9}
"""Nanoseconds of each unit of time."""

RATE_BPS = {
    "bps": 1.0,
    "kbps": 1e3,
    "mbps": 1e6,
    "gbps": 1e9,
    "bytes_per_s": 8.0,
    "kbytes_per_s": 8e3,
    "mbytes_per_s": 8e6,
}
"""Bit/s of each unit of rate."""

_SPELLINGS = {
    "bit/s": "bps",
    "bits/s": "bps",
    "bits/sec": "bps",
    "kbit/s": "kbps",
    "kbits/s": "kbps",
    "kbits/sec": "kbps",
    "mbit/s": "mbps",
    "mbits/s": "mbps",
    "mbits/sec": "mbps",
    "gbit/s": "gbps",
    "gbits/s": "gbps",
    "gbits/sec": "gbps",
    "byte/s": "bytes_per_s",
    "bytes/s": "bytes_per_s",
    "bytes/sec": "bytes_per_s",
    "kbytes/sec": "kbytes_per_s",
    "mbytes/sec": "mbytes_per_s",
}
# Only the case of the b tells bytes from bits in these.
_CASED = {
    "B/s": "bytes_per_s",
    "kB/s": "kbytes_per_s",
    "KB/s": "kbytes_per_s",
    "MB/s": "mbytes_per_s",
    "b/s": "bps",
    "kb/s": "kbps",
    "Kb/s": "kbps",
    "Mb/s": "mbps",
    "Gb/s": "gbps",
    "Bps": "bytes_per_s",
    "kBps": "kbytes_per_s",
    "KBps": "kbytes_per_s",
    "MBps": "mbytes_per_s",
}
_BRACKETED = re.compile(r"[(\[]([^)\]]+)[)\]]\s*$")


def unit_of(column: str) -> str | None:
    """Return the unit that a column name ends in, as a key of the tables above, else None."""
    column = column.strip()
    bracketed = _BRACKETED.search(column)
    if bracketed:
        return _canonical(bracketed.group(1))
    lowered = column.lower()
    for unit in ("bytes_per_s", "kbytes_per_s", "mbytes_per_s"):
        if lowered.endswith("_" + unit):
            return unit
    return _canonical(re.split(r"[_\s]", column)[-1]) if re.search(r"[_\s]", column) else None


def _canonical(text: str) -> str | None:
    text = text.strip()
    if text in _CASED:
        return _CASED[text]
    lowered = text.lower()
    lowered = _SPELLINGS.get(lowered, lowered)
    return lowered if lowered in TIME_NS or lowered in RATE_BPS else None


def rate_unit(text: str) -> float | None:
    """Return the bit/s of a unit written on its own, such as `Mbits/sec`; None if unknown."""
    return RATE_BPS.get(_canonical(text) or "")
