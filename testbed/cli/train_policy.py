"""`testbed train-policy`: a policy that learns in the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed train-policy recipe.yaml --out learned

  testbed run quickstart --set 'policies.mine={kind: learned, model: learned/mine.safetensors}'

A training that was stopped goes on when it is started again with the same folder. A recipe:

  schema: 1
  name: mine
  scenario: quickstart
  traces:
    train: [{technology: lte-driving-up, seeds: [1, 2, 3, 4]}]
    validation: [{technology: lte-driving-up, seeds: [11, 12]}]
    test: [{technology: lte-driving-up, seeds: [21, 22]}, {technology: lte-static-up, seeds: [1]}]
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-policy", epilog=EXAMPLES)(train_policy)


def train_policy(
    config: Annotated[
        Path, typer.Argument(help="A YAML file; docs/learned-policies.md has its keys.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the training; made, or gone on with.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a policy by PPO or DQN, and try it on traces that it has not seen."""
    from testbed.cli.terminal import console, progress_bar
    from testbed.errors import EnvironmentLacks

    try:
        from testbed.learning.config import load
        from testbed.learning.run import train
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(f"training needs {error.name}: install the extra `rl`") from None
    recipe = load(config)
    with progress_bar(f"training {recipe.config.name}") as progress:
        result = train(recipe, out, told=progress)
    if as_json:
        import json

        typer.echo(json.dumps(result, indent=1, ensure_ascii=False))
        return
    _show(result)
    console().print(f"policy: {out / recipe.config.name}.safetensors", soft_wrap=True)


def _show(result: dict[str, Any]) -> None:
    """Print what the network is worth on test traces, and beside what."""
    from rich.table import Table

    from testbed.cli.terminal import console

    table = Table("on test traces", "mean utility", box=None)
    table.columns[1].justify = "right"
    rows = {f"{name} (policy)": value for name, value in result["policies"].items()}
    rows |= {f"{name} (point)": value for name, value in result["points"].items()}
    rows["best point of each trace in hindsight"] = result["best_point_in_hindsight"]
    rows["plan of the optimum"] = result["plan_of_the_optimum"]
    for seed, value in result["learned_by_seed"].items():
        kept = ", kept" if int(seed) == result["kept_seed"] else ""
        rows[f"learned, seed {seed}{kept}"] = value
    for name, value in sorted(rows.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{value:.4f}")
    console().print(table)
    for row in result["contrasts"]:
        console().print(_contrast("learned", row), soft_wrap=True)
    over = result["over_seeds"]
    if over["deviation"] is not None:
        console().print(
            f"{over['seeds']} seeds: mean {over['mean']:.4f}, standard deviation "
            f"{over['deviation']:.4f}, from {over['least']:.4f} to {over['most']:.4f}",
            soft_wrap=True,
        )
        for row in over["contrasts"]:
            console().print(_contrast("mean over seeds", row), soft_wrap=True)


def _contrast(who: str, row: dict[str, Any]) -> str:
    """Return a difference to a rival in words."""
    said = f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
    return (
        f"{who} against {row['against']}: {row['verdict']}, {said}, 95 % over "
        f"{row['traces']} traces, p = {row['p_holm']:.2g} after Holm"
    )
