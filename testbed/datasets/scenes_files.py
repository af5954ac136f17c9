"""Synthetic scenes as files: pictures and a JSON of COCO's form, with clips and tracks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.datasets.scenes import FPS, SEED, SIDE, Frame, Scene
from testbed.datasets.sprites import CLASSES


@dataclass(frozen=True)
class Extent:
    """How much of a split is made.

    Args:
        scenes: How many.
        frames: Of each scene.
        every: Frames of time from one to the next.
    """

    scenes: int
    frames: int
    every: int


SPLITS = {"train": Extent(6000, 1, 1), "val": Extent(40, 10, 6), "video": Extent(6, 300, 1)}
"""Scenes are split, never frames: frames of one scene are too much alike.

For the same reason a picture to train on has a scene of its own: a teacher that saw 500 scenes 64
times each took unknown backgrounds for objects.
"""


def make(
    folder: Path,
    split: str,
    *,
    extent: Extent | None = None,
    seed: int = SEED,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write one split and return its JSON file, `folder/SPLIT.json`.

    Scenes that an interrupted call has written are kept. One JSON serves pycocotools and, by the
    keys `sequences`, `seq_dirs`, `sid` and `fid`, the loader of streaming perception (Li et al.,
    ECCV 2020).

    Args:
        folder: Where; pictures go to `folder/images/SPLIT-SCENE/`.
        split: `train`, `val` or `video`.
        extent: How much; as `SPLITS` says if left out.
        seed: Of all scenes.
        told: Called after each scene with how many are done, and of how many.
    """
    extent = extent or SPLITS[split]
    parts = []
    for number in range(extent.scenes):
        parts.append(_scene(folder, split, number, extent, seed))
        told(number + 1, extent.scenes)
    target = folder / f"{split}.json"
    _write(target, _join(split, parts, extent, seed))
    return target


def _scene(folder: Path, split: str, number: int, extent: Extent, seed: int) -> list[Any]:
    """Write the pictures of a scene; return what is seen in each frame."""
    import cv2

    place = folder / "images" / f"{split}-{number:04d}"
    done = place / "seen.json"
    stamp = [seed, extent.frames, extent.every]
    if done.exists():
        before = json.loads(done.read_text(encoding="utf-8"))
        if before["stamp"] == stamp:
            return list(before["frames"])
    place.mkdir(parents=True, exist_ok=True)
    frames = []
    scene = Scene(split, number, seed=seed)
    for index, frame in enumerate(scene.frames(extent.frames, every=extent.every)):
        path = place / f"{index:04d}.png"
        cv2.imwrite(str(path), frame.image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        frames.append(list(_rows(frame)))
    _write(done, {"stamp": stamp, "frames": frames})
    return frames


def _rows(frame: Frame) -> Iterator[list[float]]:
    for one in frame.seen:
        seen = round(one.visibility, 4)
        yield [one.label, one.track, *one.xywh, one.area, seen, int(one.crowd)]


def _join(split: str, scenes: list[list[Any]], extent: Extent, seed: int) -> dict[str, Any]:
    names = [f"{split}-{number:04d}" for number in range(len(scenes))]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, frames in enumerate(scenes):
        for index, rows in enumerate(frames):
            key = len(images) + 1
            images.append(
                {
                    "id": key, "file_name": f"{names[number]}/{index:04d}.png",
                    "width": SIDE, "height": SIDE, "video_id": number + 1, "frame_id": index,
                    "timestamp": index * extent.every / FPS, "sid": number, "fid": index,
                }
            )  # fmt: skip
            for label, track, x, y, width, height, area, visibility, crowd in rows:
                annotations.append(
                    {
                        "id": len(annotations) + 1, "image_id": key, "category_id": label,
                        "bbox": [x, y, width, height], "area": area, "iscrowd": crowd,
                        "track_id": track, "visibility": visibility,
                    }
                )  # fmt: skip
    return {
        "info": {"description": f"synthetic scenes, split {split}, seed {seed}", "fps": FPS},
        "categories": [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)],
        "videos": [{"id": k + 1, "name": name} for k, name in enumerate(names)],
        "sequences": names,
        "seq_dirs": names,
        "images": images,
        "annotations": annotations,
    }


def _write(path: Path, content: Any) -> None:
    """Replace a file as a whole, so that what is there is always complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(path)
