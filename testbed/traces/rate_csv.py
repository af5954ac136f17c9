"""(time, rate) CSV whose header names the columns with their units.

    # direction: up
    # holds: after
    time_s,rate_mbps
    0,5.2
    1,4.8

The comment lines are optional. `holds` says whether a value holds before or after its stamp;
`after` where nobody says. `period_s` says when the trace begins again; without it the last step is
as long as the median step. `note` is kept for reports. This is also what `testbed trace convert`
writes.
"""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from testbed.traces import steps, units
from testbed.traces.detect import Guess, direction_of_name, technology_of_name
from testbed.traces.source import Source, rate_bps, time_ns
from testbed.traces.trace import Trace

_KEYS = {
    "holds": ("before", "after"),
    "direction": ("up", "down"),
    "measures": ("capacity", "goodput"),
    "technology": None,
    "period_s": None,
    "note": None,
}
_MAX_NOTES = 20


@dataclass(frozen=True)
class RateCsv:
    """Reader of generic CSV with named columns.

    Args:
        column: Name of the column of rates; needed where several columns have a unit of rate.
        holds: Whether a value holds `before` or `after` its stamp, against what the file says.
    """

    column: str | None = None
    holds: Literal["before", "after"] | None = None

    title = "CSV of time and rate"

    def __post_init__(self) -> None:
        if self.holds is not None:
            steps.check_holds(self.holds)

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: a header with a time and a rate unit."""
        header = next((line for line in source.head if not line.startswith("#")), "")
        kinds = [units.unit_of(cell) for cell in header.split(",")]
        if any(k in units.TIME_NS for k in kinds) and any(k in units.RATE_BPS for k in kinds):
            return Guess(0.8, "the header names a time and a rate with their units")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        said: dict[str, Any] = {}
        layout: tuple[int, int, int, float] | None = None
        width = 0
        stamps, rates = array("q"), array("q")
        for line, text in source.lines():
            if text.startswith("#"):
                self._comment(source, line, text, said)
                continue
            try:
                cells = next(csv.reader([text], strict=True))
            except (csv.Error, StopIteration) as error:
                source.fault(line, f"is not a line of CSV: {error}")
                continue
            if layout is None:
                layout = self._layout(source, line, cells)
                width = len(cells)
                continue
            if len(cells) != width:
                source.fault(line, f"{len(cells)} columns; the header has {width}")
                continue
            time_at, rate_at, unit_ns, unit_bps = layout
            try:
                stamp = time_ns(cells[time_at], unit_ns)
                rate = rate_bps(cells[rate_at], unit_bps)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[time_at]):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        if not stamps:
            raise source.error("has no line of values below its header; allowed: at least one")
        holds = self.holds or said.get("holds", "after")
        assumed = () if self.holds or "holds" in said else ("taken to hold after its stamp",)
        return steps.between_stamps(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds=holds,
            period_ns=said.get("period_s"),
            measures=said.get("measures", "goodput"),
            direction=said.get("direction") or direction_of_name(source.path),
            technology=said.get("technology") or technology_of_name(source.path),
            format="rate-csv",
            notes=(*said.get("note", ()), *assumed),
        )

    def _comment(self, source: Source, line: int, text: str, said: dict[str, Any]) -> None:
        key, colon, value = (part.strip() for part in text.lstrip("#").partition(":"))
        if not colon or key not in _KEYS:
            return  # any other comment is the author's own
        allowed = _KEYS[key]
        if allowed and value not in allowed:
            source.fault(line, f"{key} is '{value[:40]}'; allowed: {' or '.join(allowed)}")
        elif key == "period_s":
            try:
                said[key] = time_ns(value, 10**9, key)
            except ValueError as error:
                source.fault(line, str(error))
        elif key == "note":
            said["note"] = (*said.get("note", ()), value[:200])[:_MAX_NOTES]
        else:
            said[key] = value[:40]

    def _layout(self, source: Source, line: int, header: list[str]) -> tuple[int, int, int, float]:
        """Return column of time, column of rate, and the units of both."""
        kinds = [units.unit_of(cell) for cell in header]
        names = [cell.strip() for cell in header]
        times = [at for at, kind in enumerate(kinds) if kind in units.TIME_NS]
        rates = [at for at, kind in enumerate(kinds) if kind in units.RATE_BPS]
        if not times:
            raise source.error(
                "the header names no column of time with its unit; allowed: such as time_s, "
                "time_ms, time(us)",
                line,
            )
        if self.column is not None:
            rates = [at for at in rates if names[at] == self.column]
        if len(rates) != 1:
            listed = (
                ", ".join(n for n, kind in zip(names, kinds, strict=True) if kind in units.RATE_BPS)
                or "none"
            )
            raise source.error(
                "the header must name one column of rate with its unit, such as rate_mbps, "
                f"rate_kbps, rate_bytes_per_s, or the option column must pick one; it has {listed}",
                line,
            )
        time_at, rate_at = times[0], rates[0]
        return (
            time_at,
            rate_at,
            units.TIME_NS[kinds[time_at] or ""],
            units.RATE_BPS[kinds[rate_at] or ""],
        )
