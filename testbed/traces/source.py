"""A trace file as bytes: opening it, its numbered lines, and the faults found in them."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from testbed.errors import TraceError
from testbed.traces.trace import MAX_PERIOD_NS, MAX_RATE_BPS

MAX_LINE_BYTES = 65_536
"""Longer lines occur in no format; refusing them bounds what one line can cost."""

MAX_FAULTS = 20
"""Faults listed in one error; the rest are counted."""

_HEAD_BYTES = 65_536
_HEAD_LINES = 60
_HEAD_COLUMNS = 4096
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MAGIC = {
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"\x89PNG": "a picture, not a trace",
}


class Source:
    """One trace file in memory, and what is wrong with it.

    A reader walks `lines()`, calls `fault` for each line it cannot accept and goes on, and calls
    `check` at the end, so that a user sees every bad line at once.

    Args:
        path: For messages and for the direction that a name may carry.
        data: The content.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self._faults: list[tuple[int, str]] = []
        self._faults_unlisted = 0

    @classmethod
    def open(cls, path: Path | str) -> Source:
        """Read a file. Raise a `TraceError` if that is impossible or it cannot be a trace."""
        path = Path(path)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise TraceError(path, None, "is a folder; allowed: one trace file")
            if not stat.S_ISREG(mode):
                # A pipe or a device may never end.
                raise TraceError(path, None, "is not a regular file; allowed: one trace file")
            data = path.read_bytes()
        except FileNotFoundError:
            raise TraceError(path, None, "no such file") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TraceError(path, None, f"cannot be read: {reason}") from None
        if not data.strip():
            raise TraceError(path, None, "is empty; a trace needs at least one sample")
        for magic, what in _MAGIC.items():
            if data.startswith(magic):
                raise TraceError(path, None, f"is {what}")
        return cls(path, data)

    @cached_property
    def sha256(self) -> str:
        """Checksum of the content, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def head(self) -> tuple[str, ...]:
        """The first lines, at most 60 of 4096 characters, to tell formats apart; never raises."""
        block = self.data[:_HEAD_BYTES]
        text = block.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        texts = text.split("\n", _HEAD_LINES)
        if len(self.data) > len(block) and len(texts) > 1:
            texts.pop()
        return tuple(
            text.rstrip("\r")[:_HEAD_COLUMNS] for text in texts[:_HEAD_LINES] if text.split()
        )

    @cached_property
    def crlf(self) -> bool:
        """Whether the first line ends in CR LF."""
        return self.data[: self.data.find(b"\n") + 1].endswith(b"\r\n")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield number (from 1) and text of each line, without its end.

        Empty lines at the end of the file are skipped; other empty lines, over-long ones and ones
        that are not text become faults.
        """
        data, size = self.data, len(self.data)
        start, number, empty = 3 if data.startswith(b"\xef\xbb\xbf") else 0, 0, 0
        while start < size:
            end = data.find(b"\n", start)
            end = size if end < 0 else end
            number += 1
            if end - start > MAX_LINE_BYTES:
                self.fault(number, f"line of {end - start} bytes; at most {MAX_LINE_BYTES}")
                start = end + 1
                continue
            raw = data[start:end].strip()
            start = end + 1
            if not raw:
                empty += 1
                continue
            if empty:
                what = "empty line; allowed only at the end of the file"
                self.fault(number - empty, what)
            empty = 0
            if b"\0" in raw:
                self.fault(number, "holds a NUL byte: binary data, not text")
                continue
            try:
                yield number, raw.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                self.fault(number, f"byte 0x{byte:02x} in column {error.start + 1} is not UTF-8")

    def fault(self, line: int, message: str) -> None:
        """Note that a line cannot be accepted: what is wrong with it, and what is allowed."""
        if len(self._faults) < MAX_FAULTS:
            self._faults.append((line, message))
        else:
            self._faults_unlisted += 1

    def forget_faults(self) -> None:
        """Forget the faults noted so far, before a second pass over the lines."""
        self._faults.clear()
        self._faults_unlisted = 0

    def check(self) -> None:
        """Raise a `TraceError` with every fault noted so far, one line each, if there are any."""
        if not self._faults:
            return
        self._faults.sort()
        first_line, first = self._faults[0]
        rest = [f"{self.path}:{line}: {message}" for line, message in self._faults[1:]]
        if self._faults_unlisted:
            rest.append(f"{self.path}: and {self._faults_unlisted} more")
        raise TraceError(self.path, first_line, "\n".join([first, *rest]))

    def error(self, message: str, line: int | None = None) -> TraceError:
        """Return the error of the whole file, after any faults of single lines."""
        self.check()
        return TraceError(self.path, line, message)


def number(text: str, what: str = "value") -> float:
    """Return a finite decimal number.

    Raise a `ValueError` that quotes `text` otherwise; `nan`, `inf`, `1_000` and digits of other
    scripts are refused, though Python's `float` takes them.
    """
    text = text.strip()
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        raise ValueError(f"{what} {_quote(text)} is not a number; allowed: such as 12 or 3.75")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{what} {_quote(text)} is not finite")
    return value


def time_ns(text: str, unit_ns: int, what: str = "time") -> int:
    """Return a time in nanoseconds, exact to the digit also for stamps since the epoch.

    Raise a `ValueError` if it is not a number, negative, or beyond the year 2262.
    """
    value = number(text, what)
    if value < 0:
        raise ValueError(f"{what} {_quote(text.strip())} is negative; allowed: 0 or more")
    if value * unit_ns >= 2**63:
        raise ValueError(f"{what} {_quote(text.strip())} is too large; is the unit right?")
    whole, _, fraction = text.strip().lstrip("+").partition(".")
    if "e" in text.lower():
        return round(value * unit_ns)
    # Digit by digit: seconds since the epoch with nine decimals do not fit into a float.
    digits = fraction[:18]
    scale: int = 10 ** len(digits)
    return int(whole or 0) * unit_ns + (int(digits or 0) * unit_ns + scale // 2) // scale


def calendar_ns(parts: Iterable[str], offset_s: int = 0, nanoseconds: int = 0) -> int:
    """Return a calendar time as nanoseconds since 1970.

    Args:
        parts: Year, month, day, hour, minute and second, in digits.
        offset_s: How far its zone is ahead of UTC.
        nanoseconds: Beyond the second.

    Raises:
        ValueError: There is no such day or hour, or it is not between 1970 and 2262.
    """
    year, month, day, hour, minute, second = map(int, parts)
    if not 1970 <= year < 2262:
        raise ValueError(f"the year is {year}; allowed: 1970 to 2261")
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return (int(moment.timestamp()) - offset_s) * 10**9 + nanoseconds


def rate_bps(text: str, unit_bps: float, what: str = "rate") -> int:
    """Return a rate in bit/s. Raise a `ValueError` if it is negative or beyond 10 Tbit/s."""
    value = number(text, what)
    if value < 0:
        raise ValueError(f"{what} {_quote(text.strip())} is negative; allowed: 0 or more")
    if value * unit_bps > MAX_RATE_BPS:
        raise ValueError(f"{what} {_quote(text.strip())} is above 10 Tbit/s; is the unit right?")
    return round(value * unit_bps)


def check_period(period_ns: int) -> int:
    """Return `period_ns`, or raise a `ValueError` if no trace lasts that long or it is 0."""
    if period_ns <= 0:
        raise ValueError("the trace lasts 0 s, so it cannot be repeated; allowed: more than 0")
    if period_ns > MAX_PERIOD_NS:
        days = period_ns / 86_400e9
        raise ValueError(
            f"the trace lasts {days:.0f} days; at most 366. Is the unit of time right?"
        )
    return period_ns


def _quote(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
