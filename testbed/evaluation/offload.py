"""The baseline without a split: the picture itself is sent, as JPEG or WebP."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.detections import Fit
from testbed.detectors.split import SplitDetector
from testbed.evaluation.decoding import Input

Picture = NDArray[np.uint8]

MAC_PER_PIXEL = {"jpeg": 16, "webp": 780}
"""What coding a pixel takes, as multiply-accumulates of an encoder: what `benchmarks/
picture_codecs.py` printed at quality 75, 1.5 ns for JPEG and 72 ns for WebP on a core on which the
encoder of EfficientDet-D2 makes 10.8 multiply-accumulates in a nanosecond. OpenCV's coders both.
"""


def decode(data: bytes) -> Picture:
    """Return the picture that a file holds, (H, W, 3) in RGB."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None  # it is our own file
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def shrunk(image: Picture, fit: Fit) -> Picture:
    """Return a picture no larger than it lies in the network's input.

    What the network would not see is not sent: that is the baseline at its best.
    """
    import cv2

    height, width = fit.resized
    if height >= image.shape[0] or width >= image.shape[1]:
        return image
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8)


def whole_picture(detector: SplitDetector, image: Picture, original: tuple[int, int]) -> Input:
    """Return a picture for a detector that is run whole, at full width and unquantised.

    Args:
        detector: A teacher, or a student whose bottleneck is handed on as it is.
        image: (H, W, 3) in RGB, perhaps smaller than it was.
        original: Height and width of the picture that the boxes are wanted for.
    """
    x, fit = detector.prepare(image)
    return Input(detector, x[None], 1.0, Fit(original, fit.resized, fit.canvas), True)
