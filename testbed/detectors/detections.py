"""What a detector is, what it says of a picture, and how the picture was fitted to the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from testbed.model import OperatingPoint


@dataclass(frozen=True)
class Detections:
    """The objects found in one picture, best first.

    Args:
        boxes: (n, 4) of float32: left, top, right, bottom, in pixels of the original picture.
        scores: (n,) of float32 in [0, 1].
        labels: (n,) of int64, counted from 1.
        masks: (n, H, W) of bool at the size of the picture, where the detector has any.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture lies in the network's input, top left, the rest being padding.

    Args:
        original: Height and width of the picture.
        resized: Height and width of it in the input.
        canvas: Height and width of the input.
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    canvas: tuple[int, int]


class Detector(Protocol):
    """A detector with real bytes between its halves.

    Two objects made of the same weights, in two processes, may each run one half: whatever `decode`
    needs is in the bytes. `testbed.testing.check_detector` holds one to that.
    """

    def encode(self, image: NDArray[np.uint8], point: OperatingPoint) -> bytes:
        """Return what the device sends for a picture (H, W, 3) in RGB at an operating point.

        The same picture and point give the same bytes. Raise a `ValueError`, or `UnknownName`, for
        a point that it has not.
        """

    def decode(self, payload: bytes) -> Detections:
        """Return what is in the picture, in its own pixels.

        Raise a `PayloadError` for bytes that no `encode` of the same weights has made; never crash,
        and never allocate more than a payload can stand for.
        """
