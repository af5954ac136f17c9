"""`testbed trace`: looking at traces, checking, converting, making and fetching them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from testbed.traces.lint import Report
    from testbed.traces.trace import Trace

app = typer.Typer(
    name="trace",
    help="Look at traces, check them, convert, make and fetch them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

LS_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace ls

  testbed trace ls --published

  testbed trace ls --technologies --json
"""
SHOW_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace show lte/drive-a.up

  testbed trace show mine.csv --png mine.png

  testbed trace show drive.csv --column Verizon_throughput_mbps
"""
LINT_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace lint mine.log

  testbed trace lint recordings/*.csv --json

  testbed trace lint odd.txt --format pensieve --holds after
"""
CONVERT_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace convert mine.log mine.up

  testbed trace convert lte/drive-a.up drive.csv --window-ms 100

  testbed trace convert mine.csv shape.sh --to tc
"""
SYNTHESISE_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace synthesise --technology lte-driving-up --duration 120 --seed 7 --out drive.up

  testbed trace synthesise --technology wifi-walking-up --duration 60 --seed 1 > walk.up

  testbed trace ls --technologies
"""
FETCH_EXAMPLES = """
[bold]Examples[/bold]

  testbed trace fetch

  testbed trace fetch mahimahi/Verizon-LTE-short.up

  testbed trace fetch wifi_solis/wifi_cafe_231115-154511.txt --mirror http://files.lab/traces
"""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with units in the keys.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Read as this format instead of telling it from the content."),
]
Column = Annotated[str | None, typer.Option(help="Column of rates, where the format has several.")]
Holds = Annotated[
    str | None,
    typer.Option(help="Whether a value holds `before` or `after` its stamp, where one may choose."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


def register(parent: typer.Typer) -> None:
    """Add the commands under `trace`."""
    parent.add_typer(app, name="trace")


@app.command("ls", epilog=LS_EXAMPLES)
def ls(
    published: Annotated[
        bool, typer.Option("--published", help="What `fetch` can fetch, and its licence.")
    ] = False,
    technologies: Annotated[
        bool, typer.Option("--technologies", help="What `synthesise` can make.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the traces that ship with the testbed."""
    from testbed.cli.page import Page

    if published:
        table = _published_table()
    elif technologies:
        table = _technology_table()
    else:
        table = _shipped_table()
    Page(tables=[table]).print(as_json=as_json)


@app.command("show", epilog=SHOW_EXAMPLES)
def show(
    trace: Annotated[str, typer.Argument(help="A file, a shipped trace or a fetched one.")],
    format_: Format = None,
    column: Column = None,
    holds: Holds = None,
    png: Annotated[Path | None, typer.Option(help="Write a figure to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the figures of one trace, and how it goes over one period."""
    from testbed.cli.page import Page
    from testbed.traces import plot

    path = _locate(trace)
    content = _read(path, format_, column, holds)
    report = _lint(path, format_, column, holds)
    facts = report.facts()
    facts["notes"] = list(content.notes)
    for key in ("findings", "format_sureness"):
        del facts[key]
    if not as_json:
        facts = {key: value for key, value in facts.items() if value not in (None, [])}
        facts["over_time"] = plot.sparkline(content)
    if png is not None:
        plot.png(content, png, path.name)
        facts["png"] = str(png)
    Page(path.name, facts).print(as_json=as_json)


@app.command("lint", epilog=LINT_EXAMPLES)
def lint(
    files: Annotated[list[str], typer.Argument(help="Files, shipped traces or fetched ones.")],
    format_: Format = None,
    column: Column = None,
    holds: Holds = None,
    as_json: AsJson = False,
) -> None:
    """Say what a trace is, how sure that is, and what to know before replaying it.

    Ends with exit code 2 if a file cannot be read as a trace; warnings and notes change nothing.
    """
    import json

    reports = [_lint(_locate(file), format_, column, holds) for file in files]
    if as_json:
        found = [report.facts() for report in reports]
        typer.echo(json.dumps(found[0] if len(found) == 1 else found, ensure_ascii=False, indent=2))
    elif len(reports) == 1:
        _print_report(reports[0])
    else:
        _print_reports(reports)
    if any(report.broken for report in reports):
        raise typer.Exit(2)


@app.command("convert", epilog=CONVERT_EXAMPLES)
def convert(
    trace: Annotated[str, typer.Argument(help="A file, a shipped trace or a fetched one.")],
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[
        str | None,
        typer.Option(
            help="mahimahi, csv or tc; by default what the name of the new file ends in: "
            ".up, .down and .pps, .csv, .sh."
        ),
    ] = None,
    window_ms: Annotated[
        float, typer.Option(help="Length of a step when opportunities become rates.")
    ] = 100.0,
    format_: Format = None,
    column: Column = None,
    holds: Holds = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Convert a trace; every window keeps what it delivers to within one packet of 1500 bytes."""
    from testbed.errors import TestbedError, UnknownName
    from testbed.traces import convert as conversion
    from testbed.traces import write

    endings = {".up": "mahimahi", ".down": "mahimahi", ".pps": "mahimahi"}
    endings |= {".csv": "csv", ".sh": "tc"}
    kind = to or endings.get(out.suffix)
    if kind is None:
        raise TestbedError(f"{out}: what to convert to? Name it with --to: mahimahi, csv or tc")
    if kind not in ("mahimahi", "csv", "tc"):
        raise UnknownName("trace format to write", kind, ("mahimahi", "csv", "tc"))
    if not window_ms > 0:
        raise TestbedError(f"--window-ms is {window_ms:g}; allowed: above 0")
    content = _read(_locate(trace), format_, column, holds)
    if kind == "mahimahi":
        content = conversion.to_opportunities(content)
        text = write.mahimahi(content)
    else:
        content = conversion.to_rates(content, round(window_ms * 1e6))
        text = write.rate_csv(content) if kind == "csv" else write.tc_schedule(content)
    _save(out, text, force=force)
    _print_written(out, content, as_json=as_json)


@app.command("synthesise", epilog=SYNTHESISE_EXAMPLES)
def synthesise(
    technology: Annotated[
        str, typer.Option(help="Such as lte-driving-up; `testbed trace ls --technologies`.")
    ],
    duration: Annotated[int, typer.Option(help="Length in whole seconds.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes everywhere.")],
    mean_mbps: Annotated[
        float | None, typer.Option(help="Mean rate; drawn as measured runs differ if left out.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; standard output if left out. What ends in .csv gets rates, in .up "
            "or .down opportunities."
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a trace with the statistics of measured ones.

    Single opportunities (Mahimahi), or rates of 100 ms where the technology is too fast for that.
    """
    from testbed.traces import write
    from testbed.traces.synthesise import synthesise as make

    endings = {".csv": "rate", ".up": "opportunities", ".down": "opportunities"}
    kind: Any = None if out is None else endings.get(out.suffix)
    content = make(technology, duration, seed, mean_mbps=mean_mbps, kind=kind)
    text = write.mahimahi(content) if content.kind == "opportunities" else write.rate_csv(content)
    if out is None:
        sys.stdout.write(text)
        return
    _save(out, text, force=force)
    _print_written(out, content, as_json=as_json)


@app.command("fetch", epilog=FETCH_EXAMPLES)
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of recordings; lists them if left out.")
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(help="Address of a folder with the files, instead of their origin."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch public recordings into the user's cache, verified by checksum.

    They are their authors' and come from where these published them; read the licence.
    """
    from testbed.cli.page import Page, Table
    from testbed.traces import fetch as fetching
    from testbed.traces.published import PUBLISHED

    if not names:
        Page(tables=[_published_table()]).print(as_json=as_json)
        return
    table = Table("fetched", ("name", "path", "licence", "page", "sha256"))
    for name in names:
        path = fetching.fetch(name, mirror=mirror)
        entry = PUBLISHED[name]
        table.rows.append((name, str(path), entry.licence, entry.page, entry.sha256))
    Page(tables=[table]).print(as_json=as_json)


def _locate(name: str) -> Path:
    """Return the file of a path, a shipped trace or a fetched recording."""
    from testbed import catalog
    from testbed.errors import TestbedError
    from testbed.traces import fetch as fetching
    from testbed.traces.published import PUBLISHED

    path = Path(name)
    if path.exists():
        return path
    if name in PUBLISHED:
        found = fetching.cached(name)
        if found is None:
            raise TestbedError(f"{name} is not in the cache; run `testbed trace fetch {name}`")
        return found
    return catalog.find("traces", name)


def _options(column: str | None, holds: str | None) -> dict[str, Any]:
    given = {"column": column, "holds": holds}
    return {key: value for key, value in given.items() if value is not None}


def _read(path: Path, format_: str | None, column: str | None, holds: str | None) -> Trace:
    from testbed import traces

    return traces.read(path, format=format_, **_options(column, holds))


def _lint(path: Path, format_: str | None, column: str | None, holds: str | None) -> Report:
    from testbed.traces.lint import lint as check

    return check(path, format=format_, **_options(column, holds))


def _print_report(report: Report) -> None:
    from testbed.cli.page import Page, Table

    facts = {
        key: value
        for key, value in report.facts().items()
        if value is not None and key != "findings"
    }
    findings = Table("findings", ("level", "about", "message"))
    findings.rows = [(each.level, each.code, each.message) for each in report.findings]
    Page(facts=facts, tables=[findings]).print()


def _print_reports(reports: list[Report]) -> None:
    from testbed.cli.page import Page, Table

    columns = ["path", "format", "direction", "kind", "technology", "duration_s", "samples"]
    columns += ["mean_mbps", "p5_mbps", "p50_mbps", "p95_mbps", "period_s"]
    files = Table("files", (*columns, "warnings"))
    notes = []
    for report in reports:
        serious = [each for each in report.findings if each.level != "note"]
        files.rows.append((*(getattr(report, column) for column in columns), len(serious)))
        notes += [f"{report.path}: {each.level}: {each.message}" for each in serious]
    Page(tables=[files], notes=notes).print()


def _print_written(out: Path, content: Trace, *, as_json: bool) -> None:
    from testbed.cli.page import Page

    facts = {
        "path": str(out),
        "kind": content.kind,
        "samples": len(content.stamps_ns),
        "period_s": content.period_ns / 1e9,
        "mean_mbps": round(content.mean_bps / 1e6, 6),
        "notes": list(content.notes),
    }
    Page(facts=facts).print(as_json=as_json)


def _save(path: Path, text: str, *, force: bool) -> None:
    from testbed.errors import EnvironmentLacks, TestbedError

    if path.exists() and not force:
        raise TestbedError(f"{path}: exists already; --force replaces it")
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise EnvironmentLacks(f"{path}: cannot be written: {error.strerror}") from None


def _shipped_table() -> Any:
    from testbed import catalog
    from testbed.cli.page import Table
    from testbed.traces.lint import lint as check

    columns = ("format", "direction", "technology", "mean_mbps", "p5_mbps", "p50_mbps", "p95_mbps")
    table = Table("traces", ("name", *columns, "period_s", "broken"))
    for name, path in catalog.entries("traces"):
        report = check(path)
        row = [getattr(report, column) for column in (*columns, "period_s")]
        table.rows.append((name, *row, report.broken or None))
    if not any(row[-1] for row in table.rows):
        table.columns = table.columns[:-1]
        table.rows = [row[:-1] for row in table.rows]
    return table


def _published_table() -> Any:
    from testbed.cli.page import Table
    from testbed.traces import fetch as fetching
    from testbed.traces.published import PUBLISHED

    table = Table("published", ("name", "licence", "how", "page"))
    for entry in PUBLISHED.values():
        how = "in the cache" if fetching.cached(entry.name) else "fetch"
        if entry.url is None and how == "fetch":
            how = "by hand"
        table.rows.append((entry.name, entry.licence, how, entry.page))
    return table


def _technology_table() -> Any:
    from testbed.cli.page import Table
    from testbed.traces.technologies import TECHNOLOGIES

    columns = ("technology", "direction", "mean_mbps", "description", "after")
    table = Table("technologies", columns)
    table.rows = [
        (name, tech.direction, tech.mean_mbps, tech.title, tech.source)
        for name, tech in TECHNOLOGIES.items()
    ]
    return table
