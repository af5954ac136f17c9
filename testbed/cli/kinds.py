"""Everything a user can choose by name: how to list it, describe it and show it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import catalog
from testbed.catalog import Shelf
from testbed.cli import detectors
from testbed.cli.page import Page, Table
from testbed.errors import TestbedError, UnknownName

if TYPE_CHECKING:
    from testbed.registry import Registry


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    Args:
        name: In the singular, as the commands take it.
        plural: The commands take this as well.
        names: Every name there is.
        summary: One line about a name; may raise whatever reading it raises.
        page: Everything about a name. Raises `UnknownName` if there is none.
    """

    name: str
    plural: str
    names: Callable[[], list[str]]
    summary: Callable[[str], str]
    page: Callable[[str], Page]

    def describe(self, name: str) -> str:
        """Return one line about a name. What cannot be read is said here, and hides nothing."""
        try:
            return self.summary(name)
        except (TestbedError, ImportError) as error:
            return f"cannot be read: {str(error).splitlines()[0]}"


def kind_of(name: str) -> Kind:
    """Return the kind of that name, singular or plural. Raise `UnknownName` otherwise."""
    for kind in KINDS.values():
        if name in (kind.name, kind.plural):
            return kind
    known = [kind.plural for kind in KINDS.values()]
    singular = not name.endswith("s")
    raise UnknownName("kind", name, list(KINDS) if singular else known)


# Parts: classes in a registry, described by their docstrings and options.


def _part(name: str, plural: str, table: str) -> Kind:
    def registry() -> Registry:
        module, _, attribute = table.partition(":")
        found: Registry = getattr(import_module(module), attribute)
        return found

    def summary(part: str) -> str:
        cls = registry().load(part)
        title = getattr(cls, "title", None)
        return title if isinstance(title, str) else _doc(cls).partition("\n")[0]

    def page(part: str) -> Page:
        cls = registry().load(part)
        shown = Page(f"{name} {part}: {summary(part)}")
        shown.facts = {"name": part, "made_by": f"{cls.__module__}:{cls.__qualname__}"}
        options = _options(registry(), part)
        shown.tables = [Table("options", _OPTION_COLUMNS, options)]
        shown.notes = [
            " ".join(paragraph.split())
            for paragraph in _doc(cls).split("\n\n")[1:]
            if not paragraph.startswith(("Args:", "Raises:", "Attributes:"))
        ]
        return shown

    return Kind(name, plural, lambda: list(registry()), summary, page)


_OPTION_COLUMNS = ("option", "type", "required", "default", "description")


def _doc(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _options(registry: Registry, part: str) -> list[Sequence[Any]]:
    from testbed import parts

    if not inspect.signature(registry.load(part)).parameters:
        return []
    schema = parts.spec_model(registry, part).model_json_schema()
    shared = schema.get("$defs", {})
    required = schema.get("required", [])
    rows: list[Sequence[Any]] = []
    for option, entry in schema["properties"].items():
        if option == "kind":
            continue
        told = (_type(entry, shared), option in required, entry.get("default"))
        rows.append((option, *told, entry.get("description", "")))
    return rows


_TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true, false"}
_LIMITS = (
    ("exclusiveMinimum", ">"),
    ("minimum", ">="),
    ("exclusiveMaximum", "<"),
    ("maximum", "<="),
)


def _type(entry: dict[str, Any], shared: dict[str, Any]) -> str:
    """Return a fragment of a JSON Schema as people write types."""
    from testbed.parts import PART_SCHEMA

    if PART_SCHEMA in entry:
        return f"a {entry[PART_SCHEMA].registry.kind}"
    if "$ref" in entry:
        return _type(shared[entry["$ref"].rpartition("/")[2]], shared)
    if "anyOf" in entry:
        return " or ".join(_type(choice, shared) for choice in entry["anyOf"])
    if "const" in entry:
        return str(entry["const"])
    if "enum" in entry:
        return " or ".join(map(str, entry["enum"]))
    if entry.get("type") == "array":
        return f"list of {_type(entry.get('items', {}), shared)}"
    if entry.get("type") == "null":
        return "null"
    limits = [f"{sign} {entry[key]:g}" for key, sign in _LIMITS if key in entry]
    return " ".join([_TYPES.get(entry.get("type", ""), "anything"), ", ".join(limits)]).strip()


# Entries of the catalogue: files, described by what they hold.


def _shelved(
    name: str,
    shelf: Shelf,
    summary: Callable[[Path], str],
    page: Callable[[str, Path], Page],
) -> Kind:
    return Kind(
        name,
        f"{name}s",
        lambda: [entry for entry, _ in catalog.entries(shelf)],
        lambda entry: summary(catalog.find(shelf, entry)),
        lambda entry: page(entry, catalog.find(shelf, entry)),
    )


def _profile(name: str, shelf: Shelf, loader: str) -> Kind:
    def load(path: Path) -> Any:
        return getattr(import_module("testbed.devices.profile"), loader)(path)

    def page(entry: str, path: Path) -> Page:
        profile = load(path)
        shown = Page(f"{name} {entry}: {profile.sheet.title}")
        shown.facts = {"name": entry, "path": str(path), "sha256": profile.sha256}
        figures = Table("figures", ("figure", "value", "kind", "source"))
        for key, figure in profile.figures():
            figures.rows.append((key, _plain(figure.value), figure.kind, figure.source))
        shown.tables = [figures]
        if profile.sheet.notes:
            shown.notes = [" ".join(profile.sheet.notes.split())]
        return shown

    return _shelved(name, shelf, lambda path: str(load(path).sheet.title), page)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _trace_facts(path: Path) -> dict[str, Any]:
    from testbed import traces

    trace = traces.read(path)
    return {
        "path": str(path),
        "format": trace.format,
        "technology": trace.technology,
        "direction": trace.direction,
        "kind": trace.kind,
        "measures": trace.measures,
        "period_s": trace.period_ns / 1e9,
        "samples": len(trace.stamps_ns),
        "mean_mbps": round(trace.mean_bps / 1e6, 3),
        "sha256": trace.sha256,
        "notes": list(trace.notes),
    }


def _trace_line(path: Path) -> str:
    facts = _trace_facts(path)
    told = [facts["technology"], facts["direction"]]
    about = " ".join(filter(None, told)) or facts["format"]
    return f"{about}, {facts['mean_mbps']:.2f} Mbit/s on average, {facts['period_s']:g} s"


def _trace_page(entry: str, path: Path) -> Page:
    facts = _trace_facts(path)
    notes = facts.pop("notes")
    return Page(f"trace {entry}", {"name": entry} | facts, notes=notes)


@dataclass
class _File(Page):
    """A page that prints a file as it stands; the JSON wraps it."""

    content: str = ""

    def print(self, *, as_json: bool = False) -> None:
        if as_json:
            super().print(as_json=True)
        else:
            import sys

            sys.stdout.write(self.content)


def _scenario_line(path: Path) -> str:
    """Return the first sentence of the comment that opens the file."""
    comment: list[str] = []
    for line in _read_text(path).splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# ").strip())
    opening = " ".join(comment).strip()
    sentence, stop, _ = opening.partition(". ")
    return sentence.rstrip(".") + "." if stop else opening


def _scenario_page(entry: str, path: Path) -> Page:
    content = _read_text(path)
    facts = {"name": entry, "path": str(path), "description": _scenario_line(path)}
    return _File(entry, facts | {"content": content}, content=content)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TestbedError(f"{path}: cannot be read: {error}") from None


_KINDS = (
    _part("policy", "policies", "testbed.policies:policies"),
    _part("estimator", "estimators", "testbed.estimators:estimators"),
    _part("link", "links", "testbed.links:links"),
    _part("transport", "transports", "testbed.links:transports"),
    _part("format", "formats", "testbed.traces:formats"),
    _shelved("trace", "traces", _trace_line, _trace_page),
    _profile("device", "devices/devices", "load_device"),
    _profile("radio", "devices/radios", "load_radio"),
    _profile("server", "devices/servers", "load_server"),
    Kind("detector", "detectors", detectors.names, detectors.line, detectors.page),
    _shelved("scenario", "scenarios", _scenario_line, _scenario_page),
    _shelved("sweep", "scenarios/sweeps", _scenario_line, _scenario_page),
)

KINDS = {kind.name: kind for kind in _KINDS}
"""Every kind by its name, in the order in which `testbed ls` shows them."""
