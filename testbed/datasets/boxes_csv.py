"""Boxes as CSV, a row each: of pictures (`image`) or of the frames of clips (`clip`, `frame`)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from testbed.datasets.dataset import Box, Dataset, DatasetError, Picture, size_of

CLIPS = (".mp4", ".avi", ".mkv", ".mov", ".webm")


def read(path: Path, split: str | None = None, classes: Sequence[str] | None = None) -> Dataset:
    """Return what a CSV file with a header holds, in pictures or clips beside it.

    Columns: `class,x,y,w,h`, where x and y are the top left corner in pixels, and `image`, a file
    name, or `clip,frame`, a name in `clips/` and the number of the frame counted from 0. A row
    without a class is a picture without objects. Frames without any row are not part of the set.

    Args:
        path: The CSV file.
        split: The name of a text file beside it that lists the images or clips to take.
        classes: Names in the order of their labels; those that occur, sorted, if left out.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise DatasetError(path, "no such file") from None
    video = "clip" in columns
    needed = {"class", "x", "y", "w", "h"} | ({"clip", "frame"} if video else {"image"})
    if lacking := sorted(needed - columns):
        raise DatasetError(path, f"lacks the columns {', '.join(lacking)}", line=1)
    if split is not None:
        listed = path.parent / f"{split}.txt"
        if not listed.is_file():
            raise DatasetError(listed, "no such list")
        chosen = set(listed.read_text(encoding="utf-8").split())
        rows = [(line, row) for line, row in rows if row["clip" if video else "image"] in chosen]
    found = sorted({row["class"] for _, row in rows if row["class"]})
    names = list(classes or found)
    labels = {name: index for index, name in enumerate(names, start=1)}
    places: dict[tuple[str, int], list[Box]] = {}
    dropped = 0
    for line, row in rows:
        try:
            place = (row["clip"], int(row["frame"])) if video else (row["image"], 0)
            boxes = places.setdefault(place, [])
            if not row["class"]:
                continue
            x, y, w, h = (float(row[key]) for key in "xywh")
            label = labels[row["class"]]
        except KeyError as error:
            raise DatasetError(path, f"the class {error} is none of {names}", line=line) from error
        except (TypeError, ValueError) as error:
            raise DatasetError(path, f"a number is none: {error}", line=line) from error
        if w <= 0 or h <= 0:
            dropped += 1
        else:
            boxes.append(Box(label, x, y, w, h, w * h))
    if not places:
        raise DatasetError(path, "has no rows" if split is None else f"has no rows of {split}")
    sizes: dict[Path, tuple[int, int]] = {}
    pictures = []
    for key, (name, frame) in enumerate(sorted(places), start=1):
        file = _clip(path.parent, name) if video else _image(path.parent, name)
        if file not in sizes:
            sizes[file] = _clip_size(file) if video else size_of(file)
        pictures.append(
            Picture(key, file, tuple(places[name, frame]), *sizes[file],
                    frame=frame if video else None, clip=name if video else None)
        )  # fmt: skip
    categories = {label: name for name, label in labels.items()}
    title = path.parent.name if split is None else f"{path.parent.name}/{split}"
    rates = {_fps(file) for file in sizes} if video else set()
    fps = rates.pop() if len(rates) == 1 else None
    return Dataset(title, categories, tuple(pictures), dropped, fps)


def _image(folder: Path, name: str) -> Path:
    nested = folder / "images" / name
    return nested if nested.exists() else folder / name


def _clip(folder: Path, name: str) -> Path:
    for base in (folder / "clips", folder):
        for suffix in ("", *CLIPS):
            if (file := base / f"{name}{suffix}").is_file():
                return file
    raise DatasetError(folder, f"no clip {name} in it or in clips/")


def _clip_size(path: Path) -> tuple[int, int]:
    import cv2

    capture = cv2.VideoCapture(str(path))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    if height < 1 or width < 1:
        raise DatasetError(path, "no clip that can be read")
    return height, width


def _fps(path: Path) -> float | None:
    import cv2

    fps = round(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS), 3)
    return fps if fps > 0 else None
