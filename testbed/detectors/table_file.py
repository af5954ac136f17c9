"""The YAML of a detector table, and the rules it must keep."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from testbed.errors import InputErrors, Problem

Required = Literal[
    "width",
    "channels",
    "payload_bytes",
    "map",
    "map50",
    "encoder_mac",
    "compressor_mac",
    "decoder_mac",
]
Column = Required | Literal["compressor_mac_clean", "decoder_mac_clean", "device_mac_biased"]
REQUIRED: tuple[Column, ...] = Required.__args__  # type: ignore[attr-defined]

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceEntry(_Strict):
    """Where figures are from, and whether they were published or computed from what was."""

    kind: Literal["published", "computed"]
    text: Text


class TeacherEntry(_Strict):
    """The detector without a bottleneck. `source` and `mac_source` name entries of `sources`."""

    title: Text
    map: Share
    map50: Share
    mac: Count | None = None
    parameters: Count | None = None
    source: str
    mac_source: str | None = None
    note: Text


class TableFile(_Strict):
    """A detector table as it stands in its file. Rows follow the order of `columns`."""

    title: Text
    source: Text
    input_side: Count
    grid: Annotated[list[Count], Field(min_length=2, max_length=2)]
    full_channels: Count
    configurable: bool
    bits: Annotated[int, Field(ge=1, le=16)]
    sources: dict[str, SourceEntry]
    columns: dict[Column, str]
    points: Annotated[list[list[int | float]], Field(min_length=1)]
    teacher: TeacherEntry
    jpeg95_bytes: Count | None = None
    notes: list[Text]


def payload_bytes(channels: int, grid: tuple[int, int], bits: int) -> int:
    """Return the bytes of `channels` maps of `grid` values with `bits` each, rounded up."""
    height, width = grid
    return -(-channels * height * width * bits // 8)


def read(content: bytes, file: str) -> TableFile:
    """Return what a file holds. Raise `InputErrors` with everything that is wrong in it.

    Args:
        content: The YAML.
        file: What error messages call the file.
    """
    try:
        tree = YAML().load(io.BytesIO(content))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else None
        message = error.problem or "no YAML"
        raise InputErrors([Problem(file, line, "", message)]) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputErrors([Problem(file, None, "", str(error))]) from error
    try:
        table = TableFile.model_validate(tree)
    except ValidationError as error:
        raise InputErrors(
            Problem(file, _line(tree, e["loc"]), ".".join(map(str, e["loc"])), e["msg"])
            for e in error.errors()
        ) from error
    broken = [
        Problem(file, _line(tree, loc), ".".join(map(str, loc)), message)
        for loc, message in _broken_rules(table)
    ]
    if broken:
        raise InputErrors(broken)
    return table


Place = tuple[str | int, ...]


def _broken_rules(table: TableFile) -> list[tuple[Place, str]]:
    """Return the place and the message of every rule that the values of a table break."""
    broken: list[tuple[Place, str]] = []
    known = ", ".join(sorted(table.sources))
    cited: list[tuple[Place, str | None]] = [
        *((("columns", column), key) for column, key in table.columns.items()),
        (("teacher", "source"), table.teacher.source),
        (("teacher", "mac_source"), table.teacher.mac_source),
    ]
    for place, key in cited:
        if key is not None and key not in table.sources:
            broken.append((place, f"no source '{key}'; there are {known}"))
    if (table.teacher.mac is None) != (table.teacher.mac_source is None):
        broken.append((("teacher",), "mac and mac_source come together"))
    for column in REQUIRED:
        if column not in table.columns:
            broken.append((("columns",), f"lacks '{column}'"))
    if broken:
        return broken
    before = 0.0
    for index, row in enumerate(table.points):
        for message in _broken_row(table, row, before):
            broken.append((("points", index), message))
        before = float(row[0])
    return broken


def _broken_row(table: TableFile, row: list[int | float], before: float) -> list[str]:
    if len(row) != len(table.columns):
        return [f"has {len(row)} figures for {len(table.columns)} columns"]
    cells: dict[str, Any] = dict(zip(table.columns, row, strict=True))
    broken = [
        f"{column} must be a positive whole number, not {value}"
        for column, value in cells.items()
        if column not in ("width", "map", "map50") and (type(value) is not int or value <= 0)
    ]
    if not before < cells["width"] <= 1:
        broken.append(
            f"width must rise from row to row and end at 1 or below, not {cells['width']}"
        )
    if not 0 < cells["map"] <= cells["map50"] <= 1:
        broken.append("0 < map <= map50 <= 1 does not hold")
    if broken:
        return broken
    channels = round(table.full_channels * cells["width"])
    if cells["channels"] != channels:
        broken.append(f"channels must be round(full_channels · width) = {channels}")
    size = payload_bytes(cells["channels"], (table.grid[0], table.grid[1]), table.bits)
    if cells["payload_bytes"] != size:
        broken.append(f"payload_bytes must be channels · grid · bits / 8 = {size}")
    return broken


def _line(tree: Any, place: Place) -> int | None:
    """Return the line, counted from 1, of the deepest part of `place` that is in the file."""
    line: int | None = None
    for key in place:
        marks: Any = getattr(tree, "lc", None)
        try:
            line = (marks.key(key) if isinstance(tree, dict) else marks.item(key))[0] + 1
            tree = tree[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
