"""What a training run leaves behind, so that it can go on after a kill at any moment.

| file | content |
|---|---|
| `last.pt` | everything that the next step depends on; replaced in one step |
| `best.safetensors` | the network at its best validation so far |
| `final.safetensors` | the network after the last epoch |
| `log.csv` | the loss of each width or part, step by step |
| `validation.csv` | mAP per width, epoch by epoch |
| `tensorboard/` | the same, where TensorBoard is installed |
| `config.json` | the run, every field said |
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from testbed.errors import RunError

LAST, BEST, FINAL = "last.pt", "best.safetensors", "final.safetensors"


@dataclass
class Progress:
    """How far a run is.

    Args:
        epoch: Under way, counted from 0.
        batch: Batches of it that are done.
        step: Steps done since the beginning.
        best: The best mean mAP so far; below 0 if there was no validation yet.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = -1.0


def save(folder: Path, digest: str, progress: Progress, parts: Mapping[str, Any]) -> None:
    """Write a checkpoint in one step.

    Args:
        folder: Of the run.
        digest: Which run it is.
        progress: How far it is.
        parts: What has a `state_dict`, by name.
    """
    content = {name: part.state_dict() for name, part in parts.items()}
    content |= {"digest": digest, "progress": vars(progress)}
    temporary = folder / (LAST + ".part")
    torch.save(content, temporary)
    temporary.replace(folder / LAST)


def resume(folder: Path, digest: str, parts: Mapping[str, Any]) -> Progress:
    """Load the checkpoint of a folder if there is one, and return how far the run is.

    Raise a `RunError` if the folder holds another run.
    """
    path = folder / LAST
    if not path.exists():
        return Progress()
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["digest"] != digest:
        raise RunError(
            f"{folder} holds another run ({content['digest']}); this one is {digest}. "
            "Name another folder, or remove that one"
        )
    for name, part in parts.items():
        part.load_state_dict(content[name])
    return Progress(**content["progress"])


class Log:
    """Numbers by step, in a CSV file that goes on where a checkpoint ended.

    Args:
        path: The file.
        columns: After `step`.
        after: The last step that counts; later rows, of steps that will be done again, go.
    """

    def __init__(self, path: Path, columns: list[str], after: int) -> None:
        self.path, self.columns = path, ["step", *columns]
        kept: list[list[str]] = []
        if path.exists():
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
            kept = [row for row in rows[1:] if len(row) == len(self.columns)]
            kept = [row for row in kept if int(row[0]) <= after]
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([self.columns, *kept])

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Append a row; what a column has no value for stays empty."""
        row = [values.get(column) for column in self.columns[1:]]
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerow([step, *("" if v is None else repr(v) for v in row)])


class Board:
    """TensorBoard's writer where it is installed, else nothing."""

    def __init__(self, folder: Path, after: int) -> None:
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        make: Any = SummaryWriter
        self._writer = make(str(folder), purge_step=after + 1)

    def add(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Write numbers of one step."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
