"""`testbed check` and `testbed schema`: is this scenario right, and what may one say?"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

CHECK_EXAMPLES = """
[bold]Examples[/bold]

  testbed check quickstart

  testbed check scenarios/*.yaml

  testbed check mine.yaml --set network.uplink.trace=measured.up

  testbed check mine.yaml --strict
"""

SCHEMA_EXAMPLES = """
[bold]Examples[/bold]

  testbed schema > scenario.schema.json

Put `# yaml-language-server: $schema=scenario.schema.json` on the first line of a scenario, and an
editor that speaks that protocol completes and explains every key.
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check", epilog=CHECK_EXAMPLES)(check)
    app.command("schema", epilog=SCHEMA_EXAMPLES)(schema)


def check(
    files: Annotated[
        list[str], typer.Argument(help="Scenario files, or names of shipped scenarios.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of each scenario."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse figures of the profiles that are assumed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Check scenarios and every file they name, without running anything.

    Prints every mistake with file, line and key, and ends with exit code 2 if there is any.
    """
    from testbed.errors import InputErrors, Problem
    from testbed.scenario import load
    from testbed.scenario.figures import refuse_assumed

    problems: list[Problem] = []
    found: list[dict[str, Any]] = []
    for file in files:
        try:
            scenario = load(file, overrides or [])
            if strict:
                refuse_assumed(scenario)
        except InputErrors as error:
            problems += error.problems
            wrong = [
                {"file": p.file, "line": p.line, "key": p.key, "message": p.message}
                for p in error.problems
            ]
            found.append({"file": file, "ok": False, "problems": wrong})
        else:
            warnings = list(scenario.warnings)
            digest = scenario.digest
            found.append({"file": file, "ok": True, "digest": digest, "warnings": warnings})
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        raise typer.Exit(InputErrors.exit_code if problems else 0)
    for one in found:
        if one["ok"]:
            typer.echo(f"{one['file']}: ok")
            for warning in one["warnings"]:
                typer.echo(f"{one['file']}: warning: {warning}")
    if problems:
        raise InputErrors(problems)


def schema() -> None:
    """Print the JSON Schema of the scenario file, for editors."""
    from testbed.scenario.json_schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
