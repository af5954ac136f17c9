"""What has been recorded so far, a stretch of frames a file, so that a killed run goes on."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbed.detectors.answers import Answers, Ints


@dataclass(frozen=True, eq=False)
class Chunk:
    """What the points of a recording made of a stretch of frames.

    Args:
        payload_bytes: (points, frames).
        picture_pixels: (frames,) of the pictures that `offload` sends; 0 without it.
        answers: One for each kind of answer.
    """

    payload_bytes: Ints
    picture_pixels: Ints
    answers: tuple[Answers, ...]


@dataclass(frozen=True)
class Store:
    """Chunks as files, numbered.

    Args:
        folder: Made when the first is written.
    """

    folder: Path

    def path(self, number: int) -> Path:
        """Return the file of a chunk."""
        return self.folder / f"{number:06d}.npz"

    def put(self, number: int, chunk: Chunk) -> None:
        """Write a chunk; in one step, so that no half of it is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{number:06d}.part"
        with part.open("wb") as stream:
            np.savez(
                stream,
                payload_bytes=chunk.payload_bytes,
                picture_pixels=chunk.picture_pixels,
                lengths=np.array([np.diff(answers.offsets) for answers in chunk.answers]),
                edges=np.concatenate([answers.edges for answers in chunk.answers]),
                label=np.concatenate([answers.label for answers in chunk.answers]),
                score=np.concatenate([answers.score for answers in chunk.answers]),
            )
        part.replace(self.path(number))

    def get(self, number: int) -> Chunk | None:
        """Return a chunk, None if it is not there or no chunk of this version."""
        try:
            with np.load(self.path(number)) as data:
                return Chunk(data["payload_bytes"], data["picture_pixels"], tuple(_split(data)))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None

    def remove(self) -> None:
        """Delete all chunks."""
        for file in self.folder.glob("*"):
            file.unlink()
        if self.folder.is_dir():
            self.folder.rmdir()


def _split(data: np.lib.npyio.NpzFile) -> Iterator[Answers]:
    edges, label, score = data["edges"], data["label"], data["score"]
    start = 0
    for lengths in data["lengths"]:
        end = start + int(lengths.sum())
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        yield Answers(offsets, edges[start:end], label[start:end], score[start:end])
        start = end
