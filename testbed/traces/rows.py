"""Rows of text formats: cells by position, cells by the name in a header, and first looks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from testbed.traces.source import Source, number


class Row(NamedTuple):
    """One line of a file.

    Args:
        line: Its number, from 1.
        cells: Its columns.
    """

    line: int
    cells: Sequence[str]


def fixed(source: Source, count: int, separator: str | None, what: str) -> Iterator[Row]:
    """Yield the rows of a file without a header; a row with another number of columns is a fault.

    Args:
        source: The file.
        count: Columns in each row.
        separator: Between columns; None for any run of blanks.
        what: The columns, for the message, such as `time and rate`.
    """
    for line, text in source.lines():
        cells = text.split(separator)
        if len(cells) == count:
            yield Row(line, cells)
        else:
            source.fault(line, f"{len(cells)} columns; allowed: {count}, {what}")


def table(source: Source, needed: Sequence[str]) -> Iterator[Row]:
    """Yield the needed cells of each row of a CSV file, in the order of `needed`.

    Raise a `TraceError` if the header lacks one of them; a row of another width is a fault.
    """
    places: list[int] | None = None
    width = 0
    for line, text in source.lines():
        try:
            cells = next(csv.reader([text], strict=True))
        except (csv.Error, StopIteration) as error:
            source.fault(line, f"is not a line of CSV: {error}")
            continue
        if places is None:
            names = [cell.strip() for cell in cells]
            missing = [name for name in needed if name not in names]
            if missing:
                raise source.error(f"the header lacks the column {', '.join(missing)}", line)
            places, width = [names.index(name) for name in needed], len(names)
        elif len(cells) != width:
            source.fault(line, f"{len(cells)} columns; the header has {width}")
        else:
            yield Row(line, [cells[place] for place in places])


def header(source: Source) -> list[str]:
    """Return the cells of the first line as CSV, for telling formats apart; never raises."""
    if not source.head:
        return []
    return [cell.strip().strip('"') for cell in source.head[0].split(",")]


def first_numbers(source: Source, count: int, separator: str | None) -> list[tuple[float, ...]]:
    """Return the first lines that hold `count` numbers, if more than half of them do; else []."""
    found = []
    for text in source.head:
        cells = text.split(separator)
        if len(cells) != count:
            continue
        try:
            found.append(tuple(number(cell) for cell in cells))
        except ValueError:
            continue
    return found if 2 * len(found) > len(source.head) else []
