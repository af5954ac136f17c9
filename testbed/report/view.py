"""What a report shows, computed once from the rows of a run and shared by page and Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from testbed import compare
from testbed.metrics import METRICS, Interval, Metric, interval
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.report.caveats import caveats

if TYPE_CHECKING:
    import pandas as pd

    from testbed.records import Run


@dataclass(frozen=True)
class Column:
    """One column of the results table.

    Args:
        head: Its title, unit apart.
        unit: As shown below the title; empty for shares and mAP.
        metric: The metric it shows, or `part/captured` for joules per frame of one component.
        factor: From the metric's unit to the one shown.
    """

    head: str
    unit: str
    metric: str
    factor: float = 1.0

    @property
    def definition(self) -> Metric:
        """The metric behind the column."""
        return METRICS[self.metric.partition("/")[0]]

    def figure(self, figures: Mapping[str, float]) -> float:
        """Return the column's figure of one seed, in the unit shown."""
        name, _, over = self.metric.partition("/")
        return self.factor * figures[name] / (figures[over] if over else 1)


COLUMNS = (
    Column("on-time mAP", "", "on_time_map"),
    Column("latency p50", "ms", "latency_p50_ms"),
    Column("latency p95", "ms", "latency_p95_ms"),
    Column("latency p99", "ms", "latency_p99_ms"),
    Column("deadline misses", "%", "deadline_miss_rate", 100),
    Column("energy per frame", "J", "energy_per_frame_j"),
    Column("of which compute", "J", "compute_j/captured"),
    Column("radio", "J", "radio_j/captured"),
    Column("idle", "J", "idle_j/captured"),
    Column("payload", "kB", "payload_bytes_mean", 1e-3),
    Column("mean α", "", "width_mean"),
    Column("switches", "1/s", "switches_per_s"),
)
"""Of the results table."""

OF_BOXES = (
    Column("streaming mAP", "", "streaming_map"),
    Column("offline mAP", "", "offline_map"),
)
"""Come first where detections were recorded."""


@dataclass(frozen=True)
class Cell:
    """A figure with its interval, as text; `spread` is empty where there is no interval."""

    value: str
    spread: str


class View:
    """The content of a report.

    Args:
        run: A run folder, read.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.figures = compare.figures_of(run)
        self.kinds = compare.kinds_of(run)
        self.primary = compare.primary(self.figures)
        self.best_fixed = compare.best_fixed(self.figures, self.kinds)
        self.baselines = compare.baselines(run, self.figures, self.kinds)
        self.verdicts = compare.verdicts(self.figures, self.kinds)
        self.claims = compare.check_claims(
            run.scenario.get("claims") or [], self.figures, self.kinds
        )
        self.deadline_ms = compare.deadline_ns_of(run) / NS_PER_MS
        self.duration_s = compare.duration_ns_of(run) / NS_PER_S

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the results table."""
        return COLUMNS if self.run.accuracy is None else (*OF_BOXES, *COLUMNS)

    @property
    def accuracy(self) -> Column:
        """The accuracy that verdicts and charts are about."""
        return next(c for c in (*OF_BOXES, *COLUMNS) if c.metric == self.primary)

    @property
    def ladders(self) -> dict[str, list[dict[str, Any]]]:
        """The operating points of each client, as far as the run says what they were."""
        found: dict[str, list[dict[str, Any]]] = self.run.provenance.get("ladders", {})
        return found

    @property
    def name(self) -> str:
        """The name of the scenario."""
        return str(self.run.scenario["name"])

    @cached_property
    def policies(self) -> list[str]:
        """The policies, in the order of the scenario."""
        return [name for name in self.run.scenario["policies"] if name in self.figures]

    @property
    def adaptive_first(self) -> list[str]:
        """The policies, those that keep one operating point for ever last."""
        return sorted(self.policies, key=lambda policy: self.kinds[policy] == "fixed")

    @property
    def seeds(self) -> list[int]:
        """The seeds that have a valid run, in the order of the scenario."""
        ran = {seed for seeds in self.figures.values() for seed in seeds}
        return [int(seed) for seed in self.run.scenario["seeds"] if seed in ran]

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing a number."""
        return caveats(self.run)

    def interval(self, policy: str, column: Column) -> Interval:
        """Return mean and interval over the seeds of a column, in the unit shown."""
        least, most = column.definition.least, column.definition.most * column.factor
        values = [column.figure(figures) for figures in self.figures[policy].values()]
        return interval(values, within=(least, most))

    def cell(self, policy: str, column: Column) -> Cell:
        """Return one cell of the results table."""
        found = self.interval(policy, column)
        shown = Metric(column.head, column.unit or "1", "")
        value = float(found["value"]) if found["value"] is not None else math.nan
        if found["low"] is None or found["high"] is None:
            return Cell(shown.show(value), "")
        if found["low"] == found["high"]:
            return Cell(shown.show(value), "±0")
        return Cell(shown.show(value), f"{shown.show(found['low'])}–{shown.show(found['high'])}")

    def frames(self, policy: str) -> pd.DataFrame:
        """Return the rows of one policy."""
        return self.run.frames[self.run.frames["policy"] == policy]
