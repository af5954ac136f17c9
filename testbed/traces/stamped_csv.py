"""CSV with calendar stamps, as Starlink measurements have: `2024-04-19 18:51:00.004283904`.

The header names at least one column of stamps and one of rates. Both directions may stand in one
row, each with a stamp of its own; a column of stamps belongs to the direction that its name states.
Runs are separated by pauses, which are gaps and not outages.
After: sys-uos/Starlink-on-the-Autobahn, whose stamps have nine decimals.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np

from testbed.traces import rows, steps, units
from testbed.traces.detect import Guess, direction_of_text, technology_of_name
from testbed.traces.source import Source, calendar_ns, rate_bps
from testbed.traces.trace import Trace

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


@dataclass(frozen=True)
class StampedCsv:
    """Reader of CSV with calendar stamps.

    Args:
        column: Name of the column of rates; None for the uplink, or for the only one.
        unit: Of that column, where its name does not end in one: such as `bps`, `mbps`.
        holds: Whether a value stands for the step `before` or `after` its stamp.
    """

    column: str | None = None
    unit: str | None = None
    holds: Literal["before", "after"] = "after"

    title = "CSV with calendar stamps (Starlink)"

    def __post_init__(self) -> None:
        steps.check_holds(self.holds)
        if self.unit is not None and self.unit not in units.RATE_BPS:
            raise ValueError(f"unit must be one of {', '.join(units.RATE_BPS)}, not '{self.unit}'")

    def recognise(self, source: Source) -> Guess | None:
        """Say how sure it is that this is the format: calendar stamps and a unit of rate."""
        names = rows.header(source)
        if not any(_rate_unit(name) for name in names) or len(source.head) < 2:
            return None
        if any(_STAMP.fullmatch(cell.strip(' "')) for cell in source.head[1].split(",")):
            return Guess(0.85, "calendar stamps below a header that names a rate with its unit")
        return None

    def read(self, source: Source) -> Trace:
        """Return the trace. Raise a `TraceError` that names every line at fault."""
        names = rows.header(source)
        rate_name, unit = self._rate_column(source, names)
        stamp_name = _stamp_column(source, names, rate_name)
        stamps, rates = array("q"), array("q")
        empty = 0
        for line, cells in rows.table(source, (stamp_name, rate_name)):
            if not cells[0].strip() or not cells[1].strip():
                empty += 1
                continue
            try:
                stamp, rate = _stamp_ns(cells[0]), rate_bps(cells[1], unit)
            except ValueError as error:
                source.fault(line, str(error))
                continue
            if steps.rises(source, line, stamps, stamp, cells[0], strictly=False):
                stamps.append(stamp)
                rates.append(rate)
        source.check()
        apart = np.diff(np.frombuffer(stamps, np.int64))
        apart = apart[apart > 0]
        notes = [f"column {rate_name}, stamps of {stamp_name}"]
        notes += [f"{empty} rows without a value"] if empty else []
        starlink = "starlink" in str(source.path).lower()
        return steps.sampled(
            source,
            np.frombuffer(stamps, np.int64),
            np.frombuffer(rates, np.int64),
            holds=self.holds,
            step_ns=int(np.median(apart)) if len(apart) else 10**9,
            measures="goodput",
            direction=direction_of_text(rate_name) or direction_of_text(source.path.name),
            technology="satellite" if starlink else technology_of_name(source.path),
            format="stamped-csv",
            notes=tuple(notes),
        )

    def _rate_column(self, source: Source, names: list[str]) -> tuple[str, float]:
        """Return name and unit of the column of rates."""
        found = [name for name in names if _rate_unit(name)]
        if self.column is not None:
            chosen = [name for name in names if name == self.column]
        else:
            chosen = (
                found if len(found) == 1 else [n for n in found if direction_of_text(n) == "up"]
            )
        if len(chosen) != 1:
            listed = ", ".join(found) or "none with a unit"
            raise source.error(f"the option column must pick a column of rates; it has {listed}", 1)
        unit = units.RATE_BPS[self.unit] if self.unit else _rate_unit(chosen[0])
        if unit is None:
            raise source.error(f"'{chosen[0]}' states no unit; the option unit must", 1)
        return chosen[0], unit


def _rate_unit(name: str) -> float | None:
    if "bits_per_second" in name:
        return 1.0
    return units.RATE_BPS.get(units.unit_of(name) or "")


def _stamp_column(source: Source, names: list[str], rate_name: str) -> str:
    first = (
        dict(zip(names, source.head[1].split(","), strict=False)) if len(source.head) > 1 else {}
    )
    found = [name for name in names if _STAMP.fullmatch(first.get(name, "").strip(' "'))]
    same = [name for name in found if direction_of_text(name) == direction_of_text(rate_name)]
    if not found:
        raise source.error("has no column of stamps such as 2024-04-19 18:51:00.004283904", 2)
    return (same or found)[0]


def _stamp_ns(text: str) -> int:
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is no time; allowed: such as 2024-04-19 18:51:00.004283904"
        )
    *parts, fraction, zone = match.groups()
    offset_s = 0
    if zone not in (None, "Z"):
        digits = zone[1:].replace(":", "")
        offset_s = (int(digits[:2]) * 60 + int(digits[2:])) * (-60 if zone[0] == "-" else 60)
    # strptime's %f takes six decimals; these files have nine.
    return calendar_ns(parts, offset_s, int((fraction or "0").ljust(9, "0")))
