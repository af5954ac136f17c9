"""The boxes of many frames, true or found, in a few flat arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Truth:
    """What is in each of n frames.

    Args:
        offsets: (n + 1,) of int64; the rows `offsets[k]` to `offsets[k + 1]` are those of frame k.
        xywh: (m, 4) of float64: left, top, width, height in pixels of the frame.
        label: (m,) of int64, the category, counted from 1.
        area: (m,) of float64, of the object itself, square pixels.
        crowd: (m,) of bool; neither finding nor missing such an object counts.
        track: (m,) of int64, the object across frames; -1 where it is not known.
        sequence: (n,) of int64, the clip that each frame belongs to; frames of a clip stand
            together and in order.
        categories: What the labels mean, from 1 on.
    """

    offsets: NDArray[np.int64]
    xywh: NDArray[np.float64]
    label: NDArray[np.int64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    track: NDArray[np.int64]
    sequence: NDArray[np.int64]
    categories: tuple[str, ...]

    def __len__(self) -> int:
        """Return n, the number of frames."""
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector found in each of n frames, best first within a frame.

    Args:
        offsets: (n + 1,) of int64; the rows `offsets[k]` to `offsets[k + 1]` are those of frame k.
        xywh: (m, 4) of float64: left, top, width, height in pixels of the frame.
        label: (m,) of int64, the category, counted from 1.
        score: (m,) of float64 in [0, 1].
    """

    offsets: NDArray[np.int64]
    xywh: NDArray[np.float64]
    label: NDArray[np.int64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        """Return n, the number of frames."""
        return len(self.offsets) - 1
