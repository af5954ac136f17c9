"""`testbed data`: data sets that the testbed makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed data make scenes --out scenes

  testbed data make scenes --out scenes --splits val,video --seed 7
"""

app = typer.Typer(no_args_is_help=True, help="Data sets that the testbed makes itself.")


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="data")


@app.callback()
def _data() -> None:
    """Data sets that the testbed makes itself."""


@app.command("make", epilog=EXAMPLES)
def make(
    what: Annotated[str, typer.Argument(help="scenes: synthetic video with exact boxes.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and a JSON per split.")],
    splits: Annotated[
        str, typer.Option(help="Separated by commas: train, val, video.")
    ] = "train,val,video",
    seed: Annotated[int, typer.Option(min=0, help="Of all scenes.")] = 2021,
) -> None:
    """Write synthetic scenes as PNG files with boxes of COCO's form; go on where it stopped."""
    from testbed.cli.terminal import console, progress_bar
    from testbed.datasets import scenes_files
    from testbed.errors import EnvironmentLacks, TestbedError, UnknownName

    chosen = [split.strip() for split in splits.split(",") if split.strip()]
    if what != "scenes":
        raise UnknownName("data set to make", what, ["scenes"])
    for split in chosen:
        if split not in scenes_files.SPLITS:
            raise UnknownName("split", split, list(scenes_files.SPLITS))
    if not chosen:
        raise TestbedError("--splits: names none; there are: " + ", ".join(scenes_files.SPLITS))
    for split in chosen:
        try:
            with progress_bar(f"painting {split}") as progress:
                path = scenes_files.make(out, split, seed=seed, told=progress)
        except ModuleNotFoundError as error:
            raise EnvironmentLacks(
                f"painting needs {error.name}: install the extra `detect`"
            ) from None
        console().print(str(path), soft_wrap=True)
