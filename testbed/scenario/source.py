"""A YAML file as plain data that remembers where each key stands.

Only what YAML shares with JSON is let in: text, numbers, true and false, null, lists and mappings
with text keys; besides, anchors, aliases and merge keys (`<<`). A file of any size or nesting is
answered in bounded time, because a scenario may come from somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from testbed.errors import InputErrors, Problem

KeyPath = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 40

OVERRIDES = "--set"
"""What messages call the command line, where a key was written there."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Place:
    """Where something was written: a file and, if it has lines, a line counted from 1."""

    file: str
    line: int | None


@dataclass
class Source:
    """Data with the place of every key.

    Attributes:
        file: As the user named it, for messages.
        folder: Where files that it names are looked for.
        data: Plain dicts, lists and scalars.
        places: From key path to where that key, or list entry, was written.
    """

    file: str
    folder: Path
    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Return where `path` stands, or the nearest thing around it that was written."""
        for end in range(len(path), -1, -1):
            if (found := self.places.get(path[:end])) is not None:
                return found
        return Place(self.file, None)

    def get(self, path: KeyPath) -> Any:
        """Return what stands at `path`; None if nothing does."""
        data = self.data
        for step in path:
            if isinstance(data, dict):
                data = data.get(step)
            elif isinstance(data, list) and isinstance(step, int) and step < len(data):
                data = data[step]
            else:
                return None
        return data

    def children(self, path: KeyPath) -> list[KeyPath]:
        """Return the paths of what a list or a mapping holds; none if it is neither."""
        here = self.get(path)
        keys = (
            here if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        )
        return [(*path, key) for key in keys]

    def put(self, path: KeyPath, value: Any) -> None:
        """Set the last key of `path` in the mapping or list that the others lead to."""
        self.get(path[:-1])[path[-1]] = value

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with `path`."""
        place = self.place(path)
        return Problem(place.file, place.line, dotted(path), message)


def dotted(path: KeyPath) -> str:
    """Return a key path as users write it: `clients.0.count`."""
    return ".".join(map(str, path))


def read(path: Path) -> str:
    """Return the text of a file. Raise `InputErrors` if it cannot be a scenario."""
    if path.is_dir():
        raise _whole(path, "is a folder; a scenario is a YAML file")
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _whole(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise _whole(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise _whole(path, f"larger than a scenario may be ({MAX_BYTES // 1024} KiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputErrors([Problem(str(path), line, "", "is not UTF-8 text")]) from None


def parse(text: str, file: str, folder: Path) -> Source:
    """Return the data of a YAML text. Raise `InputErrors` with every problem of its form."""
    source = Source(file, folder)
    root = _compose(text, file)
    if root is None:
        raise InputErrors([Problem(file, None, "", "is empty; a scenario begins with `schema: 1`")])
    builder = _Builder(source)
    source.data = builder.build(root, ())
    if builder.problems:
        raise InputErrors(builder.problems)
    if not isinstance(source.data, dict):
        raise InputErrors([source.problem((), "must hold keys and values, such as `schema: 1`")])
    return source


def parse_value(text: str, file: str, key: str) -> Any:
    """Return one value written as YAML, for an override. Raise `InputErrors`."""
    try:
        root = _compose(text, file)
    except InputErrors as error:
        raise InputErrors([Problem(file, None, key, p.message) for p in error.problems]) from None
    builder = _Builder(Source(file, Path()))
    value = None if root is None else builder.build(root, ())
    if builder.problems:
        raise InputErrors([Problem(file, None, key, p.message) for p in builder.problems])
    return value


def _compose(text: str, file: str) -> Node | None:
    """Parse into nodes, which share what aliases share, so that nothing grows."""
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise InputErrors([Problem(file, line, "", _unreadable(error))]) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        what = (
            f"holds a character that YAML does not allow (code {getattr(error, 'character', '')})"
        )
        line = text.count("\n", 0, position) + 1
        raise InputErrors([Problem(file, line, "", what)]) from None
    except RecursionError:
        raise InputErrors([Problem(file, None, "", "is nested too deeply")]) from None
    return node


def _unreadable(error: MarkedYAMLError) -> str:
    what = f"not readable as YAML: {error.problem}"
    if "'\\t'" in what:
        what += "; indent with spaces, not tabs"
    if error.context:
        begun = error.context_mark
        what += f" ({error.context}" + (f" begun in line {begun.line + 1})" if begun else ")")
    return what


def _whole_text(text: str) -> str:
    """Return text in which characters that JSON escapes as two halves are whole.

    The parser takes the halves for characters; half of one alone becomes a replacement character.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole(path: Path, message: str) -> InputErrors:
    return InputErrors([Problem(str(path), None, "", message)])


class _Builder:
    """Turns nodes into plain data; notes places and problems on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._values = 0
        self._depth = 0
        self._yaml = YAML(typ="safe", pure=True)

    def build(self, node: Node, path: KeyPath) -> Any:
        """Return the data of a node. Raise `InputErrors` if it could go on for ever."""
        self._values += 1
        line = node.start_mark.line + 1
        # Where an alias was written is not kept by the parser: its anchor's place must do.
        self.source.places.setdefault(path, Place(self.source.file, line))
        if self._values > MAX_VALUES:
            self._wrong((), line, f"holds more than {MAX_VALUES} values, aliases followed")
            raise InputErrors(self.problems)
        if self._depth > MAX_DEPTH:
            self._wrong(path[:3], line, f"is nested more than {MAX_DEPTH} deep, or holds itself")
            raise InputErrors(self.problems)
        self._depth += 1
        try:
            return self._built(node, path, line)
        finally:
            self._depth -= 1

    def _built(self, node: Node, path: KeyPath, line: int) -> Any:
        if isinstance(node, ScalarNode):
            node.value = _whole_text(node.value)
            return self._scalar(node, path, line)
        if isinstance(node, SequenceNode):
            self._check_tag(node, "seq", path, line)
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        self._check_tag(node, "map", path, line)
        return self._mapping(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[tuple[Node, KeyPath]] = []
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._wrong(path, line, "a key must be text")
            elif key_node.tag == f"{_TAG}merge":
                many = isinstance(value_node, SequenceNode)
                merged += [(n, path) for n in (value_node.value if many else [value_node])]
            elif (key := _whole_text(key_node.value)) in first:
                again = f"stands twice, here and in line {first[key]}; keep one"
                self._wrong((*path, key), line, again)
            else:
                first[key] = line
                self.source.places.setdefault((*path, key), Place(self.source.file, line))
                data[key] = self.build(value_node, (*path, key))
        for other, at in merged:
            if isinstance(other, MappingNode):
                data = self.build(other, at) | data
            else:
                self._wrong(at, other.start_mark.line + 1, "`<<` takes an alias of a mapping")
        return data

    def _scalar(self, node: ScalarNode, path: KeyPath, line: int) -> Any:
        tag, text = str(node.tag), node.value
        try:
            if tag == f"{_TAG}null":
                return None
            if tag == f"{_TAG}bool":
                return bool(self._yaml.constructor.construct_yaml_bool(node))
            if tag == f"{_TAG}int":
                return int(self._yaml.constructor.construct_yaml_int(node))
            if tag == f"{_TAG}float":
                return float(self._yaml.constructor.construct_yaml_float(node))
        except (ValueError, KeyError, IndexError):
            self._wrong(path, line, f"cannot be read as {tag.removeprefix(_TAG)}: '{text[:40]}'")
            return None
        # A date is text to us, exactly as it was written.
        if tag not in (f"{_TAG}str", f"{_TAG}timestamp"):
            self._wrong_tag(tag, path, line)
        return text

    def _check_tag(self, node: Node, expected: str, path: KeyPath, line: int) -> None:
        if node.tag != f"{_TAG}{expected}":
            self._wrong_tag(str(node.tag), path, line)

    def _wrong_tag(self, tag: str, path: KeyPath, line: int) -> None:
        self._wrong(path, line, f"has the tag '{tag.replace(_TAG, '!!')}'; tags are not allowed")

    def _wrong(self, path: KeyPath, line: int, message: str) -> None:
        self.problems.append(Problem(self.source.file, line, dotted(path), message))
