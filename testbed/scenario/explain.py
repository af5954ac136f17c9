"""What a place in the scenario file takes, in words, from the schema itself.

So third parties' parts are explained as ours are, and no sentence can disagree with a check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from testbed.errors import TestbedError
from testbed.parts import PART_SCHEMA, Nested
from testbed.scenario.source import KeyPath

_PLURALS = {
    "a number": "numbers",
    "a whole number": "whole numbers",
    "a group of keys": "groups of keys",
}


def allowed(schema: dict[str, Any]) -> str:
    """Say what a fragment of JSON Schema allows: `a number above 0`, `'oldest' or 'newest'`."""
    return _joined(list(dict.fromkeys(_phrase(s) for s in alternatives(schema))))


def _joined(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def alternatives(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the members of a union, however deep; else the fragment itself."""
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from alternatives(part)
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
        return f"a list of {_plural(allowed(items))}" if items else "a list"
    if kind == "boolean":
        return "true or false"
    if kind == "null":
        return "null"
    if kind == "object":
        keys = ", ".join(schema.get("properties", {}))
        return f"a group of keys ({keys})" if keys else "a group of names, each with a value"
    return "text"


def _plural(phrase: str) -> str:
    for one, many in _PLURALS.items():
        phrase = phrase.replace(one, many)
    return phrase


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


def annotation_at(model: Any, data: Any, path: KeyPath) -> Any:
    """Return the annotation of what stands at `path`, with a part's model in place of a union."""
    here: Any = _resolve(model, data)
    for step in path:
        data = _get(data, (step,))
        fields = fields_of(here)
        if not fields:
            here = _element(here)
        elif str(step) in fields:
            here = typed(fields[str(step)])
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


def fields_of(annotation: Any) -> dict[str, FieldInfo]:
    """Return the fields of a model by the names that files use; none for other annotations."""
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return {field.alias or name: field for name, field in member.model_fields.items()}
    return {}


def typed(field: FieldInfo) -> Any:
    """Return the annotation of a field with everything that was said about it."""
    metadata = tuple(field.metadata)
    return Annotated[(field.annotation, *metadata)] if metadata else field.annotation


def fragment(field: FieldInfo) -> dict[str, Any]:
    """Return the JSON Schema of what a key takes."""
    return fragment_of(typed(field))


def fragment_of(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of an annotation, without references; of a model its keys alone."""
    if fields_of(annotation) and not any(
        isinstance(item, Nested) for item in getattr(annotation, "__metadata__", ())
    ):
        group = {"type": "object", "properties": dict.fromkeys(fields_of(annotation))}
        optional = type(None) in _members(annotation)
        return {"anyOf": [group, {"type": "null"}]} if optional else group
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


def _get(data: Any, path: KeyPath) -> Any:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data
