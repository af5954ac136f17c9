"""A detector over a data set: every width and every number of bits in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from testbed.datasets.dataset import Dataset
from testbed.detectors.detections import Detections
from testbed.detectors.pair import SplitPair
from testbed.detectors.split import SplitDetector
from testbed.errors import TestbedError
from testbed.evaluation.coco_map import Backend, coco_map, results_of
from testbed.model import OperatingPoint

UNQUANTISED = 32
"""Stands for the bits of a bottleneck that is handed on as it is, in 32-bit floats."""


@dataclass(frozen=True)
class Score:
    """How a detector does at one operating point.

    Args:
        width: α.
        bits: Per value of the bottleneck; 32 where it was not quantised.
        codec: Of the payload; empty where there was none.
        payload_bytes: Mean over the pictures, with header; None where there was no payload.
        metrics: COCO's, of boxes.
        mask_metrics: COCO's, of masks, where the detector has any and so has the data set.
    """

    width: float
    bits: int
    codec: str
    payload_bytes: float | None
    metrics: dict[str, float]
    mask_metrics: dict[str, float] = field(default_factory=dict)


def evaluate(
    detector: SplitDetector,
    dataset: Dataset,
    *,
    widths: Sequence[float] | None = None,
    bits: Sequence[int] = (8,),
    codec: str = "raw",
    pair: SplitPair | None = None,
    backend: Backend = "faster-coco-eval",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:
    """Return how a detector does at every combination of widths and bits.

    Each picture is read once, its bottleneck computed once a width. A bottleneck that is quantised
    goes through the very bytes that would cross the link.

    Args:
        detector: A student, or a teacher, which has no bottleneck and gets a single score.
        dataset: Its labels must be those that the detector was made for.
        widths: All it has, if left out.
        bits: 1 to 8, 16, or 32 for a bottleneck that is not quantised.
        codec: Of the payload.
        pair: Both ends; made of the detector if left out.
        backend: Which implementation of the metrics.
        progress: Called with pictures done and their number.

    Raise a `TestbedError` if the labels cannot be those of the detector.
    """
    config = detector.config
    if dataset.categories and max(dataset.categories) > config.classes:
        raise TestbedError(
            f"{dataset.name} has labels up to {max(dataset.categories)}, "
            f"and {config.name} knows {config.classes} classes"
        )
    detector.eval()
    teacher = config.kind == "teacher"
    chosen = [1.0] if teacher else list(widths or detector.widths.values)
    depths = [UNQUANTISED] if teacher else list(bits)
    quantised = [depth for depth in depths if depth != UNQUANTISED]
    if pair is None and quantised:
        pair = SplitPair(detector)
    points = list(itertools.product(chosen, depths))
    results: dict[tuple[float, int], list[dict[str, object]]] = {point: [] for point in points}
    sizes = dict.fromkeys(points, 0)
    device = next(detector.parameters()).device
    for done, picture in enumerate(dataset):
        x, fit = detector.prepare(dataset.load(picture))
        for width in chosen:
            found: Detections
            if UNQUANTISED in depths:
                with detector.widths.at(width), torch.inference_mode():
                    bottleneck = detector.bottleneck(x[None].to(device))
                    (found,) = detector.detect(bottleneck, [fit])
                results[width, UNQUANTISED] += results_of(picture.key, found)
            if pair is None or not quantised:
                continue
            values = pair.engine.bottleneck(x[None].to(device), width)[0].float().cpu().numpy()
            for depth in quantised:
                payload = pair.pack(values, fit, OperatingPoint(width, depth, codec))
                sizes[width, depth] += len(payload)
                found = pair.decode(payload)
                results[width, depth] += results_of(picture.key, found)
        progress(done + 1, len(dataset))
    truth = dataset.ground_truth()
    outlined = any(box.outline for picture in dataset for box in picture.boxes)
    scores = []
    for width, depth in points:
        found_here = results[width, depth]
        sent = None if depth == UNQUANTISED else sizes[width, depth] / max(len(dataset), 1)
        masks: dict[str, float] = {}
        if config.family == "mask-rcnn" and outlined:
            masks = coco_map(truth, found_here, backend=backend, kind="segm")
        scores.append(
            Score(
                width,
                depth,
                "" if depth == UNQUANTISED else codec,
                sent,
                coco_map(truth, found_here, backend=backend),
                masks,
            )
        )
    return scores
