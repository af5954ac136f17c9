"""`testbed profile`: measure a detector on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from testbed.cli.page import Table
    from testbed.devices.sheets import DeviceSheet, ServerSheet
    from testbed.profiling.sheet import Watts
    from testbed.profiling.take import Measurement, Request

EXAMPLES = """
[bold]Examples[/bold]

  testbed profile efficientdet-d2-bw --name mine

  testbed run quickstart --set clients.0.device=mine.yaml

  testbed profile --check mine.yaml

  testbed profile efficientdet-d2-cp-c48-min25 --input-side 256 --widths 0.25,0.5,0.75,1 --quick

  testbed profile small-d0-cp efficientdet-d2-cp-c48-min25 --threads 1 --meter log.csv --name other

  testbed profile efficientdet-d2-bw --part decoder --name server
"""

QUICK_RUNS, QUICK_WARM_UP, QUICK_WINDOW_S = 10, 3, 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog=EXAMPLES)(profile)


def profile(
    detectors: Annotated[
        list[str] | None,
        typer.Argument(metavar="DETECTOR...", help="Networks, such as small-d0-cp."),
    ] = None,
    input_sides: Annotated[
        list[int] | None,
        typer.Option(
            "--input-side",
            metavar="PIXELS",
            help="Side of the square picture; may be repeated. Each network's own if left out.",
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(metavar="α,α,...", help="Widths to measure; all of a network if left out."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads to compute with; one per processor if left out."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(help="Runs of each width, at least 50, which is the default.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="10 runs: a first look, without p99.")
    ] = False,
    part: Annotated[
        Literal["encoder", "decoder"],
        typer.Option(help="encoder: a device file. decoder: a server file."),
    ] = "encoder",
    meter: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Where joules come from: a meter's log (CSV time_s,power_w in Unix seconds, "
            "written meanwhile), rapl, ina3221, nvml, none, or auto.",
        ),
    ] = "auto",
    watts_like: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Without a meter: the watts of this device file."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write; NAME.yaml if left out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the file; that of the first network if left out.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(help="Class of the machine, for the sources; found out if left out."),
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="For the sources; today if left out.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if there is one.")
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Measure the points of a file again, write nothing."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest share by which a point may drift in a check.")
    ] = 0.1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in the keys.")
    ] = False,
) -> None:
    """Measure a detector on this machine and write a device file that a scenario can name.

    With --check, measure a file again and say how far each point drifted: exit code 1 if too far.
    Times on a busy machine are written and labelled, and are no claim about its speed.
    """
    from testbed.errors import TestbedError
    from testbed.profiling.measure import LEAST_RUNS

    if quick and runs is not None:
        raise TestbedError("--quick and --runs contradict each other; give one of them")
    if runs is not None and runs < LEAST_RUNS:
        raise TestbedError(f"--runs must be at least {LEAST_RUNS}, not {runs}; or use --quick")
    count = QUICK_RUNS if quick else runs or LEAST_RUNS
    warm_up = QUICK_WARM_UP if quick else 20
    if check is not None:
        if detectors:
            raise TestbedError("--check takes the networks from the file; name none beside it")
        raise typer.Exit(_check(check, count, warm_up, tolerance, as_json=as_json))
    if not detectors:
        raise TestbedError("name a network to measure, such as small-d0-cp, or a file to --check")

    from testbed.profiling import environment
    from testbed.profiling.sheet import Origin, device_sheet, machine_title, server_sheet
    from testbed.profiling.take import Request, groups

    # Whatever can be wrong is found before minutes are spent on measuring.
    path = out or Path(f"{name or detectors[0].rpartition('/')[2]}.yaml")
    _may_write(path, force=force)
    day = _date(date)
    request = Request(
        groups=groups(detectors, input_sides, _widths(widths)),
        part=part,
        threads=threads or environment.usable_cpus(),
        runs=count,
        warm_up=warm_up,
        window_s=QUICK_WINDOW_S if quick else 5.0,
    )
    borrowed = _borrowed(watts_like)
    found = _measure(request, meter)
    title = machine_title(found.before, request.threads)
    origin = Origin(
        title=f"{name}: {title}" if name else title,
        machine=machine or found.before.machine,
        date=day,
    )
    watts = _watts(found, origin, borrowed)
    make = device_sheet if part == "encoder" else server_sheet
    _write(path, make(found, origin, watts))
    _show(found, watts, path, as_json=as_json)


def _may_write(path: Path, *, force: bool) -> None:
    import os

    from testbed.errors import EnvironmentLacks, TestbedError

    if path.suffix != ".yaml":
        raise TestbedError(f"a device file ends in .yaml, not '{path.name}'")
    if path.exists() and not force:
        raise TestbedError(f"{path} exists; --force replaces it, --out writes elsewhere")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise EnvironmentLacks(f"{path} cannot be written: no writing in {folder}")


def _widths(given: str | None) -> tuple[float, ...] | None:
    from testbed.errors import TestbedError

    if given is None:
        return None
    try:
        return tuple(float(width) for width in given.split(","))
    except ValueError:
        raise TestbedError(f"--widths takes numbers with commas between, not '{given}'") from None


def _date(given: str | None) -> str:
    from datetime import UTC, date, datetime

    from testbed.errors import TestbedError

    if given is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise TestbedError(f"--date takes a date such as 2026-01-31, not '{given}'") from None


def _borrowed(device: str | None) -> Watts | None:
    from testbed import catalog
    from testbed.devices.profile import load_device
    from testbed.profiling.sheet import borrowed_watts

    if device is None:
        return None
    return borrowed_watts(load_device(catalog.find("devices/devices", device)))


def _measure(request: Request, meter: str) -> Measurement:
    from testbed.cli.terminal import progress_bar
    from testbed.profiling.meters import choose
    from testbed.profiling.take import take

    instrument, why = choose(meter)
    with progress_bar(f"measuring, {request.part}") as progress:
        return take(request, instrument, why, progress)


def _watts(found: Measurement, origin: object, borrowed: Watts | None) -> Watts:
    from testbed.profiling.sheet import Origin, assumed_watts, measured_watts

    assert isinstance(origin, Origin)
    measured = measured_watts(found, origin)
    return measured or borrowed or assumed_watts(found.before.cpus, found.request.threads)


def _write(path: Path, sheet: DeviceSheet | ServerSheet) -> None:
    from testbed.errors import EnvironmentLacks
    from testbed.profiling.write import dump_sheet

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_sheet(sheet), encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacks(f"{path} cannot be written: {error.strerror}") from None


def _show(found: Measurement, watts: Watts, path: Path, *, as_json: bool) -> None:
    from testbed.cli.page import Page, Table

    table = Table("points", _COLUMNS)
    for point in found.points:
        t = point.times
        table.rows.append(
            (
                point.detector, point.side, point.width,
                _rounded(t.mean / 1e6, 2), _rounded(t.p50 / 1e6, 2), _rounded(t.p90 / 1e6, 2),
                None if found.request.is_quick else _rounded(t.p99 / 1e6, 2),
                _rounded(t.jitter_cv, 3), _rounded(100 * point.waited_share, 1),
                _rounded(point.mac / 1e9, 4), _rounded(point.gmac_per_s, 2),
                _rounded(point.switch_ns / 1e6, 2),
                None if point.peak_bytes is None else _rounded(point.peak_bytes / 1e6, 1),
                _rounded(point.active_w, 2),
            )
        )  # fmt: skip
    # Two tables for people, because one would be wider than a terminal.
    tables = [table] if as_json else [_some(table, 3, _TIMES_END), _some(table, _TIMES_END, None)]
    facts = dict(found.before.facts())
    facts |= {
        "engine": found.engine,
        "threads": found.request.threads,
        "load_after": found.after.load,
        "yardstick_ms": round(found.yardstick.p50 / 1e6, 3),
        "idle_w": watts.idle.value,
        "active_w": watts.active.value,
        "watts": f"{watts.active.kind}; {found.meter}",
        "file": str(path),
        "claim": not found.doubts,
    }
    notes = []
    if found.doubts:
        notes.append(f"No claim about the speed of this machine: {'; '.join(found.doubts)}.")
    if found.idle_w is None:
        notes.append(f"Watts, {watts.active.kind}: {watts.active.source}.")
    Page(facts=facts, tables=tables, notes=notes).print(as_json=as_json)


_COLUMNS = (
    "detector input_side width mean_ms p50_ms p90_ms p99_ms jitter_cv waited_percent "
    "gmac gmac_per_s switch_ms peak_memory_mb active_w"
).split()
_TIMES_END = _COLUMNS.index("gmac")


def _some(table: Table, begin: int, end: int | None) -> Table:
    """Return the columns that tell a point, and some of the others that hold anything."""
    from testbed.cli.page import Table

    others = range(len(_COLUMNS))[begin:end]
    kept = [0, 1, 2, *(i for i in others if any(row[i] is not None for row in table.rows))]
    rows: list[Sequence[Any]] = [[row[i] for i in kept] for row in table.rows]
    return Table(table.name, [_COLUMNS[i] for i in kept], rows)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _check(name: str, runs: int, warm_up: int, tolerance: float, *, as_json: bool) -> int:
    from testbed.cli.page import Page, Table
    from testbed.profiling.drift import drifts, machine_drift, requests, verdict

    sheet = _sheet(name)
    found = [_measure(request, "none") for request in requests(name, sheet, runs=runs,
                                                               warm_up=warm_up)]  # fmt: skip
    every = [drift for measurement in found for drift in drifts(sheet, measurement)]
    busy = sorted({doubt for measurement in found for doubt in measurement.doubts})
    machine = machine_drift(sheet, found)
    holds, said = verdict(every, machine, busy, tolerance)
    table = Table(
        "points", ("detector", "input_side", "width", "then_ms", "now_ms", "drift_percent")
    )
    for d in every:
        now = round(d.now_s * 1e3, 2)
        table.rows.append(
            (d.detector, d.side, d.width, d.then_s * 1e3, now, round(100 * d.share, 1))
        )
    facts = {
        "file": name,
        "holds": holds,
        "tolerance_percent": 100 * tolerance,
        "load": found[0].before.load,
        "machine_drift_percent": None if machine is None else round(100 * machine, 1),
    }
    Page(facts=facts, tables=[table], notes=[said]).print(as_json=as_json)
    return 0 if holds else 1


def _sheet(name: str) -> DeviceSheet | ServerSheet:
    """Return the device file of that name, or the server file if there is no such device."""
    from testbed import catalog
    from testbed.devices.profile import load_device, load_server
    from testbed.errors import InputErrors, UnknownName

    try:
        path = catalog.find("devices/devices", name)
    except UnknownName:
        if name not in dict(catalog.entries("devices/servers")):
            raise
        path = catalog.find("devices/servers", name)
    try:
        return load_device(path).sheet
    except InputErrors:
        try:
            return load_server(path).sheet
        except InputErrors:
            pass
        raise
