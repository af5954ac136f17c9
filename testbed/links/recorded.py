"""Reading the trace that an option names, and nothing but that trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from testbed import traces
from testbed.errors import TraceError
from testbed.traces.trace import Trace

Sha256 = Annotated[
    str | None,
    Field(description="Of the trace file; a run refuses a file that has changed since."),
]
"""Type of the option that holds the checksum of a trace."""


def recorded(path: str, sha256: str | None, *kinds: str) -> Trace:
    """Return a trace of one of some kinds.

    Raises:
        TraceError: The file breaks its format, is of another kind, or is not the one that the
            checksum was taken of.
    """
    trace = traces.read_cached(Path(path))
    if trace.kind not in kinds:
        allowed = " or ".join(f"'{kind}'" for kind in kinds)
        raise TraceError(path, None, f"is a trace of kind '{trace.kind}'; needed: {allowed}")
    if sha256 is not None and sha256 != trace.sha256:
        raise TraceError(
            path,
            None,
            "has changed since this scenario was resolved "
            f"(sha256 {trace.sha256[:12]}…, expected {sha256[:12]}…)",
        )
    return trace
