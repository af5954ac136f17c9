"""COCO's mean average precision, by the reference implementation or a faster one.

Both give the same numbers; `faster-coco-eval` takes a fraction of the time on large sets.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, Literal

import numpy as np

from testbed.detectors.answers import read_back, written
from testbed.detectors.detections import Detections
from testbed.metrics.boxes import Found

Backend = Literal["pycocotools", "faster-coco-eval"]
Kind = Literal["bbox", "segm"]

METRICS = (
    "map", "map50", "map75", "map_small", "map_medium", "map_large",
    "mar1", "mar10", "mar100", "mar_small", "mar_medium", "mar_large",
)  # fmt: skip
"""As COCO's `stats`, in order. A metric of which there is no object is -1."""


def results_of(key: int, found: Detections) -> list[dict[str, Any]]:
    """Return the detections of a picture in COCO's form, rounded as an answer is written down.

    Args:
        key: The number of the picture.
        found: Boxes, and masks where there are any.
    """
    boxes, scores = read_back(*written(found.boxes, found.scores))
    results: list[dict[str, Any]] = []
    for index, (box, score) in enumerate(zip(boxes.tolist(), scores.tolist(), strict=True)):
        one: dict[str, Any] = {
            "image_id": key,
            "category_id": int(found.labels[index]),
            "bbox": box,
            "score": score,
        }
        if found.masks is not None:
            from pycocotools import mask

            code = mask.encode(np.asfortranarray(found.masks[index].astype(np.uint8)))
            one["segmentation"] = {"size": code["size"], "counts": code["counts"].decode()}
        results.append(one)
    return results


def found_results(keys: Sequence[int], found: Found) -> list[dict[str, Any]]:
    """Return the detections of many pictures in COCO's form.

    Args:
        keys: The number of each picture.
        found: What was found in them.
    """
    pictures = np.repeat(np.asarray(keys, np.int64), np.diff(found.offsets))
    columns = (pictures, found.label, found.xywh, found.score)
    return [
        {"image_id": key, "category_id": label, "bbox": box, "score": score}
        for key, label, box, score in zip(*(c.tolist() for c in columns), strict=True)
    ]


def coco_map(
    ground_truth: dict[str, Any],
    results: Sequence[dict[str, Any]],
    *,
    backend: Backend = "pycocotools",
    kind: Kind = "bbox",
) -> dict[str, float]:
    """Return every metric of COCO over the pictures of the ground truth.

    Args:
        ground_truth: In COCO's form, as `Dataset.ground_truth` gives it.
        results: In COCO's form, of those pictures.
        backend: Which implementation computes them.
        kind: Whether boxes or masks are compared.
    """
    # Both libraries write into what they are given, and onto standard output.
    truth, found = copy.deepcopy(ground_truth), copy.deepcopy(list(results))
    if not found:
        empty = not truth["annotations"]
        return dict.fromkeys(METRICS, -1.0 if empty else 0.0)
    if kind == "segm":
        for one in found:
            one.pop("bbox")  # else the area of the box stands for that of the mask
    with redirect_stdout(io.StringIO()):
        if backend == "pycocotools":
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval

            reference = COCO()
            reference.dataset = truth
            reference.createIndex()
            judge = COCOeval(reference, reference.loadRes(found), kind)
        else:
            from faster_coco_eval import COCO as FastCOCO  # noqa: N811
            from faster_coco_eval import COCOeval_faster

            fast = FastCOCO(truth)
            judge = COCOeval_faster(fast, fast.loadRes(found), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {name: float(value) for name, value in zip(METRICS, judge.stats[:12], strict=True)}
