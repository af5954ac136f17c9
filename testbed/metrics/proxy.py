"""Accuracy of single frames: F1 at an overlap of one half, above a fixed score.

mAP is not a mean over frames; F1 is one number for each frame, which policies can be rewarded with
and ages can be counted by. Whether it ranks operating points as mAP does is for
`rank_correlation` to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.precision import Matches

CORRECT = 0.5
"""Least F1 of a frame that counts as recognised."""

_FIRST = np.uint64(1)  # the bit for objects of any size at an overlap of 0.5


def frame_counts(
    matches: Matches, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return per frame: objects found, boxes that count, objects there were to be found.

    Found is an object that a box of its category with at least that score overlaps by half.

    Args:
        matches: Of n frames.
        threshold: Least score of a box.
    """
    rows = matches.rows
    frame = np.repeat(np.arange(len(matches)), np.diff(matches.offsets))
    counts = (rows["score"] >= threshold) & ((rows["ignored"] & _FIRST) == 0)
    hits = counts & ((rows["hit"] & _FIRST) == 1)
    boxes, found = (np.bincount(frame[some], minlength=len(matches)) for some in (counts, hits))
    return found, boxes, matches.objects[:, :, 0].sum(axis=1)


def frame_f1(matches: Matches, threshold: float) -> NDArray[np.float64]:
    """Return F1 of each frame, 2 found / (boxes + objects).

    It is 1 where there is nothing to be found and nothing was.

    Args:
        matches: Of n frames.
        threshold: Least score of a box.
    """
    found, boxes, objects = frame_counts(matches, threshold)
    return np.where(boxes + objects > 0, 2 * found / np.maximum(boxes + objects, 1), 1.0)


def best_threshold(matches: Matches) -> float:
    """Return the score at which F1 over all frames together is highest; of several the highest.

    To be chosen once, on the reference operating point, and then kept for every other: a threshold
    of its own for each point would hide how scores sink as the bottleneck narrows. 1 if nothing
    found counts.
    """
    rows = matches.rows[(matches.rows["ignored"] & _FIRST) == 0]
    if not len(rows):
        return 1.0
    order = np.argsort(-rows["score"], kind="stable")
    score, hits = rows["score"][order], (rows["hit"][order] & _FIRST) == 1
    last = np.flatnonzero(np.diff(score, append=-math.inf))  # equal scores come or go together
    f1 = 2 * np.cumsum(hits)[last] / (last + 1 + int(matches.objects[:, :, 0].sum()))
    return float(score[last[int(f1.argmax())]])


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks.

    NaN for fewer than two pairs and where all values of a side are equal.
    """
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / scale if scale else math.nan


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, group, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[group]
    return ranks
