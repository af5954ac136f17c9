"""From matched detections to average precision, as COCO's evaluator accumulates them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.matching import AREAS, MOST, THRESHOLDS, ragged

RECALLS = np.linspace(0.0, 1.0, 101)
"""At which precision is read; COCO's own, made in the same way."""

STATS = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
"""What `average_precision` returns, in COCO's order."""

_EPSILON = np.spacing(1)
_CASES = np.arange(len(AREAS) * len(THRESHOLDS), dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Matches:
    """The detections of n frames, matched with the objects in them.

    Args:
        rows: Of type `matching.ROW`, frame after frame.
        offsets: (n + 1,) the rows `offsets[k]` to `offsets[k + 1]` are those of frame k.
        objects: (n, categories, areas) how many objects there were to be found.
    """

    rows: NDArray[np.void]
    offsets: NDArray[np.int64]
    objects: NDArray[np.int64]

    def __len__(self) -> int:
        """Return n, the number of frames."""
        return len(self.offsets) - 1

    def of(self, frames: NDArray[np.int64]) -> Matches:
        """Return the matches of some of the frames, in the order given; one may come twice."""
        rows, _ = ragged(self.offsets, frames)
        length = np.diff(self.offsets)[frames]
        offsets = np.concatenate(([0], np.cumsum(length)))
        return Matches(self.rows[rows], offsets, self.objects[frames])


def pooled(parts: list[Matches]) -> Matches:
    """Return the matches of several runs as if their frames were those of one.

    Args:
        parts: One at least; all of the same categories.
    """
    lengths = [np.diff(part.offsets) for part in parts]
    return Matches(
        np.concatenate([part.rows for part in parts]),
        np.concatenate(([0], np.cumsum(np.concatenate(lengths)))),
        np.concatenate([part.objects for part in parts]),
    )


def accumulate(
    matches: Matches, most: int = MOST
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision (thresholds, recalls, categories, areas) and recall (without recalls).

    Both are -1 where a category has no object to be found. The figures are those of
    `pycocotools.cocoeval.COCOeval.accumulate`, to the last digit.

    Args:
        matches: Of any number of frames.
        most: Detections of a category that count in a frame, at most 100.
    """
    objects = matches.objects.sum(axis=0)
    categories = len(objects)
    precision = np.full((len(THRESHOLDS), len(RECALLS), categories, len(AREAS)), -1.0)
    recall = np.full((len(THRESHOLDS), categories, len(AREAS)), -1.0)
    rows = matches.rows[matches.rows["rank"] < most]
    rows = rows[np.lexsort((-rows["score"], rows["label"]))]
    edges = np.searchsorted(rows["label"], np.arange(1, categories + 2))
    for k in range(categories):
        hits, counts = _unpacked(rows[edges[k] : edges[k + 1]])
        found = np.cumsum(hits & counts, axis=1).astype(np.float64)
        wrong = np.cumsum(~hits & counts, axis=1).astype(np.float64)
        for a in np.flatnonzero(objects[k]).tolist():
            curves = _curves(found[_of(a)], wrong[_of(a)], int(objects[k, a]))
            precision[:, :, k, a], recall[:, k, a] = curves
    return precision, recall


def average_precision(matches: Matches) -> dict[str, float]:
    """Return the figures of `STATS`; NaN where there is no object to be found.

    They are those that COCO's evaluator prints, which writes -1 in place of NaN.
    """
    precision, _ = accumulate(matches)
    return dict(zip(STATS, _summary(precision), strict=True))


def _summary(precision: NDArray[np.float64]) -> list[float]:
    whole = precision[:, :, :, [0]]  # the shapes of COCO's own, since a mean depends on them
    parts = [whole, whole[[0]], whole[[5]], *(precision[:, :, :, [a]] for a in range(1, 4))]
    known = [part[part > -1] for part in parts]
    return [float(np.mean(part)) if len(part) else math.nan for part in known]


def _of(area: int) -> slice:
    return slice(area * len(THRESHOLDS), (area + 1) * len(THRESHOLDS))


def _unpacked(rows: NDArray[np.void]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (cases, rows): which detections took an object, and which count at all."""
    bit = _CASES[:, None]
    hits = (rows["hit"][None, :] >> bit) & np.uint64(1)
    ignored = (rows["ignored"][None, :] >> bit) & np.uint64(1)
    return hits == 1, ignored == 0


def _curves(
    found: NDArray[np.float64], wrong: NDArray[np.float64], objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision at each of `RECALLS`, and the recall reached, per threshold.

    Args:
        found: (thresholds, rows) of the rows so far, how many found an object.
        wrong: (thresholds, rows) how many did not.
        objects: How many there were to be found.
    """
    reached = found[:, -1] / objects if found.shape[1] else np.zeros(len(found))
    share = found / (wrong + found + _EPSILON)
    # Precision never rises with recall: at each point the best that is still to come.
    share = np.maximum.accumulate(share[:, ::-1], axis=1)[:, ::-1]
    share = np.concatenate((share, np.zeros((len(share), 1))), axis=1)  # beyond the last row
    at = [np.searchsorted(line, RECALLS) for line in found / objects]
    return np.take_along_axis(share, np.array(at), axis=1), reached
