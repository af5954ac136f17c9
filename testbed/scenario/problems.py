"""From pydantic's errors to sentences that say what is wrong and what is allowed.

A value that does not fit gets one sentence, put together from the type and the limits in the
schema, however many alternatives it failed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from testbed.errors import Problem, TestbedError, did_you_mean
from testbed.parts import PART_SCHEMA, Nested, PartSpec
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
    group = _annotation(model, source.data, tuple(parent))
    known = list(_fields(group))
    siblings = _get(source.data, tuple(parent))
    if found := hint(key, item.value, [name for name in known if name not in siblings]):
        return f"no such key; write `{found.key}: {found.value}`", found.key
    what = f"{siblings['kind']} has no such option" if _is_part(group) else "no such key"
    near = difflib.get_close_matches(key, known, n=1)
    return what + did_you_mean(key, known, limit=len(known)), near[0] if near else None


def _described(model: type[BaseModel], data: Any, path: KeyPath) -> str:
    """Return the description of a missing key and what it takes."""
    *parent, key = path
    field = _fields(_annotation(model, data, tuple(parent)))[str(key)]
    text = (field.description or "").rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{text} ({allowed(_schema(_with_metadata(field)))})"


def _misfit(item: _Finding, model: type[BaseModel], data: Any) -> str:
    annotation = _annotation(model, data, item.path)
    schema = _schema(annotation)
    what = f"must be {allowed(schema)}, not {_shown(item.value)}"
    numeric = any(s.get("type") in ("number", "integer") for s in _alternatives(schema))
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


# What is allowed, in words, from a fragment of JSON Schema.


def allowed(schema: dict[str, Any]) -> str:
    """Say what a fragment of JSON Schema allows: `a number above 0`, `'oldest' or 'newest'`."""
    return _joined(list(dict.fromkeys(_phrase(s) for s in _alternatives(schema))))


def _joined(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _alternatives(part)
    else:
        yield schema


def _phrase(schema: dict[str, Any]) -> str:
    if PART_SCHEMA in schema:
        return f"a {schema[PART_SCHEMA].registry.kind}"
    for listed in ([schema["const"]] if "const" in schema else [], schema.get("enum", [])):
        if listed:
            return _joined([f"'{v}'" if isinstance(v, str) else str(v) for v in listed])
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return ("a number" if kind == "number" else "a whole number") + _range(schema)
    if kind == "array":
        items = schema.get("items") or {}
        some = "a list that is not empty" if schema.get("minItems") else "a list"
        return f"{some}, of {allowed(items)} each" if items else some
    if kind == "boolean":
        return "true or false"
    if kind == "null":
        return "null"
    if kind == "object":
        keys = ", ".join(schema.get("properties", {}))
        return f"a group of keys ({keys})" if keys else "a group of names, each with a value"
    return "text"


def _range(schema: dict[str, Any]) -> str:
    low, high, above, below = (
        None if (bound := schema.get(key)) is None else f"{bound:.15g}"
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    )
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = []
    if above is not None:
        bounds.append(f"above {above}")
    if low is not None:
        bounds.append(f"from {low} up")
    if high is not None:
        bounds.append(f"up to {high}")
    if below is not None:
        bounds.append(f"below {below}")
    return " " + " and ".join(bounds) if bounds else ""


# Walking the schema along a path of the data.


def _annotation(model: Any, data: Any, path: KeyPath) -> Any:
    """Return the annotation of what stands at `path`, with a part's model in place of a union."""
    here: Any = _resolve(model, data)
    for step in path:
        data = _get(data, (step,))
        fields = _fields(here)
        if not fields:
            here = _element(here)
        elif str(step) in fields:
            here = _with_metadata(fields[str(step)])
        here = _resolve(here, data)
    return here


def _resolve(annotation: Any, data: Any) -> Any:
    """Replace the marker of a part by the model of the part that `data` names, if it names one."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, Nested) and isinstance(data, dict) and "kind" in data:
            try:
                return item.model(str(data["kind"]))
            except (TestbedError, ImportError):
                return item.base
    return annotation


def _element(annotation: Any) -> Any:
    """Return what a list or a mapping of names holds."""
    for candidate in _members(annotation):
        origin, arguments = get_origin(candidate), get_args(candidate)
        if origin in (tuple, list, set, frozenset) and arguments:
            return arguments[0]
        if origin is dict:
            return arguments[1]
    return Any


def _members(annotation: Any) -> Iterator[Any]:
    """Yield an annotation, or each member of a union, without its metadata."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (tuple, list, set, frozenset, dict) or not get_args(annotation):
        yield annotation
    else:
        for member in get_args(annotation):
            yield from _members(member)


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    """Return the fields of a model by the names that files use; none for other annotations."""
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return {field.alias or name: field for name, field in member.model_fields.items()}
    return {}


def _with_metadata(field: FieldInfo) -> Any:
    metadata = tuple(field.metadata)
    return Annotated[(field.annotation, *metadata)] if metadata else field.annotation


def _schema(annotation: Any) -> dict[str, Any]:
    if _fields(annotation) and not any(
        isinstance(item, Nested) for item in getattr(annotation, "__metadata__", ())
    ):
        return {"type": "object", "properties": dict.fromkeys(_fields(annotation))}
    schema = TypeAdapter(annotation).json_schema()
    definitions = schema.get("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return inlined(definitions[value["$ref"].rsplit("/", 1)[-1]])
            return {key: inlined(item) for key, item in value.items() if key != "$defs"}
        return [inlined(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = inlined(schema)
    return found


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, PartSpec)


def _get(data: Any, path: KeyPath) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data
