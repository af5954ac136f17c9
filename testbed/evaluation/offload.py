"""The baseline without a split: the picture itself is sent, as JPEG or WebP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.answers import PICTURE_CODECS, is_picture_codec
from testbed.detectors.detections import Fit
from testbed.detectors.split import SplitDetector
from testbed.errors import TestbedError, UnknownName
from testbed.evaluation.decoding import Input

Picture = NDArray[np.uint8]

MAC_PER_PIXEL = {"jpeg": 16, "webp": 780}
"""What coding a pixel takes, as multiply-accumulates of an encoder: what `benchmarks/
picture_codecs.py` printed at quality 75, 1.5 ns for JPEG and 72 ns for WebP on a core on which the
encoder of EfficientDet-D2 makes 10.8 multiply-accumulates in a nanosecond. OpenCV's coders both.
"""


@dataclass(frozen=True)
class PictureCodec:
    """How a picture is sent.

    Args:
        kind: `jpeg` or `webp`.
        quality: 1 to 100.
    """

    kind: str
    quality: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.quality}"

    @classmethod
    def parse(cls, name: str) -> PictureCodec:
        """Return the codec that `jpeg-75` names. Raise a `TestbedError` for what names none."""
        kind, _, quality = name.partition("-")
        if not is_picture_codec(name):
            raise UnknownName("picture codec", kind, PICTURE_CODECS)
        if not quality.isdecimal() or not 1 <= int(quality) <= 100:
            raise TestbedError(f"a picture's quality is a whole number from 1 to 100: '{name}'")
        return cls(kind, int(quality))

    def encode(self, image: Picture) -> bytes:
        """Return a picture (H, W, 3) in RGB as a file."""
        import cv2

        option: Any = {"jpeg": cv2.IMWRITE_JPEG_QUALITY, "webp": cv2.IMWRITE_WEBP_QUALITY}
        suffix = {"jpeg": ".jpg", "webp": ".webp"}[self.kind]
        done, data = cv2.imencode(suffix, image[:, :, ::-1], [option[self.kind], self.quality])
        if not done:
            raise TestbedError(f"OpenCV cannot write {self.kind} here")
        return data.tobytes()


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
