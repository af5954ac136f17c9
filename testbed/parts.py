"""From the constructor of a part to what a scenario may say about it.

A part (policy, link, transport) is a plain dataclass in a `Registry`. Its init fields are its
options: types and limits stand in the annotations as `Annotated[float, Field(gt=0, le=1)]`, so that
the constructor is the schema and nothing is declared twice. Three markers say more than a type can:

- `CatalogFile("traces")`: the text names a file; `make` hands the part the path of that file.
- `Nested("link")`: the option is itself a part, such as the links between which a handover goes.
- `UtilityWeight("energy")`: unless it is given, the weight under the scenario's key `utility`.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin
from typing import get_type_hints as type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.types import Strict
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from testbed import catalog
from testbed.catalog import Shelf
from testbed.errors import TestbedError
from testbed.registry import Registry

# Where the table of each kind of part is, imported when a scenario needs it.
TABLES = {
    "policy": "testbed.policies:policies",
    "estimator": "testbed.estimators:estimators",
    "link": "testbed.links:links",
    "transport": "testbed.links:transports",
}

PART_SCHEMA = "x-part"
"""Key under which a JSON Schema fragment holds the `Nested` whose parts belong there."""


class PartSpec(BaseModel):
    """A part as a scenario describes it: its kind and its options, frozen.

    Attributes:
        kind: Its name in the registry.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    # Of a model made for one part: the kind of its registry.
    table_kind: ClassVar[str] = ""

    kind: str = Field(description="Which part; the other keys are its options.")

    def __reduce__(self) -> Any:
        # Models made at run time cannot be found by their name in another process.
        base = type(self).__mro__[1]
        return _restore, (self.table_kind, base, self.kind, dict(self))


def _restore(table_kind: str, base: type[PartSpec], kind: str, values: dict[str, Any]) -> PartSpec:
    return spec_model(table(table_kind), kind, base).model_validate(values)


@dataclass(frozen=True)
class CatalogFile:
    """Marks a text option that names a file of the catalogue or of the user's.

    Args:
        shelf: Where in the catalogue such files are.
        checksum: Option of the same part that holds the sha256 of the file, if it has one.
        kinds: Of a trace: which kinds of it the part can use.
    """

    shelf: Shelf
    checksum: str = "sha256"
    kinds: tuple[str, ...] = ("opportunities", "rate")


@dataclass(frozen=True)
class UtilityWeight:
    """Marks an option that, unless it is given, is a weight of the scenario's `utility`.

    So a policy that maximises a utility maximises the one that it is judged by.

    Args:
        key: Under the scenario's key `utility`.
    """

    key: str


@dataclass(frozen=True)
class Nested:
    """Marks an option that is a part; to pydantic, a union that is told apart by `kind`.

    Only the part that a scenario names is imported, so that one with heavy dependencies, or one
    that is broken, troubles nobody else.

    Args:
        table: A registry, or the kind of one of ours.
        base: Model of the keys that every part has in this place.
    """

    table: Registry | str
    base: type[PartSpec] = PartSpec

    @property
    def registry(self) -> Registry:
        """The table of parts to choose from."""
        return table(self.table) if isinstance(self.table, str) else self.table

    def model(self, kind: str) -> type[PartSpec]:
        """Return the model of one kind of part in this place."""
        return spec_model(self.registry, kind, self.base)

    def validate(self, value: Any) -> PartSpec:
        """Return the spec that `value` describes. Raise pydantic's `ValidationError` otherwise."""
        if isinstance(value, PartSpec):
            return value
        what = self.registry.kind
        if not isinstance(value, dict):
            raise _error("part_type", f"must be a {what}, such as {{kind: {self._example}}}", value)
        kind = value.get("kind")
        if kind is None:
            names = ", ".join(self.registry)
            raise _error("part_kind", f"required: which {what}; known: {names}", value, "kind")
        try:
            model = self.model(str(kind))
        except TestbedError as error:
            raise _error("part_kind", str(error), kind, "kind") from None
        except ImportError as error:
            message = f"{what} '{kind}' cannot be loaded here: {error}"
            raise _error("part_kind", message, kind, "kind") from None
        return model.model_validate(value)

    @property
    def _example(self) -> str:
        return next(iter(self.registry), "…")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {PART_SCHEMA: self}


class PartRefused(TestbedError):
    """A part does not accept its options.

    Args:
        path: Keys that lead from the outermost part to the one at fault, and to its option if the
            message begins with the name of one.
        message: What the part said.
    """

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(": ".join(filter(None, (".".join(path), message))))
        self.path = path
        self.message = message


def table(kind: str) -> Registry:
    """Return our registry of a kind of part."""
    module, _, attribute = TABLES[kind].partition(":")
    found: Registry = getattr(import_module(module), attribute)
    return found


@cache
def spec_model(registry: Registry, name: str, base: type[PartSpec] = PartSpec) -> type[PartSpec]:
    """Return the model of the options of one part: `kind`, the keys of `base`, and its own.

    Raise `UnknownName` if the registry has no such part, `TestbedError` if it is not made as a
    part must be, and whatever importing it raises.
    """
    part = registry.load(name)
    if not (isinstance(part, type) and dataclasses.is_dataclass(part)):
        raise TestbedError(f"{registry.kind} '{name}' must be a dataclass; its fields are options")
    hints = type_hints(part, include_extras=True)
    own: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        if not field.init:
            continue
        if field.name in base.model_fields:
            raise TestbedError(
                f"{registry.kind} '{name}' may not call an option '{field.name}'; the name is taken"
            )
        nested = next((m for m in _metadata(hints[field.name]) if isinstance(m, Nested)), None)
        if field.default_factory is not dataclasses.MISSING and nested:
            default = Field(default=_spec_of(nested, field.default_factory()))
        elif field.default_factory is not dataclasses.MISSING:
            default = Field(default_factory=field.default_factory)
        else:
            default = Field(... if field.default is dataclasses.MISSING else field.default)
        own[field.name] = (_humane(hints[field.name]), default)
    summary = (part.__doc__ or name).strip().splitlines()[0]
    kind: Any = (Literal[name], Field(description=summary))
    model: type[PartSpec] = create_model(
        f"{base.__name__}_{name}", __base__=base, __doc__=summary, kind=kind, **own
    )
    model.table_kind = registry.kind
    return model


def _metadata(annotation: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = getattr(annotation, "__metadata__", ())
    return found


def _spec_of(marker: Nested, part: Any) -> PartSpec:
    """Return the spec that makes a part like this one, for an option whose default is a part."""
    kind = marker.registry.name_of(type(part))
    model = marker.model(kind)
    nested = {name: item for name, item in markers(model) if isinstance(item, Nested)}
    values = {
        field.name: _spec_of(nested[field.name], value) if field.name in nested else value
        for field in dataclasses.fields(part)
        if field.init and (value := getattr(part, field.name)) is not None
    }
    return model.model_validate({"kind": kind} | values)


def options(spec: PartSpec, registry: Registry) -> dict[str, Any]:
    """Return the options that go to the constructor, without the keys of the place."""
    fields = dataclasses.fields(registry.load(spec.kind))
    return {field.name: getattr(spec, field.name) for field in fields if field.init}


def markers(model: type[PartSpec]) -> Iterator[tuple[str, CatalogFile | Nested | UtilityWeight]]:
    """Yield name and marker of every option that has one."""
    for name, field in model.model_fields.items():
        for item in field.metadata:
            if isinstance(item, CatalogFile | Nested | UtilityWeight):
                yield name, item


def make(registry: Registry, spec: PartSpec) -> Any:
    """Return a new part from its spec; files come as paths.

    Raises:
        PartRefused: The part, or one inside it, raised a `ValueError`.
        UnknownName: The catalogue has no such file.
    """
    arguments = options(spec, registry)
    for name, marker in markers(type(spec)):
        value = arguments.get(name)
        if value is None or isinstance(marker, UtilityWeight):
            continue
        if isinstance(marker, CatalogFile):
            arguments[name] = str(catalog.find(marker.shelf, value))
        else:
            try:
                arguments[name] = make(marker.registry, value)
            except PartRefused as error:
                raise PartRefused((name, *error.path), error.message) from error
    try:
        return registry.load(spec.kind)(**arguments)
    except ValueError as error:
        message = str(error)
        first = message.split(" ", 1)[0]
        raise PartRefused((first,) if first in arguments else (), message) from error


def _humane(annotation: Any) -> Any:
    """Relax what is strict about Python rather than about meaning.

    YAML has lists and text where an annotation has tuples and enumerations; those are converted.
    What stands inside them stays strict.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(_humane(arguments[0]), *annotation.__metadata__)]
    if origin in (Union, types.UnionType):
        return Union[tuple(_humane(argument) for argument in arguments)]  # noqa: UP007
    if origin in (tuple, list, set, frozenset):
        inner = tuple(a if a is Ellipsis else _humane(a) for a in arguments)
        return Annotated[origin[inner], Strict(False)]
    if origin is dict:
        return dict[tuple(_humane(argument) for argument in arguments)]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Annotated[annotation, Strict(False)]
    return annotation


def _error(kind: str, message: str, value: Any, *loc: str) -> ValidationError:
    # Braces in a message are pydantic's placeholders, so the message travels as a value.
    custom = PydanticCustomError(kind, "{message}", {"message": message})
    detail = InitErrorDetails(type=custom, loc=loc, input=value)
    return ValidationError.from_exception_data("part", [detail])
