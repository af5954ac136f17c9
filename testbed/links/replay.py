"""A recorded channel, played again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from testbed import traces
from testbed.errors import TraceError
from testbed.links.capacity import Capacity, of_trace
from testbed.parts import CatalogFile
from testbed.traces.trace import OPPORTUNITY_BYTES, Trace


@dataclass(frozen=True)
class Replay:
    """A trace, repeated with its own period."""

    trace: Annotated[
        str, CatalogFile("traces"), Field(description="Name in the catalogue, or path of a file.")
    ]
    start_s: Annotated[
        Annotated[float, Field(ge=0)] | Literal["random"],
        Field(description="Where in the trace a run begins, s; `random` draws it from the seed."),
    ] = 0.0
    opportunity_bytes: Annotated[
        int, Field(gt=0, le=65535, description="Bytes per opportunity of an opportunity trace.")
    ] = OPPORTUNITY_BYTES
    sha256: Annotated[
        str | None,
        Field(description="Of the trace file; a run refuses a file that has changed since."),
    ] = None

    def read(self) -> Trace:
        """Return the trace. Raise a `TraceError` if the file breaks its format."""
        trace = _read(Path(self.trace))
        if self.sha256 is not None and self.sha256 != trace.sha256:
            raise TraceError(
                self.trace,
                None,
                "has changed since this scenario was resolved "
                f"(sha256 {trace.sha256[:12]}…, expected {self.sha256[:12]}…)",
            )
        return trace

    def capacity(self, rng: np.random.Generator) -> Capacity:
        """Return the capacity curve from the start that was asked for."""
        trace = self.read()
        if self.start_s == "random":
            start_ns = int(rng.integers(trace.period_ns))
        else:
            start_ns = round(self.start_s * 1e9)
        return of_trace(trace, start_ns, self.opportunity_bytes)


@lru_cache(maxsize=32)
def _read(path: Path) -> Trace:
    return traces.read(path)
