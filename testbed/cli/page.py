"""What a command has to say, as data: printed as tables for people, or as JSON for programs."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 100
"""Columns of running text; tables take what they need."""


@dataclass
class Table:
    """Rows under headings. Headings are the keys of the JSON, so units are in their names.

    Args:
        name: Key of the table in the JSON.
        columns: Headings.
        rows: One value per column; None prints as nothing and is `null` in JSON.
    """

    name: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)

    def records(self) -> list[dict[str, Any]]:
        """Return each row with its headings."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass
class Page:
    """A title, facts, tables and remarks.

    Args:
        title: First line; not in the JSON.
        facts: Single values by key, units in the keys.
        tables: Printed in order.
        notes: Sentences under the tables.
    """

    title: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def json(self) -> Any:
        """Return the page as what `json.dumps` takes; a bare list if it is one table alone."""
        if not self.facts and not self.notes and len(self.tables) == 1:
            return self.tables[0].records()
        tables = {table.name: table.records() for table in self.tables}
        return self.facts | tables | ({"notes": self.notes} if self.notes else {})

    def print(self, *, as_json: bool = False) -> None:
        """Write the page to standard output."""
        if as_json:
            _write(json.dumps(self.json(), ensure_ascii=False, indent=2))
            return
        blocks = [_wrap(self.title)] if self.title else []
        if self.facts:
            wide = max(len(key) for key in self.facts)
            blocks.append(
                "\n".join(
                    _wrap(f"{key:<{wide}}  {text(value)}", indent=wide + 2)
                    for key, value in self.facts.items()
                )
            )
        for block in blocks:
            _write(block + "\n")
        for table in self.tables:
            if table.rows:
                _print_table(table)
        if self.notes:
            _write("\n".join(_wrap(f"- {note}", indent=2) for note in self.notes))


def heading(column: str) -> str:
    """Return a key as people read it: a metric by its label and unit, others by their words."""
    from testbed.metrics import METRICS

    of = "its " if column.startswith("its_") else ""
    name = column.removeprefix("its_")
    if name not in METRICS:
        return column.replace("_", " ")
    metric = METRICS[name]
    return of + (metric.label if metric.unit == "1" else f"{metric.label}, {metric.unit}")


def text(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    return str(value)


def _write(block: str) -> None:
    sys.stdout.write(block + "\n")


def _wrap(line: str, *, indent: int = 0) -> str:
    return textwrap.fill(
        line, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _print_table(table: Table) -> None:
    numeric = [
        all(cell is None or _is_number(cell) for cell in column)
        for column in zip(*table.rows, strict=True)
    ]
    heads = [heading(column) for column in table.columns]
    if sys.stdout.isatty():
        _print_rich(table, heads, numeric)
    else:
        cells = [[text(cell) for cell in row] for row in table.rows]
        _write("\n".join(_aligned([heads, *cells], numeric)) + "\n")


def _aligned(rows: list[list[str]], numeric: Iterable[bool]) -> Iterable[str]:
    """Yield plain lines for files and pipes: nothing wrapped, nothing cut off."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(size) if right else cell.ljust(size)
            for cell, size, right in zip(row, wide, numeric, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _print_rich(table: Table, heads: list[str], numeric: list[bool]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for head, right in zip(heads, numeric, strict=True):
        shown.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(text(cell) for cell in row))
    Console(highlight=False, markup=False).print(shown)
