"""What an answer is once it is written down: boxes to a sixteenth of a pixel, scores in 16 bits.

A recording, a replay and a live evaluation all round alike, so that their mAP is the same number.
numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.boxes import Found

PIXEL_PARTS = 16
"""A box is a whole number of these parts of a pixel; exact in binary, so that sums are."""

SCORE_LEVELS = 65_535
"""A score is a whole number of parts, of this many to one."""

MOST_BOXES = 100
"""Of a picture, the best ones; COCO's metrics look at no more."""

PICTURE_CODECS = ("jpeg", "webp")
"""What a picture is sent as by the mode `offload`; a point's codec adds the quality: `jpeg-75`."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def is_picture_codec(codec: str) -> bool:
    """Return whether a point's codec is that of a picture, with its quality."""
    return codec.partition("-")[0] in PICTURE_CODECS


def written(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> tuple[Ints, Ints]:
    """Return boxes (n, 4: left, top, right, bottom) and scores (n,) as whole numbers.

    Of more than `MOST_BOXES` the first are kept; a detector gives the best first.
    """
    edges = np.rint(boxes[:MOST_BOXES].astype(np.float64) * PIXEL_PARTS).astype(np.int64)
    levels = np.rint(scores[:MOST_BOXES].astype(np.float64) * SCORE_LEVELS).astype(np.int64)
    return edges, levels


def read_back(edges: Ints, levels: Ints) -> tuple[Floats, Floats]:
    """Return boxes (n, 4: left, top, width, height) in pixels and scores (n,) in [0, 1]."""
    boxes = edges.astype(np.float64) / PIXEL_PARTS
    boxes[:, 2:] -= boxes[:, :2]
    return boxes, levels / SCORE_LEVELS


@dataclass(frozen=True, eq=False)
class Answers:
    """What was found in each of n frames, as `written` gives it.

    Args:
        offsets: (n + 1,); the rows `offsets[k]` to `offsets[k + 1]` are those of frame k.
        edges: (m, 4): left, top, right, bottom, in parts of a pixel.
        label: (m,), counted from 1.
        score: (m,), in parts of one.
    """

    offsets: Ints
    edges: Ints
    label: Ints
    score: Ints

    @property
    def frame(self) -> Ints:
        """The frame of each row."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def found(self) -> Found:
        """Return the same in pixels, as metrics take it."""
        xywh, score = read_back(self.edges, self.score)
        return Found(self.offsets, xywh, self.label, score)


def joined(parts: Sequence[Answers]) -> Answers:
    """Return the answers of stretches of frames that follow one another as one."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Answers(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.edges for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.score for part in parts]),
    )
