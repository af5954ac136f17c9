"""Delays that vary, on top of any link and of its propagation. Order is always kept."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from testbed.links.draws import Draws
from testbed.links.link import Link, Medium
from testbed.links.recorded import Sha256, recorded
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.parts import CatalogFile, Nested

if TYPE_CHECKING:
    import numpy as np


_Share = Annotated[
    float,
    Field(gt=0, le=1, description="Part of it in this direction; the figures are round trips."),
]


@dataclass(frozen=True)
class DelaySeries(Link):
    """A link whose delay follows a measured series of round trips.

    A value holds until the next one, and the series begins again after its period.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link that is delayed.")]
    trace: Annotated[
        str,
        CatalogFile("traces", kinds=("delay",)),
        Field(description="A trace of round trips: name or path."),
    ]
    share: _Share = 0.5
    start_s: Annotated[float, Field(ge=0, description="Where in the series a run begins, s.")] = 0.0
    sha256: Sha256 = None

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with the delay on top of its own."""
        trace = recorded(self.trace, self.sha256, "delay")
        assert trace.delays_ns is not None
        stamps = trace.stamps_ns.tolist()
        delays: list[int] = [round(delay * self.share) for delay in trace.delays_ns.tolist()]
        period_ns, start_ns = int(trace.period_ns), round(self.start_s * NS_PER_S)

        def delay(release_ns: int) -> int:
            at = bisect_right(stamps, (release_ns + start_ns) % period_ns) - 1
            return delays[at]  # before the first stamp: the last value, one period back

        return _with_delay(self.link.medium(rng), delay)


@dataclass(frozen=True)
class Jitter(Link):
    """A link whose delay is a shift and a lognormal part, drawn anew at intervals.

    Round trips over 5G to a cloud and back have shift 10 to 12 ms, mu 1.4 to 2.0 and sigma 0.45 to
    0.57 (CICV5G), nearly independent from one message to the next, 55 ms later.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link that is delayed.")]
    shift_ms: Annotated[float, Field(ge=0, description="Least round trip, ms.")] = 11.0
    mu: Annotated[float, Field(ge=-10, le=10, description="Mean of ln(the rest in ms).")] = 1.7
    sigma: Annotated[float, Field(ge=0, le=5, description="Its standard deviation.")] = 0.5
    every_ms: Annotated[
        float, Field(ge=0.1, description="How long a value holds, ms; independent after that.")
    ] = 55.0
    share: _Share = 0.5

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with the delay on top of its own."""
        inner, own = rng.spawn(2)
        every_ns = round(self.every_ms * NS_PER_MS)
        values: list[int] = []

        def delay(release_ns: int) -> int:
            number = release_ns // every_ns
            while len(values) <= number:
                parts = own.lognormal(self.mu, self.sigma, 256)
                values.extend(
                    round((self.shift_ms + part) * self.share * NS_PER_MS)
                    for part in parts.tolist()
                )
            return values[number]

        return _with_delay(self.link.medium(inner), delay)


def _with_delay(medium: Medium, delay: Any) -> Medium:
    before = medium.delay
    if before is None:
        return replace(medium, delay=delay)
    return replace(medium, delay=lambda release_ns: before(release_ns) + delay(release_ns))


@dataclass(frozen=True)
class AfterIdle(Link):
    """A link that sleeps when nothing is sent, and takes time to wake: connected DRX, promotion.

    What is sent meanwhile waits for it. From a table, or from measured probes, of which one with
    the nearest silence is drawn and the median at no silence taken off. Where a device's radio
    profile has a promotion delay of its own, leave that out here.
    """

    link: Annotated[Any, Nested("link"), Field(description="The link that sleeps.")]
    table: Annotated[
        tuple[tuple[float, float], ...],
        Field(description="Pairs of silence, s, and time to wake, ms, in order."),
    ] = ()
    trace: Annotated[
        str | None,
        CatalogFile("traces", kinds=("delay-after-idle",)),
        Field(description="Measured round trips after silences, in place of the table."),
    ] = None
    sha256: Sha256 = None

    def __post_init__(self) -> None:
        if bool(self.table) == (self.trace is not None):
            raise ValueError("table or trace is needed, and not both")
        silences = [silence for silence, _ in self.table]
        if silences != sorted(set(silences)) or any(min(pair) < 0 for pair in self.table):
            raise ValueError("table must be in the order of the silences, nothing below 0")

    def medium(self, rng: np.random.Generator) -> Medium:
        """Return the inner link with its sleep."""
        inner, own = rng.spawn(2)
        silences, waits = self._waits()
        draws = Draws(own)

        def wake(silence_ns: int) -> int:
            at = bisect_right(silences, silence_ns) - 1
            if at < 0:
                return 0
            choices = waits[at]
            return choices[int(draws.uniform() * len(choices))]

        medium: Medium = self.link.medium(inner)
        if medium.wake is not None:
            raise ValueError("link sleeps already")
        return replace(medium, wake=wake)

    def _waits(self) -> tuple[list[int], list[list[int]]]:
        """Return silences in order and the times to wake that go with each, ns."""
        if self.trace is None:
            silences = [round(silence * NS_PER_S) for silence, _ in self.table]
            return silences, [[round(wait * NS_PER_MS)] for _, wait in self.table]
        trace = recorded(self.trace, self.sha256, "delay-after-idle")
        assert trace.delays_ns is not None
        groups: dict[int, list[int]] = {}
        for silence, delay in zip(trace.stamps_ns.tolist(), trace.delays_ns.tolist(), strict=True):
            groups.setdefault(silence, []).append(delay)
        base = math.floor(median(groups[min(groups)]))
        return sorted(groups), [
            [max(0, delay - base) for delay in groups[silence]] for silence in sorted(groups)
        ]
