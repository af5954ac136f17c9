"""`testbed ls`, `testbed show` and `testbed doctor`: looking around."""

from __future__ import annotations

from typing import Annotated

import typer

LS_EXAMPLES = """
[bold]Examples[/bold]

  testbed ls

  testbed ls policies

  testbed ls detectors --json
"""

SHOW_EXAMPLES = """
[bold]Examples[/bold]

  testbed show policy goodput

  testbed show detector published/efficientdet-d2-bw

  testbed show detector efficientdet-d2-bw --macs

  testbed show device raspberry-pi-5 --json

  testbed show scenario quickstart > mine.yaml
"""

DOCTOR_EXAMPLES = """
[bold]Examples[/bold]

  testbed doctor

  testbed doctor --json
"""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with units in the keys.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ls", epilog=LS_EXAMPLES)(ls)
    app.command("show", epilog=SHOW_EXAMPLES)(show)
    app.command("doctor", epilog=DOCTOR_EXAMPLES)(doctor)


def ls(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="policies, estimators, links, transports, formats, traces, devices, radios, "
            "servers, detectors, scenarios or sweeps; all if left out."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what there is to choose from, a line each."""
    from testbed.cli.kinds import KINDS, kind_of
    from testbed.cli.page import Page, Table

    chosen = list(KINDS.values()) if kind is None else [kind_of(kind)]
    table = Table("entries", ("kind", "name", "description"))
    for each in chosen:
        table.rows += [(each.name, name, each.describe(name)) for name in each.names()]
    Page(tables=[table]).print(as_json=as_json)


def show(
    kind: Annotated[str, typer.Argument(help="Such as policy, device or detector; see `ls`.")],
    name: Annotated[str, typer.Argument(help="A name that `testbed ls KIND` lists, or a path.")],
    macs: Annotated[
        bool, typer.Option("--macs", help="Count what each part of a network costs at each width.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one thing: the options of a part, the figures of a profile, the points of a detector.

    A scenario or sweep is printed as it stands, so that it can be redirected to a file and changed.
    """
    from testbed.cli import detectors
    from testbed.cli.kinds import kind_of
    from testbed.errors import TestbedError

    found = kind_of(kind)
    if macs and found.name != "detector":
        raise TestbedError(f"--macs is for detectors, and {name} is a {found.name}")
    page = detectors.counted(name) if macs else found.page(name)
    page.print(as_json=as_json)


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do, and what it lacks for the rest.

    Exit code 3 if something is missing without which nothing runs.
    """
    from testbed.cli.doctor import examine

    page, healthy = examine()
    page.print(as_json=as_json)
    if not healthy:
        raise typer.Exit(3)
