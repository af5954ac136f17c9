"""Streaming mAP of 3 policies x 3 seeds x 600 frames: remembered matches against pycocotools.

Made-up boxes of the size that a run over a recording has: 7 objects and 20 detections a frame, 8
categories, 4 operating points. Each policy moves between points and lags a few frames behind.
Prints both times, their ratio, and that the figures are the same.

    python benchmarks/streaming_map.py [--frames 600] [--once]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time

import numpy as np

from testbed.metrics.boxes import Found, Truth
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision

POLICIES, SEEDS, POINTS, OBJECTS, EXTRA, CATEGORIES = 3, 3, 4, 7, 13, 8


def scene(frames: int, rng: np.random.Generator) -> tuple[Truth, list[Found]]:
    """Return objects that drift, and what is found of them at each operating point."""
    side = np.exp(rng.uniform(np.log(12), np.log(120), (OBJECTS, 2)))
    start, pace = rng.uniform(0, 136, (OBJECTS, 2)), rng.normal(0, 2, (OBJECTS, 2))
    label = rng.integers(1, CATEGORIES + 1, (frames // 60 + 1, OBJECTS)).repeat(60, axis=0)[:frames]
    corner = start + pace * (np.arange(frames) % 60)[:, None, None]
    xywh = np.concatenate((corner, np.broadcast_to(side, corner.shape)), axis=2).reshape(-1, 4)
    m = frames * OBJECTS
    truth = Truth(
        offsets=np.arange(frames + 1) * OBJECTS,
        xywh=xywh,
        label=label.reshape(-1),
        area=xywh[:, 2] * xywh[:, 3],
        crowd=rng.random(m) < 0.05,
        track=np.tile(np.arange(OBJECTS), frames),
        sequence=np.arange(frames) // 60,
        categories=tuple(f"category {k}" for k in range(1, CATEGORIES + 1)),
    )
    found = []
    for point in range(POINTS):
        near = xywh + rng.normal(0, 0.12 / (point + 1), xywh.shape) * np.tile(xywh[:, 2:], 2)
        junk = np.concatenate(
            (rng.uniform(0, 200, (frames * EXTRA, 2)), rng.uniform(8, 90, (frames * EXTRA, 2))), 1
        )
        boxes = np.concatenate(
            (np.abs(near).reshape(frames, OBJECTS, 4), junk.reshape(frames, EXTRA, 4)), axis=1
        )
        score = np.concatenate(
            (rng.beta(4, 2, (frames, OBJECTS)), rng.beta(2, 6, (frames, EXTRA))), axis=1
        )
        names = np.concatenate(
            (truth.label.reshape(frames, -1), rng.integers(1, CATEGORIES + 1, (frames, EXTRA))), 1
        )
        order = np.argsort(-score, axis=1, kind="stable")
        found.append(
            Found(
                np.arange(frames + 1) * (OBJECTS + EXTRA),
                np.take_along_axis(boxes, order[..., None], axis=1).reshape(-1, 4),
                np.take_along_axis(names, order, axis=1).reshape(-1),
                np.take_along_axis(score, order, axis=1).reshape(-1),
            )
        )
    return truth, found


def schedule(frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return which operating point and which earlier frame is shown at each frame; -1 for none."""
    lag = np.clip(np.cumsum(rng.integers(-1, 2, frames)) % 7, 1, 4)
    shown = np.arange(frames) - lag
    point = (np.cumsum(rng.random(frames) < 0.1) + rng.integers(POINTS)) % POINTS
    return np.where(shown >= 0, point[shown], -1), np.maximum(shown, 0)


def anew(truth: Truth, found: list[Found], source: np.ndarray, frame: np.ndarray) -> float:
    """Return mAP by pycocotools, from the beginning."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    reference = COCO()
    reference.dataset = {
        "images": [{"id": i} for i in range(len(truth))],
        "annotations": [
            {
                "id": r + 1,
                "image_id": i,
                "category_id": int(truth.label[r]),
                "bbox": truth.xywh[r].tolist(),
                "area": float(truth.area[r]),
                "iscrowd": int(truth.crowd[r]),
            }
            for i in range(len(truth))
            for r in range(truth.offsets[i], truth.offsets[i + 1])
        ],
        "categories": [{"id": k, "name": n} for k, n in enumerate(truth.categories, 1)],
    }
    results = [
        {
            "image_id": i,
            "category_id": int(found[s].label[r]),
            "bbox": found[s].xywh[r].tolist(),
            "score": float(found[s].score[r]),
        }
        for i, (s, f) in enumerate(zip(source.tolist(), frame.tolist(), strict=True))
        if s >= 0
        for r in range(found[s].offsets[f], found[s].offsets[f + 1])
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        reference.createIndex()
        judge = COCOeval(reference, reference.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


def main() -> None:
    """Time both and print what they take."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--once", action="store_true", help="pycocotools for one run, not for all")
    options = parser.parse_args()
    rng = np.random.default_rng(7)
    truth, found = scene(options.frames, rng)
    runs = [schedule(options.frames, rng) for _ in range(POLICIES * SEEDS)]

    begin = time.process_time()
    evaluator = Evaluator(truth, found)
    everything = np.arange(len(truth))
    ours = [
        average_precision(evaluator.matches(everything, source, frame))["map"]
        for source, frame in runs
    ]
    remembered = time.process_time() - begin

    some = runs[:1] if options.once else runs
    begin = time.process_time()
    theirs = [anew(truth, found, source, frame) for source, frame in some]
    fresh = (time.process_time() - begin) * len(runs) / len(some)

    print(f"{len(runs)} runs of {options.frames} frames, {evaluator.matched} pairs matched")
    print(f"remembered {remembered:6.2f} s of one core")
    print(f"pycocotools {fresh:5.2f} s{' (one run times all)' if options.once else ''}")
    print(f"ratio {fresh / remembered:.1f}")
    print(f"same figures: {ours[: len(theirs)] == theirs}; mAP {min(ours):.4f} to {max(ours):.4f}")


if __name__ == "__main__":
    main()
