"""`testbed train`: a teacher on ground truth, or a slimmable student by distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
[bold]Examples[/bold]

  testbed train student.yaml --out training/student

  torchrun --nproc-per-node 4 -m testbed train student.yaml --out training/student

A run that was stopped goes on when it is started again with the same folder. A config:

  detector: efficientdet-d2-bw
  teacher: teacher.safetensors
  train: {path: coco/annotations/instances_train2017.json}
  validation: {path: coco/annotations/instances_val2017.json}
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog=EXAMPLES)(train)


def train(
    config: Annotated[Path, typer.Argument(help="A YAML file; docs/training.md has its keys.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; made, or gone on with.")],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 … or auto.")] = "auto",
) -> None:
    """Train a detector, and go on where an interrupted run stopped."""
    from testbed.cli.terminal import console, progress_bar
    from testbed.errors import EnvironmentLacks
    from testbed.training.config import load

    run = load(config)
    try:
        from testbed.training.run import train as start
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(f"training needs {error.name}: install the extra `detect`") from None
    with progress_bar(f"training {run.detector}") as progress:
        start(run, out, device=device, told=lambda done, total, _losses: progress(done, total))
    console().print(f"weights: {out / 'best.safetensors'}")
