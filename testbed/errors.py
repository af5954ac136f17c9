"""Everything this package raises on purpose; each message is for whoever can act on it.

TestbedError                    exit code 2 unless said otherwise
├── InputErrors                 a file the user wrote is wrong; carries every problem found
├── UnknownName                 a name that no registry or catalogue has; suggests the nearest
├── TraceError                  a trace file breaks its format; names file and line
├── RunError                    a run folder is missing, incomplete or of another version
└── EnvironmentLacks            the machine cannot do it (no space, no permission, no root): exit 3
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class TestbedError(Exception):
    """Base of all errors that are somebody's to mend, never a bug of this package."""

    __test__ = False  # the name looks like a test class to pytest
    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file: where it is, what is wrong, and what would be right."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class InputErrors(TestbedError):
    """All mistakes of one or more input files at once, one line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.file, p.line or 0, p.key))
        super().__init__("\n".join(map(str, self.problems)))


class UnknownName(TestbedError):
    """A name nobody registered. The message lists the known ones and the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} '{name}'{did_you_mean(name, known)}")


class TraceError(TestbedError):
    """A trace file breaks its format.

    Args:
        path: The file.
        line: The line at fault, counted from 1, or None when it is the whole file.
        message: What is wrong and what is allowed.
    """

    def __init__(self, path: object, line: int | None, message: str) -> None:
        super().__init__(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


class RunError(TestbedError):
    """A run folder cannot be used: missing, incomplete, or from another schema."""


class EnvironmentLacks(TestbedError):
    """The machine lacks something: space, permission, root, a kernel feature."""

    exit_code = 3


def did_you_mean(name: str, known: Iterable[str], *, limit: int = 12) -> str:
    """Return `. Did you mean 'x'? Known: a, b, …` for an error message, or an empty string."""
    names: Sequence[str] = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f". Did you mean '{near[0]}'?" if near else ""
    if not names:
        return hint
    listed = ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
    return f"{hint or '.'} Known: {listed}"
