"""From pydantic's errors to sentences that say what is wrong and what is allowed.

A value that does not fit gets one sentence, put together from the type and the limits in the
schema, however many alternatives it failed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from testbed.errors import Problem, did_you_mean
from testbed.parts import PartSpec
from testbed.scenario.explain import (
    allowed,
    alternatives,
    annotation_at,
    fields_of,
    fragment,
    fragment_of,
)
from testbed.scenario.source import KeyPath, Source
from testbed.scenario.units import hint, value_for

# Errors that pydantic adds because something else is wrong already.
_CONSEQUENCES = {"too_short", "too_long"}


def translate(error: ValidationError, model: type[BaseModel], source: Source) -> list[Problem]:
    """Return what `error` found in `source`, which was held against `model`."""
    found = [_Finding.of(item, source.data) for item in error.errors(include_url=False)]
    unknown = {f.path: _unknown(f, model, source) for f in found if f.type == "extra_forbidden"}
    meant = {(*path[:-1], key) for path, (_, key) in unknown.items()}
    problems: dict[KeyPath, Problem] = {}
    for item in found:
        path = item.path
        if path in unknown:
            message = unknown[path][0]
        elif item.type == "missing":
            if path in meant:  # said already, where the wrong key stands
                continue
            message = f"required: {_described(model, source.data, path)}"
        elif _deeper(found, item):
            continue
        elif item.type in ("plain", "part_type", "part_kind", "value_error"):
            message = item.message.removeprefix("Value error, ")
        else:
            message = _misfit(item, model, source.data)
        problems.setdefault(path, source.problem(path, message))
    return list(problems.values())


@dataclass(frozen=True)
class _Finding:
    """One error of pydantic's, at a path of the data instead of a path of its validators."""

    type: str
    path: KeyPath
    message: str
    value: Any

    @classmethod
    def of(cls, item: Any, data: Any) -> _Finding:
        path: list[str | int] = []
        reached = True
        for step in item["loc"]:
            reached = (isinstance(data, dict) and step in data) or (
                isinstance(data, list) and isinstance(step, int) and step < len(data)
            )
            if reached:  # otherwise the name of an alternative of a union, or a missing key
                data = data[step]
                path.append(step)
        if not reached and item["type"] in ("missing", "part_kind"):
            path.append(item["loc"][-1])
        return cls(item["type"], tuple(path), item["msg"], data)


def _deeper(found: list[_Finding], item: _Finding) -> bool:
    """Whether something inside of `item` is wrong, which is then the better thing to say."""
    depth = len(item.path)
    inside = any(len(f.path) > depth and f.path[:depth] == item.path for f in found)
    return inside and (item.type in _CONSEQUENCES or isinstance(item.value, list | dict))


def _unknown(item: _Finding, model: type[BaseModel], source: Source) -> tuple[str, str | None]:
    """Say that a key is unknown; return that and the key that was probably meant."""
    *parent, last = item.path
    key = str(last)
    group = annotation_at(model, source.data, tuple(parent))
    known = list(fields_of(group))
    siblings = source.get(tuple(parent))
    if found := hint(key, item.value, [name for name in known if name not in siblings]):
        return f"no such key; write `{found.key}: {found.value}`", found.key
    what = f"{siblings['kind']} has no such option" if _is_part(group) else "no such key"
    near = difflib.get_close_matches(key, known, n=1)
    return what + did_you_mean(key, known, limit=len(known)), near[0] if near else None


def _described(model: type[BaseModel], data: Any, path: KeyPath) -> str:
    """Return the description of a missing key and what it takes."""
    *parent, key = path
    field = fields_of(annotation_at(model, data, tuple(parent)))[str(key)]
    text = (field.description or "").rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{text} ({allowed(fragment(field))})"


def _misfit(item: _Finding, model: type[BaseModel], data: Any) -> str:
    annotation = annotation_at(model, data, item.path)
    schema = fragment_of(annotation)
    what = f"must be {allowed(schema)}, not {_shown(item.value)}"
    numeric = any(s.get("type") in ("number", "integer") for s in alternatives(schema))
    if numeric and isinstance(item.value, str) and item.path:
        meant = value_for(str(item.path[-1]), item.value)
        return what if meant is None else f"{what}; write {meant}"
    return what


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:37] + '…'}'"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "a group of keys"
    return str(value) if len(str(value)) <= 40 else f"a number of {len(str(value))} digits"


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, PartSpec)
