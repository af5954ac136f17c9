"""Names for parts: a page a newcomer can read to learn what exists.

A target is a string, `module:attribute`, imported when it is first used, so that a part with heavy
dependencies troubles nobody who does not ask for it. Other distributions add parts through the
entry-point group `testbed.<kind>`, for example `testbed.policy` or `testbed.trace_format`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from testbed.errors import UnknownName


class Registry:
    """A table from names to classes.

    Args:
        kind: What the entries are, in the singular; also names the entry-point group.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._targets: dict[str, str] = {}
        self._looked_outside = False

    def register(self, name: str, target: str) -> None:
        """Add `module:attribute` under `name`. Raise a `ValueError` if the name is taken."""
        if name in self._targets:
            raise ValueError(f"{self.kind} '{name}' is registered already: {self._targets[name]}")
        self._targets[name] = target

    def __iter__(self) -> Iterator[str]:
        if not self._looked_outside:
            self._looked_outside = True
            for point in entry_points(group=f"testbed.{self.kind.replace(' ', '_')}"):
                self.register(point.name, point.value)
        return iter(sorted(self._targets))

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def name_of(self, part: type) -> str:
        """Return the name of a part of this table. Raise a `KeyError` if it is not in it."""
        target = f"{part.__module__}:{part.__qualname__}"
        for name in self:
            if self._targets[name] == target:
                return name
        raise KeyError(f"{target} is no {self.kind} of the table")

    def load(self, name: str) -> Any:
        """Import and return the part. Raise `UnknownName` with the nearest one if there is none."""
        names = list(self)
        if name not in self._targets:
            raise UnknownName(self.kind, name, names)
        module, _, attribute = self._targets[name].partition(":")
        return getattr(import_module(module), attribute)
