"""Boxes made up at random, and what COCO's own evaluator says of them."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from testbed.metrics.boxes import Found, Truth


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def random_truth(
    rng: np.random.Generator, frames: int, categories: int = 4, most: int = 8, clips: int = 3
) -> Truth:
    """Objects of every size; some crowds, some frames empty, the last category in none."""
    lengths = rng.integers(0, most + 1, frames)
    lengths[rng.random(frames) < 0.15] = 0
    m = int(lengths.sum())
    side = np.exp(rng.uniform(np.log(8), np.log(160), (m, 2)))
    xywh = np.concatenate((rng.uniform(0, 200, (m, 2)), side), axis=1).round(2)
    return Truth(
        offsets=offsets_of(lengths),
        xywh=xywh,
        label=rng.integers(1, categories, m) if categories > 1 else np.ones(m, np.int64),
        area=xywh[:, 2] * xywh[:, 3] * rng.uniform(0.6, 1.0, m),
        crowd=rng.random(m) < 0.12,
        track=np.full(m, -1, np.int64),
        sequence=np.sort(rng.integers(0, clips, frames)),
        categories=tuple(f"c{k}" for k in range(1, categories + 1)),
    )


def random_found(
    rng: np.random.Generator, truth: Truth, extra: int = 6, noise: float = 0.1
) -> Found:
    """Most objects nearly where they are, some twice, some wrong ones; many equal scores."""
    lengths, label, score, xywh = [], [], [], []
    for k in range(len(truth)):
        part = slice(truth.offsets[k], truth.offsets[k + 1])
        boxes = np.repeat(truth.xywh[part], 2, axis=0)
        names = np.repeat(truth.label[part], 2)
        keep = rng.random(len(boxes)) < 0.7
        boxes, names = boxes[keep], names[keep]
        size = np.tile(boxes[:, 2:], 2)
        boxes = boxes + rng.normal(0, noise, boxes.shape) * size * (
            rng.random((len(boxes), 1)) < 0.8
        )
        wrong = rng.integers(0, extra + 1)
        junk = np.concatenate(
            (rng.uniform(0, 200, (wrong, 2)), rng.uniform(5, 120, (wrong, 2))), axis=1
        )
        boxes = np.abs(np.concatenate((boxes, junk)))
        names = np.concatenate((names, rng.integers(1, len(truth.categories) + 1, wrong)))
        points = rng.random(len(boxes)).round(2)  # so that many are equal
        order = np.argsort(-points, kind="stable")
        lengths.append(len(boxes))
        label.append(names[order])
        score.append(points[order])
        xywh.append(boxes[order])
    return Found(
        offsets_of(np.array(lengths)),
        np.concatenate(xywh).reshape(-1, 4),
        np.concatenate(label).astype(np.int64),
        np.concatenate(score),
    )


def coco_eval(truth: Truth, picture, found: list[Found], source, frame):
    """Return COCO's evaluator after `accumulate` over n pairs of a picture and boxes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for i, (g, s, f) in enumerate(zip(picture, source, frame, strict=True)):
        for r in range(truth.offsets[g], truth.offsets[g + 1]):
            one = {"id": len(annotations) + 1, "image_id": i, "category_id": int(truth.label[r])}
            one |= {"bbox": truth.xywh[r].tolist(), "area": float(truth.area[r])}
            annotations.append(one | {"iscrowd": int(truth.crowd[r])})
        if s < 0:
            continue
        boxes = found[s]
        results += [
            {
                "image_id": i,
                "category_id": int(boxes.label[r]),
                "bbox": boxes.xywh[r].tolist(),
                "score": float(boxes.score[r]),
            }
            for r in range(boxes.offsets[f], boxes.offsets[f + 1])
        ]
    reference = COCO()
    reference.dataset = {
        "images": [{"id": i} for i in range(len(picture))],
        "annotations": annotations,
        "categories": [{"id": k, "name": n} for k, n in enumerate(truth.categories, 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        reference.createIndex()
        judge = COCOeval(reference, reference.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge
