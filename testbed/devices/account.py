"""Sums over a ledger: by component and state, in total and net of the board's idle power."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from testbed.devices.ledger import Span
from testbed.model import NS_PER_S


class Line(NamedTuple):
    """One state of one component, over a whole run."""

    component: str
    state: str
    duration_s: float
    energy_j: float


class Account(NamedTuple):
    """Where the joules of a ledger went.

    Total and net rank choices differently where the idle power is large: a fast mode may cost less
    in total for a job, and more above idle. Both are reported.
    """

    lines: list[Line]
    total_j: float
    net_j: float
    """Without the board's idle power."""


def account(spans: Iterable[Span]) -> Account:
    """Sum a ledger up, components and states in the order they appear."""
    spans = list(spans)
    durations: dict[tuple[str, str], int] = {}
    energies: dict[tuple[str, str], list[float]] = {}
    for span in spans:
        key = (span.component, span.state)
        durations[key] = durations.get(key, 0) + span.end_ns - span.start_ns
        energies.setdefault(key, []).append(span.energy_j)
    lines = [Line(*key, durations[key] / NS_PER_S, math.fsum(energies[key])) for key in durations]
    return Account(
        lines,
        math.fsum(span.energy_j for span in spans),
        math.fsum(span.energy_j for span in spans if span.component != "idle"),
    )
