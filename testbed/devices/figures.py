"""Numbers that say where they come from, and the one reader of the files that hold them.

A sheet is a frozen dataclass whose fields declare what a YAML file may hold: `number`, `pair`,
`text`, `part` (a mapping) and `parts` (a list of mappings). The field's name is the key, its unit
included, so the dataclass is the schema, the documentation and the reader's table at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast, get_args

from testbed.errors import InputErrors, Problem, did_you_mean

Kind = Literal["measured", "published", "assumed"]
KINDS: tuple[str, ...] = get_args(Kind)
V = TypeVar("V", float, tuple[float, float])
S = TypeVar("S", bound="Sheet")


@dataclass(frozen=True, slots=True)
class Figure(Generic[V]):
    """A value with its provenance.

    Args:
        value: The number, or the pair (low, high).
        kind: `measured` by this project, `published` by others, or `assumed`.
        source: Where it comes from, for a reader who wants to check it.
    """

    value: V
    kind: Kind
    source: str


class Sheet:
    """Base of everything a file may hold."""

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield key and message of every contradiction between values that are each allowed."""
        return iter(())


@dataclass(frozen=True, slots=True)
class _Spec:
    """What a field of a sheet may hold."""

    shape: Literal["number", "pair", "text", "part", "parts"]
    low: float = 0.0
    high: float = math.inf
    positive: bool = False
    sheet: type[Sheet] | None = None

    @property
    def allowed(self) -> str:
        """The allowed range, for an error message."""
        if self.high < math.inf:
            return f"from {self.low:g} to {self.high:g}"
        return "above 0" if self.positive else f"at least {self.low:g}"

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.positive and value == 0)


def _declare(spec: _Spec, *, optional: bool, empty: Any = None) -> Any:
    metadata = {"spec": spec}
    return field(default=empty, metadata=metadata) if optional else field(metadata=metadata)


def number(
    *, low: float = 0.0, high: float = math.inf, positive: bool = False, optional: bool = False
) -> Any:
    """Declare a figure that is one number in [low, high]; `positive` excludes 0."""
    return _declare(_Spec("number", low, high, positive), optional=optional)


def pair(*, low: float = 0.0, optional: bool = False) -> Any:
    """Declare a figure that is a range: two numbers, the lower first."""
    return _declare(_Spec("pair", low), optional=optional)


def text(*, optional: bool = False) -> Any:
    """Declare a name or a remark, which needs no source."""
    return _declare(_Spec("text"), optional=optional, empty="")


def part(sheet: type[Sheet], *, optional: bool = False) -> Any:
    """Declare a mapping that is a sheet of its own."""
    return _declare(_Spec("part", sheet=sheet), optional=optional)


def parts(sheet: type[Sheet]) -> Any:
    """Declare a list of mappings; leaving it out means none."""
    return _declare(_Spec("parts", sheet=sheet), optional=True, empty=())


def walk(sheet: Any, prefix: str = "") -> Iterator[tuple[str, Figure[Any]]]:
    """Yield the key path and the figure of every value on a sheet, in the order of its fields."""
    for spot in dataclasses.fields(sheet):
        value = getattr(sheet, spot.name)
        key = f"{prefix}{spot.name}"
        if isinstance(value, Figure):
            yield key, value
        elif isinstance(value, tuple):
            for place, member in enumerate(value):
                yield from walk(member, f"{key}[{place}].")
        elif dataclasses.is_dataclass(value):
            yield from walk(value, f"{key}.")


def read_sheet(sheet: type[S], path: Path) -> tuple[S, str]:
    """Return the sheet in a YAML file and the SHA-256 of the file.

    Raise `InputErrors` with every problem found: keys nobody knows, values without kind or source,
    values out of range, what is missing.
    """
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        raise InputErrors([Problem(str(path), None, "", "a folder, not a YAML file")]) from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise InputErrors([Problem(str(path), None, "", reason)]) from None
    reader = _Reader(str(path))
    found = reader.sheet(sheet, reader.parse(raw), "", 1)
    if reader.problems:
        raise InputErrors(reader.problems)
    return cast("S", found), hashlib.sha256(raw).hexdigest()


def line_of(path: Path, key: str) -> int | None:
    """Return the line of a key path, such as `tail[2].power_w`, in a file; None where it is hidden.

    Raise `InputErrors` if the file cannot be parsed.
    """
    node = _Reader(str(path)).parse(path.read_bytes())
    line = None
    for name, place in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        step: Any = name or int(place)
        line = _line(node, step) if name else _item(node, step)
        node = node[step]
    return line


class _Reader:
    """Walks one parsed file along a sheet and gathers problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def parse(self, raw: bytes) -> Any:
        from ruamel.yaml import YAML  # late: half of what `testbed --help` may take
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        try:
            return YAML(typ="rt").load(raw.decode())
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            message = f"not YAML: {error.problem or error.context}"
            raise InputErrors([Problem(self.file, line, "", message.splitlines()[0])]) from None
        except (YAMLError, UnicodeDecodeError) as error:
            message = f"not YAML: {str(error).splitlines()[0]}"
            raise InputErrors([Problem(self.file, None, "", message)]) from None

    def wrong(self, line: int | None, key: str, message: str) -> None:
        self.problems.append(Problem(self.file, line, key, message))

    def sheet(self, sheet: type[Sheet], node: Any, key: str, line: int | None) -> Any:
        """Read a mapping as `sheet`; None, with problems noted, where it cannot be."""
        if not isinstance(node, Mapping):
            self.wrong(line, key, f"expected a mapping with keys, not {_describe(node)}")
            return None
        spots = {spot.name: spot for spot in dataclasses.fields(cast("Any", sheet))}
        dot = f"{key}." if key else ""
        before = len(self.problems)
        for name in node:
            if name not in spots:
                hint = did_you_mean(str(name), spots, limit=30)
                self.wrong(_line(node, name), f"{dot}{name}", f"no such key{hint}")
        values: dict[str, Any] = {}
        for name, spot in spots.items():
            if name in node:
                spec: _Spec = spot.metadata["spec"]
                values[name] = self.value(spec, node[name], f"{dot}{name}", _line(node, name))
            elif spot.default is dataclasses.MISSING:
                self.wrong(line, f"{dot}{name}", "missing")
        if len(self.problems) > before:
            return None
        made = sheet(**values)
        for name, message in made.check():
            self.wrong(_line(node, name) or line, f"{dot}{name}", message)
        return made

    def value(self, spec: _Spec, node: Any, key: str, line: int | None) -> Any:
        if spec.shape == "part":
            return self.sheet(cast("type[Sheet]", spec.sheet), node, key, line)
        if spec.shape == "parts":
            if not isinstance(node, list):
                self.wrong(line, key, f"expected a list, not {_describe(node)}")
                return None
            members = [
                self.sheet(
                    cast("type[Sheet]", spec.sheet), member, f"{key}[{place}]", _item(node, place)
                )
                for place, member in enumerate(node)
            ]
            return tuple(members)
        if spec.shape == "text":
            if isinstance(node, str) and node.strip():
                return str(node)
            self.wrong(line, key, f"expected text, not {_describe(node)}")
            return None
        return self.figure(spec, node, key, line)

    def figure(self, spec: _Spec, node: Any, key: str, line: int | None) -> Figure[Any] | None:
        if not isinstance(node, Mapping):
            form = "{value: …, kind: measured|published|assumed, source: …}"
            self.wrong(line, key, f"a value needs its kind and source: {form}")
            return None
        before = len(self.problems)
        for name in node:
            if name not in ("value", "kind", "source"):
                hint = did_you_mean(str(name), ("value", "kind", "source"))
                self.wrong(_line(node, name), f"{key}.{name}", f"no such key{hint}")
        if node.get("kind") not in KINDS:
            given = f"'{node['kind']}' is not a kind" if "kind" in node else "no kind"
            self.wrong(_line(node, "kind") or line, key, f"{given}; allowed: {', '.join(KINDS)}")
        source = node.get("source")
        if not isinstance(source, str) or not source.strip():
            self.wrong(line, key, "no source: say where the value comes from")
        value = self.amount(spec, node, key, line)
        if len(self.problems) > before:
            return None
        return Figure(value, node["kind"], " ".join(str(source).split()))

    def amount(self, spec: _Spec, node: Any, key: str, line: int | None) -> Any:
        if "value" not in node:
            self.wrong(line, key, "no value")
            return None
        given, line = node["value"], _line(node, "value") or line
        if spec.shape == "number":
            if not _is_number(given):
                self.wrong(line, key, f"expected a number, not {_describe(given)}")
                return None
            if not spec.holds(given):
                self.wrong(line, key, f"{float(given):g} is not {spec.allowed}")
                return None
            return float(given)
        if not isinstance(given, list) or len(given) != 2 or not all(map(_is_number, given)):
            self.wrong(line, key, f"expected [low, high], not {_describe(given)}")
            return None
        low, high = map(float, given)
        if not (spec.holds(low) and low <= high):
            rule = f"low {spec.allowed} and not over high"
            self.wrong(line, key, f"[{low:g}, {high:g}] is no range; {rule}")
            return None
        return (low, high)


def _is_number(node: Any) -> bool:
    return isinstance(node, int | float) and not isinstance(node, bool) and math.isfinite(node)


def _describe(node: Any) -> str:
    if node is None:
        return "nothing"
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, list):
        return f"a list of {len(node)}"
    return f"'{node}'"


def _line(node: Any, key: object) -> int | None:
    """Line of a key, counted from 1; None where a merge key or an anchor hides it."""
    try:
        return int(node.lc.key(key)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return None


def _item(node: Any, place: int) -> int | None:
    try:
        return int(node.lc.item(place)[0]) + 1
    except (AttributeError, KeyError, TypeError):
        return None
