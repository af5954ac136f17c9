"""A recorded channel, played again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from testbed.links.capacity import of_trace
from testbed.links.link import Link, Medium
from testbed.links.recorded import Sha256, recorded
from testbed.parts import CatalogFile
from testbed.traces.trace import OPPORTUNITY_BYTES, Trace

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Replay(Link):
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
    sha256: Sha256 = None

    def read(self) -> Trace:
        """Return the trace. Raise a `TraceError` if it cannot carry traffic or is not the one."""
        return recorded(self.trace, self.sha256, "opportunities", "rate")

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the capacity curve from the start that was asked for."""
        trace = self.read()
        if self.start_s == "random":
            start_ns = int(rng.integers(trace.period_ns))
        else:
            start_ns = round(self.start_s * 1e9)
        return Medium(of_trace(trace, start_ns, self.opportunity_bytes))
