"""A sheet as the YAML file it would be read from. A source that stands twice is an anchor."""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from testbed.devices.figures import Figure, Sheet, walk

WIDTH = 98


def dump_sheet(sheet: Sheet) -> str:
    """Return the text of a file that reads back as this sheet."""
    sources = [figure.source for _, figure in walk(sheet)]
    anchors: dict[str, str] = {}
    for source in sources:
        if sources.count(source) > 1 and source not in anchors:
            anchors[source] = f"s{len(anchors) + 1}"
    return "\n".join(_mapping(sheet, anchors, set(), 0)) + "\n"


def _mapping(sheet: Any, anchors: dict[str, str], used: set[str], indent: int) -> Iterator[str]:
    pad = " " * indent
    for spot in dataclasses.fields(sheet):
        value = getattr(sheet, spot.name)
        if value is None or value in ("", ()):
            continue
        if isinstance(value, Figure):
            yield from _figure(spot.name, value, anchors, used, indent)
        elif isinstance(value, str):
            yield from _text(spot.name, value, indent)
        elif isinstance(value, tuple):
            yield f"{pad}{spot.name}:"
            for member in value:
                first, *rest = _mapping(member, anchors, used, indent + 4)
                yield f"{pad}  - {first.lstrip()}"
                yield from rest
        else:
            yield f"{pad}{spot.name}:"
            yield from _mapping(value, anchors, used, indent + 2)


def _figure(
    key: str, figure: Figure[Any], anchors: dict[str, str], used: set[str], indent: int
) -> Iterator[str]:
    pad = " " * indent
    pair = isinstance(figure.value, tuple)
    value = f"[{', '.join(map(_number, figure.value))}]" if pair else _number(figure.value)
    anchor = anchors.get(figure.source)
    if anchor in used:
        yield f"{pad}{key}: {{value: {value}, kind: {figure.kind}, source: *{anchor}}}"
        return
    source = _scalar(figure.source)
    line = f"{pad}{key}: {{value: {value}, kind: {figure.kind}, source: {source}}}"
    if anchor is None and len(line) <= WIDTH:
        yield line
        return
    yield f"{pad}{key}:"
    yield f"{pad}  value: {value}"
    yield f"{pad}  kind: {figure.kind}"
    mark = ""
    if anchor is not None:
        used.add(anchor)
        mark = f"&{anchor} "
    yield f"{pad}  source: {mark}>-"
    yield from _folded(figure.source, indent + 4)


def _text(key: str, value: str, indent: int) -> Iterator[str]:
    pad = " " * indent
    if len(pad) + len(key) + len(value) > WIDTH and "\n" not in value and "  " not in value:
        yield f"{pad}{key}: >-"
        yield from _folded(value, indent + 2)
    else:
        yield f"{pad}{key}: {_scalar(value)}"


def _folded(value: str, indent: int) -> list[str]:
    return textwrap.wrap(
        value,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _scalar(value: str) -> str:
    """Return text as it may stand in YAML, in quotes unless it is plainly words."""
    taken = value.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    words = re.fullmatch(r"[A-Za-z][\w.()/+ -]*[\w.)]", value)
    return value if words and not taken else json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
