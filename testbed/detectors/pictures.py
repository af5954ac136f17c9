"""Whole pictures as files: what the mode `offload` sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.detectors.answers import PICTURE_CODECS, is_picture_codec
from testbed.errors import TestbedError, UnknownName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]


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
