"""`testbed run`: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed run quickstart

  testbed run my-scenario.yaml --out results --workers 2

  testbed run quickstart --optimum --gain-by-knob

  testbed run quickstart --set network.uplink.trace=measured.up --set deadline_ms=150

  testbed run quickstart --emulate --set 'seeds=[1]' --set duration_s=20
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog=EXAMPLES)(run)


def run(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the scenario."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder in which the run folder is made.")] = Path(
        "runs"
    ),
    workers: Annotated[
        int, typer.Option(min=1, help="Processes to use; the result is the same for any number.")
    ] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse figures of the profiles that are assumed.")
    ] = False,
    optimum: Annotated[
        bool, typer.Option("--optimum", help="Also how far each policy is from the best possible.")
    ] = False,
    gain_by_knob: Annotated[
        bool, typer.Option("--gain-by-knob", help="Also which knob each policy's gain comes from.")
    ] = False,
    emulate: Annotated[
        bool,
        typer.Option(
            "--emulate",
            help="Run it in real time: real processes, real sockets, an emulated link.",
        ),
    ] = False,
    backend: Annotated[
        str, typer.Option(help="With --emulate: what shapes the packets; see `testbed doctor`.")
    ] = "auto",
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="With --emulate: a `testbed serve` elsewhere, over whatever lies between.",
        ),
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(metavar="PATH", help="With --server: its shared secret.")
    ] = None,
    tls_ca: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="With --server: who signs its certificate, or `system`. Turns TLS on.",
        ),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(metavar="PATH", help="With --server: what clients show it; PEM.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="PATH", help="Its key, if in another file.")
    ] = None,
    packets: Annotated[
        Path | None,
        typer.Option(help="With --emulate: folder for packet logs and captures."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="With --emulate: really encode and decode, with this network."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="With --weights: what somebody else's file holds.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="With --weights: decodes the pictures of mode offload."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the claims as JUnit XML.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a scenario: every policy on every seed, one table, one report.

    --optimum and --gain-by-knob play many more runs: every point of the ladder for ever, plans of
    somebody who knows the channel, and the policies on ladders without some of the knobs.

    Exit code 1 if a claim of the scenario does not hold, 2 if the scenario is wrong, 3 if this
    machine cannot emulate it.
    """
    from testbed.cli.show_run import print_run
    from testbed.cli.terminal import progress_bar, write_junit
    from testbed.run import run as run_scenario
    from testbed.scenario import load
    from testbed.scenario.figures import refuse_assumed

    emulation = None
    trust = {"token_file": token_file, "ca": tls_ca, "certificate": tls_cert, "key": tls_key}
    if emulate:
        from testbed.cli.emulation import options

        emulation = options(
            backend,
            trust,
            server=server,
            packets=packets,
            weights=weights,
            network=network,
            teacher=teacher,
        )
    elif (
        backend != "auto"
        or server
        or packets
        or weights
        or network
        or teacher
        or any(trust.values())
    ):
        options_of = "--backend, --server, --token-file, --tls-…, --packets, --weights, --network"
        raise typer.BadParameter(f"{options_of}, --teacher go with --emulate")
    loaded = load(scenario, overrides or [])
    if strict:
        refuse_assumed(loaded)
    asked = {"optimum": optimum, "gain_by_knob": gain_by_knob}
    questions = [question for question, wanted in asked.items() if wanted]
    if questions and emulate:
        raise typer.BadParameter("--optimum and --gain-by-knob simulate; leave --emulate out")
    what = "emulating" if emulate else "simulating"
    with progress_bar(f"{what} {loaded.spec.name}") as progress:
        folder = run_scenario(
            loaded,
            out,
            workers=workers,
            emulation=emulation,
            progress=progress,
            questions=questions,
        )
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **summary}, indent=1, ensure_ascii=False))
    else:
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        print_run(folder, summary, provenance["warnings"])
    if junit is not None:
        write_junit(junit, {folder.name: summary})
    if not all(claim["holds"] for claim in summary["claims"]):
        raise typer.Exit(1)
