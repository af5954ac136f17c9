"""Pictures, or the frames of clips, with the boxes of what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.errors import TestbedError
from testbed.metrics.boxes import Truth


class DatasetError(TestbedError):
    """A data set breaks its format, or a picture of it cannot be read; names file and line."""

    def __init__(self, path: object, message: str, *, line: int | None = None) -> None:
        super().__init__(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Box:
    """One object.

    Args:
        label: A key of the data set's categories.
        x: Left edge, in pixels.
        y: Upper edge.
        width: Above zero.
        height: Above zero.
        area: Of the object itself where that is known, else of the box.
        crowd: Whether it is a group that may be found any number of times.
        outline: COCO's segmentation, where there is one.
        track: The object across the frames of a clip; -1 where that is not known.
    """

    label: int
    x: float
    y: float
    width: float
    height: float
    area: float
    crowd: bool = False
    outline: Any = None
    track: int = -1


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, or one frame of a clip.

    Args:
        key: Its number in the data set, as results name it.
        path: The file, a picture or a clip.
        boxes: What is in it.
        height: In pixels.
        width: In pixels.
        frame: The number of the frame in the file, counted from 0; None for a picture's file.
        clip: The name of the video that it belongs to; None for a picture of its own.
    """

    key: int
    path: Path
    boxes: tuple[Box, ...]
    height: int
    width: int
    frame: int | None = None
    clip: str | None = None


@dataclass(frozen=True)
class Dataset(Sequence[Picture]):
    """Pictures in a fixed order, with what the labels mean.

    Args:
        name: For messages and tables.
        categories: From label, counted from 1, to name.
        pictures: In order; the frames of a clip stand together and rise.
        dropped: How many boxes without an area the reader left out.
        fps: Of all clips; None if they differ, are not known, or are none.
    """

    name: str
    categories: Mapping[int, str]
    pictures: tuple[Picture, ...]
    dropped: int = 0
    fps: float | None = None
    _clips: dict[Path, _Clip] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.pictures[index]

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def load(self, picture: Picture) -> NDArray[np.uint8]:
        """Return a picture as (H, W, 3) in RGB, as stored, without turning it.

        Frames of a clip come fastest in rising order. Raise a `DatasetError` for a file that
        cannot be read.
        """
        if picture.frame is None:
            return read_picture(picture.path)
        if picture.path not in self._clips:
            self._clips.clear()  # one clip open at a time
            self._clips[picture.path] = _Clip(picture.path)
        return self._clips[picture.path].read(picture.frame)

    def only(self, count: int) -> Dataset:
        """Return the data set with its first pictures only."""
        return replace(self, pictures=self.pictures[:count])

    def ground_truth(self) -> dict[str, Any]:
        """Return the boxes in COCO's form."""
        images = [{"id": p.key, "height": p.height, "width": p.width} for p in self.pictures]
        annotations: list[dict[str, Any]] = []
        for picture in self.pictures:
            for box in picture.boxes:
                one: dict[str, Any] = {
                    "id": len(annotations) + 1,
                    "image_id": picture.key,
                    "category_id": box.label,
                    "bbox": [box.x, box.y, box.width, box.height],
                    "area": box.area,
                    "iscrowd": int(box.crowd),
                }
                if box.outline is not None:
                    one["segmentation"] = box.outline
                annotations.append(one)
        categories = [{"id": label, "name": name} for label, name in self.categories.items()]
        return {"info": {}, "images": images, "annotations": annotations, "categories": categories}

    def truth(self) -> Truth:
        """Return the boxes as flat arrays."""
        boxes = [box for picture in self.pictures for box in picture.boxes]
        # Numbers of runs of equal clips; a picture of its own is a run of one.
        clips = [picture.clip for picture in self.pictures]
        new = [clip is None or clip != before for before, clip in pairwise(clips)]
        labels = range(1, max(self.categories, default=0) + 1)
        return Truth(
            offsets=np.cumsum([0, *(len(picture.boxes) for picture in self.pictures)]),
            xywh=np.array([(b.x, b.y, b.width, b.height) for b in boxes], float).reshape(-1, 4),
            label=np.array([box.label for box in boxes], np.int64),
            area=np.array([box.area for box in boxes], np.float64),
            crowd=np.array([box.crowd for box in boxes], np.bool_),
            track=np.array([box.track for box in boxes], np.int64),
            sequence=np.cumsum([0, *new]) if clips else np.zeros(0, np.int64),
            categories=tuple(self.categories.get(label, "") for label in labels),
        )


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return a picture file as (H, W, 3) in RGB."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DatasetError(path, "no picture that can be read" if path.exists() else "no such file")
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


class _Clip:
    """A video file whose frames are asked for in rising order, mostly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        import cv2

        if not self.path.exists():
            raise DatasetError(self.path, "no such file")
        self.capture = cv2.VideoCapture(str(self.path))
        self.next = 0

    def read(self, frame: int) -> NDArray[np.uint8]:
        if frame < self.next:
            self._open()
        # Stepping through, because seeking is not exact in many formats.
        while self.next < frame and self.capture.grab():
            self.next += 1
        done, image = self.capture.read()
        if not done:
            raise DatasetError(self.path, f"no frame {frame}; it ends before frame {self.next}")
        self.next += 1
        return np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a picture file, from its header."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise DatasetError(path, "no such file") from None
    except UnidentifiedImageError:
        raise DatasetError(path, "no picture that can be read") from None
