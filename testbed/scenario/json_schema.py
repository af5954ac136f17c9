"""The JSON Schema of the scenario file, for editors: draft 2020-12, every part included."""

from __future__ import annotations

from typing import Any

from testbed.errors import TestbedError
from testbed.parts import PART_SCHEMA, Nested, PartSpec
from testbed.scenario.schema import ScenarioSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema. A part that cannot be imported here is left out."""
    builder = _Builder()
    root = builder.inside(ScenarioSpec.model_json_schema())
    return (
        {"$schema": DIALECT, "title": "Scenario of the split-detection testbed"}
        | root
        | {"$defs": dict(sorted(builder.definitions.items()))}
    )


class _Builder:
    """Gathers definitions; a part may hold parts, and they may hold the first one again."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def inside(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a model's schema with its definitions moved to the common ones."""
        for name, definition in schema.pop("$defs", {}).items():
            if name not in self.definitions:
                self.definitions[name] = {}  # begun, should it be met again on the way
                self.definitions[name] = self._rewritten(definition)
        rewritten: dict[str, Any] = self._rewritten(schema)
        return rewritten

    def _rewritten(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._rewritten(item) for item in value]
        if not isinstance(value, dict):
            return value
        rest = {
            key: self._rewritten(item)
            for key, item in value.items()
            # Titles made from names say nothing that the names do not.
            if key != PART_SCHEMA and not (key == "title" and isinstance(item, str))
        }
        if PART_SCHEMA in value:
            return {"$ref": f"#/$defs/{self._parts(value[PART_SCHEMA])}"} | rest
        return rest

    def _parts(self, nested: Nested) -> str:
        """Define the union of the parts that may stand in a place; return its name."""
        kind = nested.registry.kind
        name = kind if nested.base is PartSpec else nested.base.__name__
        if name in self.definitions:
            return name
        self.definitions[name] = {}
        variants = []
        for part in nested.registry:
            try:
                model = nested.model(part)
            except (TestbedError, ImportError):
                continue
            self.definitions[f"{name}-{part}"] = self.inside(model.model_json_schema())
            variants.append({"$ref": f"#/$defs/{name}-{part}"})
        self.definitions[name] = {"oneOf": variants}
        return name
