"""COCO's instances: one JSON file, and a folder of pictures."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from testbed.datasets.dataset import Box, Dataset, DatasetError, Picture


def read(path: Path, pictures: Path | None = None) -> Dataset:
    """Return what an `instances*.json` holds.

    Args:
        path: The JSON file.
        pictures: The folder with the pictures; if left out, `images/` beside the file, or for the
            original layout the folder beside `annotations/` named like the file's split.

    Frames of video name their clip by `video_id` and their instant by `timestamp`, annotations
    their object by `track_id`, as the synthetic scenes and several video sets do. Labels are COCO's
    category ids. Boxes without an area are left out and counted. Raise a `DatasetError` for a file
    that is not of this form.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(path, "no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(path, f"no JSON: {error}") from error
    try:
        return _dataset(path, pictures or _folder(path), data)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(path, f"not COCO's form: {type(error).__name__}: {error}") from error


def _folder(path: Path) -> Path:
    split = path.stem.removeprefix("instances_")
    for folder in (path.parent / "images", path.parent.parent / split, path.parent):
        if folder.is_dir():
            return folder
    return path.parent


def _dataset(path: Path, folder: Path, data: dict[str, Any]) -> Dataset:
    categories = {int(c["id"]): str(c["name"]) for c in data["categories"]}
    boxes: dict[int, list[Box]] = {int(image["id"]): [] for image in data["images"]}
    dropped = 0
    for one in data["annotations"]:
        x, y, width, height = map(float, one["bbox"])
        if width <= 0 or height <= 0:
            dropped += 1
            continue
        label, key = int(one["category_id"]), int(one["image_id"])
        if label not in categories or key not in boxes:
            raise DatasetError(path, f"annotation {one.get('id')}: no such category or picture")
        boxes[key].append(
            Box(
                label, x, y, width, height,
                area=float(one.get("area", width * height)),
                crowd=bool(one.get("iscrowd", 0)),
                outline=one.get("segmentation"),
                track=int(one.get("track_id", -1)),
            )
        )  # fmt: skip
    clips = {video["id"]: str(video["name"]) for video in data.get("videos", [])}
    pictures = tuple(
        Picture(
            int(image["id"]),
            folder / image["file_name"],
            tuple(boxes[int(image["id"])]),
            int(image["height"]),
            int(image["width"]),
            clip=clips.get(image.get("video_id")),
        )
        for image in data["images"]
    )
    fps = _fps(data["images"])
    return Dataset(path.stem, dict(sorted(categories.items())), pictures, dropped, fps)


def _fps(images: list[dict[str, Any]]) -> float | None:
    """Return how many frames a second there are, by their times; None if that is not one rate."""
    steps = [
        float(after["timestamp"]) - float(before["timestamp"])
        for before, after in pairwise(images)
        if "timestamp" in before and before.get("video_id") == after.get("video_id") is not None
    ]
    if not steps or min(steps) <= 0 or max(steps) - min(steps) > 0.01 * min(steps):
        return None
    return round(len(steps) / sum(steps), 3)
