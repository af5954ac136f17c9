"""What a trace is, how sure that is, and what a user should know before replaying it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from testbed.errors import TraceError
from testbed.traces import detect, formats, read_source
from testbed.traces.source import Source
from testbed.traces.statistics import Figures, binned, figures
from testbed.traces.trace import Trace

Level = Literal["error", "warning", "note"]

_PLAUSIBLE_MBPS = {
    "3g": (0.05, 20.0),
    "lte": (0.1, 300.0),
    "wifi": (0.1, 2000.0),
    "5g": (0.5, 3000.0),
    "mmwave": (5.0, 5000.0),
    "satellite": (0.5, 500.0),
    "fixed": (0.1, 10_000.0),
}
"""Mean rates that a technology can have; outside, the unit is likely wrong."""

_ANY_MBPS = (0.01, 20_000.0)
_SLIPS = (
    (1 / 8, "bits read as bytes"),
    (8.0, "bytes read as bits"),
    (1e-3, "a unit a thousand times too large"),
    (1e3, "a unit a thousand times too small"),
    (1e-6, "bit/s read as Mbit/s"),
)
_UNITS = {
    "mahimahi": "ms, packets of 1500 bytes (fixed by the format)",
    "rate-csv": "stated in the header",
    "stamped-csv": "stated in the header or by option",
    "iperf3-json": "s, bit/s (fixed by the format)",
    "iperf3-text": "stated on each line",
    "ghent-log": "ms, bytes (fixed by the format)",
    "sabre-json": "stated in the keys",
    "nyu": "stated on each line",
    "ucc": "kbit/s (by the dataset's description)",
    "5g-wild": "stated in the header",
    "5gophers": "stated in the header",
    "5gophers-ping": "stated in the header",
    "cicv5g": "stated in the header",
    "tc-schedule": "s, bit/s (fixed by the format)",
    "wifi-cellular": "bytes per second (by the dataset's description; nothing in the file says so)",
    "oboe": "ms, kbit/s (by the dataset's description; nothing in the file says so)",
    "rrc-probe": "s, ms (by the dataset's description; nothing in the file says so)",
}
_UNSTATED = "s, Mbit/s (by the dataset's description; nothing in the file says so)"


@dataclass(frozen=True)
class Finding:
    """One thing to know about a trace.

    Args:
        level: `error` it cannot be used; `warning` it may mislead; `note` worth knowing.
        code: A short name that does not change.
        message: What it is, and what follows from it.
    """

    level: Level
    code: str
    message: str


@dataclass
class Report:
    """What `lint` says about one file. Rates are over bins of 1 s, those without a sample left out.

    `kind` is that of `Trace`; `duration_s` runs from the first sample to the end, `period_s` is
    when the trace begins again. What is not known, or makes no sense for delays, is None.
    """

    path: str
    format: str | None = None
    format_sureness: float | None = None
    direction: str | None = None
    kind: str | None = None
    measures: str | None = None
    technology: str | None = None
    units: str | None = None
    holds: str | None = None
    duration_s: float | None = None
    samples: int | None = None
    mean_mbps: float | None = None
    p5_mbps: float | None = None
    p50_mbps: float | None = None
    p95_mbps: float | None = None
    cv: float | None = None
    below_1_mbps: float | None = None
    delay_p50_ms: float | None = None
    delay_p95_ms: float | None = None
    period_s: float | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, level: Level, code: str, message: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(level, code, message))

    @property
    def broken(self) -> bool:
        """Whether the file could not be read."""
        return any(finding.level == "error" for finding in self.findings)

    def facts(self) -> dict[str, Any]:
        """Return everything as plain values, units in the keys."""
        return asdict(self)


def lint(path: Path | str, *, format: str | None = None, **options: Any) -> Report:  # noqa: A002
    """Return what a file is and what to know about it. A broken file gives a finding, no error.

    Args:
        path: The file.
        format: Name of the reader; None to tell it from the content.
        options: Passed to the reader.
    """
    report = Report(str(path))
    try:
        source = Source.open(path)
        _say_format(report, source, format)
        trace = read_source(source, format=format, **options)
    except TraceError as error:
        for line in str(error).splitlines():
            report.add("error", "format", line.removeprefix(f"{path}:").strip())
        return _sorted(report)
    report.format, report.kind, report.technology = trace.format, trace.kind, trace.technology
    report.direction, report.measures, report.holds = trace.direction, trace.measures, trace.holds
    report.samples, report.period_s = trace.samples, trace.period_ns / 1e9
    report.units = _UNITS.get(trace.format, _UNSTATED)
    report.duration_s = report.period_s
    if trace.kind == "opportunities":
        report.duration_s = (trace.period_ns - int(trace.stamps_ns[0])) / 1e9
    if trace.delays_ns is not None:
        report.measures = "round trip"
        _say_delays(report, trace)
    else:
        found = figures(trace)
        for name in ("mean_mbps", "p5_mbps", "p50_mbps", "p95_mbps", "cv", "below_1_mbps"):
            setattr(report, name, round(getattr(found, name), 6))
        _say_gaps(report, trace, found)
        _say_units(report, trace, found)
        _say_bias(report, trace)
        _say_shape(report, trace, found)
        _say_wrap(report, trace)
    for note in trace.notes:
        report.add("note", "reader", note)
    return _sorted(report)


def _sorted(report: Report) -> Report:
    order = {"error": 0, "warning": 1, "note": 2}
    report.findings.sort(key=lambda finding: order[finding.level])
    return report


def _say_format(report: Report, source: Source, asked: str | None) -> None:
    found = detect.guesses(source)
    sure = dict(found)
    if asked is not None:
        report.format_sureness = sure[asked].sureness if asked in sure else 0.0
        if asked not in sure:
            likely = f"; it looks like {found[0][0]}" if found else ""
            report.add("warning", "format", f"the content does not look like {asked}{likely}")
        return
    if not found:
        return
    name, guess = found[0]
    report.format_sureness = round(guess.sureness, 2)
    title = formats.load(name).title
    report.add("note", "format", f"{title}, {guess.sureness:.0%} sure: {guess.why}")
    others = [other for other, its in found[1:] if its.sureness >= guess.sureness - 0.1]
    if others:
        report.add("warning", "format", f"could also be {', '.join(others)}; --format decides")


def _say_delays(report: Report, trace: Trace) -> None:
    assert trace.delays_ns is not None
    p50, p95 = np.percentile(trace.delays_ns / 1e6, [50, 95])
    report.delay_p50_ms, report.delay_p95_ms = round(float(p50), 6), round(float(p95), 6)
    if trace.kind == "delay-after-idle":
        text = "round trips by length of silence, not a time series; it cannot carry traffic"
    else:
        text = "round trips, no rates; it can drive the delay of a link, not its capacity"
        drains = np.diff(trace.delays_ns) < -np.diff(trace.stamps_ns) // 2
        if drains.any():
            report.add(
                "note",
                "fifo",
                f"{int(drains.sum())} times a delay falls by more than half the time between two "
                "messages: a queue drains; drawing delays independently would reorder them",
            )
    report.add("note", "kind", text)


def _say_gaps(report: Report, trace: Trace, found: Figures) -> None:
    if len(trace.gaps_ns):
        spans_s = (trace.gaps_ns[:, 1] - trace.gaps_ns[:, 0]) / 1e9
        share = spans_s.sum() * 1e9 / trace.period_ns
        report.add(
            "warning" if share > 0.01 else "note",
            "gaps",
            f"{_count(len(spans_s), 'span')} without a sample, {spans_s.sum():g} s in all "
            f"({share:.1%}), the longest {spans_s.max():g} s; no sample is not an outage",
        )
    if trace.kind == "opportunities":
        silences = np.diff(trace.stamps_ns, prepend=0)
        long = silences[silences >= 10**9]
        if len(long):
            at_s = float(trace.stamps_ns[int(silences.argmax())] - silences.max()) / 1e9
            report.add(
                "note",
                "silence",
                f"{_count(len(long), 'silence')} of 1 s or more, the longest "
                f"{long.max() / 1e9:.1f} s from {at_s:.1f} s on",
            )
        repeated = int(np.count_nonzero(np.diff(trace.stamps_ns) == 0))
        if repeated:
            report.add("note", "duplicates", f"{repeated} repeated stamps: several packets in 1 ms")
    if found.below_1_mbps > 0:
        longest = _longest(np.nan_to_num(binned(trace).mbps, nan=np.inf) < 1.0)
        report.add(
            "note",
            "outages",
            f"{found.below_1_mbps:.1%} of the seconds are below 1 Mbit/s, {longest} in a row",
        )


def _say_units(report: Report, trace: Trace, found: Figures) -> None:
    low, high = _PLAUSIBLE_MBPS.get(trace.technology or "", _ANY_MBPS)
    if low <= found.mean_mbps <= high:
        return
    slips = [what for factor, what in _SLIPS if low <= found.mean_mbps * factor <= high]
    hint = f"; it would be plausible if this is {' or '.join(slips)}" if slips else ""
    report.add(
        "warning",
        "units",
        f"a mean of {found.mean_mbps:g} Mbit/s is outside of what "
        f"{trace.technology or 'any link'} has ({low:g} to {high:g}){hint}",
    )


def _say_bias(report: Report, trace: Trace) -> None:
    if trace.measures == "goodput":
        report.add(
            "note",
            "goodput",
            "goodput of a connection, a lower bound of the capacity: replaying it as capacity "
            "pays for headers and congestion control twice",
        )
    if trace.direction == "down":
        report.add(
            "note",
            "direction",
            "a downlink; an uplink is narrower and has other outages, so using this as the uplink "
            "overstates it",
        )
    elif trace.direction is None:
        report.add("warning", "direction", "neither the file nor its name says up or down")


def _say_shape(report: Report, trace: Trace, found: Figures) -> None:
    rates = binned(trace).mbps
    known = rates[~np.isnan(rates)]
    if len(known) < 10 or found.p50_mbps <= 0:
        return
    if trace.measures == "goodput" and known[0] > 1.3 * max(known[1:6].max(), found.p50_mbps):
        report.add(
            "warning",
            "sender-side",
            f"the first second has {known[0]:.3g} Mbit/s, the next five at most "
            f"{known[1:6].max():.3g}: likely the filling of the sender's socket buffer",
        )
    high = 1.3 * np.percentile(known, 90)
    bursts = int(((rates[:-2] > 0) & (rates[1:-1] == 0) & (rates[2:] > high)).sum())
    if trace.measures == "goodput" and bursts >= 2:
        report.add(
            "warning",
            "sender-side",
            f"{bursts} times a single second of 0 is followed by a burst: writes into a socket "
            "buffer rather than deliveries",
        )
    near = np.abs(known - np.percentile(known, 90)) <= 0.05 * known.mean()
    ceiling = float(near.mean())
    if ceiling > 0.5:
        report.add(
            "note",
            "ceiling",
            f"{ceiling:.0%} of the seconds lie close to {np.percentile(known, 90):.3g} Mbit/s: an "
            "access line, a rate limit or the offered load, not the radio",
        )


def _say_wrap(report: Report, trace: Trace) -> None:
    period_s = trace.period_ns / 1e9
    if trace.kind == "opportunities":
        lead_ms = int(trace.stamps_ns[0]) // 1_000_000
        text = f"repeats every {period_s:g} s, its last stamp"
        text += (
            "; the opportunities at both ends then fall on one instant"
            if lead_ms == 0
            else f"; it begins with {lead_ms} ms of silence"
        )
    else:
        assert trace.rates_bps is not None
        first, last = int(trace.rates_bps[0]) / 1e6, int(trace.rates_bps[-1]) / 1e6
        text = f"repeats every {period_s:g} s, from {last:g} Mbit/s back to {first:g}"
    report.add("note", "wrap", text)


def _longest(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Return the length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
