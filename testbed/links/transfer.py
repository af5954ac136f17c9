"""What payloads sent at given times take over one link, without a scenario around them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from testbed.errors import InputErrors, Problem
from testbed.links.transport import Connection, Delivery

_MAX_PROBLEMS = 20


def transfer(
    connection: Connection,
    sends_ns: Sequence[int],
    payload_bytes: int,
    deadline_ns: int | None = None,
) -> list[Delivery]:
    """Send a payload at each time and return how each of them fares.

    Args:
        connection: From one end to the other.
        sends_ns: Times, non-decreasing.
        payload_bytes: Of every payload.
        deadline_ns: How long after its send time a payload is of use; None for ever.
    """
    out: dict[int, Delivery] = {}

    def run_until(at_ns: int) -> None:
        while (next_ns := connection.next_ns) is not None and next_ns <= at_ns:
            connection.advance(next_ns)

    for index, at_ns in enumerate(sends_ns):
        run_until(at_ns)
        until_ns = None if deadline_ns is None else at_ns + deadline_ns
        connection.send(at_ns, payload_bytes, partial(out.__setitem__, index), until_ns)
    while len(out) < len(sends_ns):
        next_ns = connection.next_ns
        assert next_ns is not None, "a payload is under way and nothing will happen"
        connection.advance(next_ns)
    return [out[index] for index in range(len(sends_ns))]


def read_sends(path: Path) -> list[int]:
    """Return the column `send_ns` of a CSV file.

    Raises:
        InputErrors: The file cannot be read, or lines are wrong: each is named.
    """

    def problem(line: int | None, message: str) -> Problem:
        return Problem(str(path), line, "send_ns", message)

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise InputErrors([problem(None, f"cannot be read: {reason}")]) from None
    rows = csv.reader(text.splitlines())
    header = [name.strip() for name in next(rows, [])]
    if "send_ns" not in header:
        found = ", ".join(header) or "nothing"
        raise InputErrors([problem(1, f"no such column; the first line has {found}")])
    column = header.index("send_ns")
    problems: list[Problem] = []
    times: list[int] = []
    for row in rows:
        if not row:
            continue
        value = row[column].strip() if column < len(row) else ""
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            problems.append(
                problem(rows.line_num, f"'{value[:30]}' is not a time; allowed: whole nanoseconds")
            )
        elif times and int(value) < times[-1]:
            problems.append(problem(rows.line_num, f"{value} is before the line above it"))
        else:
            times.append(int(value))
    if problems:
        raise InputErrors(problems[:_MAX_PROBLEMS])
    if not times:
        raise InputErrors([problem(None, "no times; a line is needed for every payload")])
    return times
