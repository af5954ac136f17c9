"""How sure an average precision is: whole clips drawn again and again.

Frames of a clip are much alike, so the clip is the unit that is drawn. AP is not a mean over clips;
it is accumulated anew for each draw, from what was matched once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.matching import THRESHOLDS
from testbed.metrics.precision import RECALLS, Matches

RESAMPLES = 1000


def draws(clips: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Return (resamples, clips): how often each clip is drawn, as many in all as there are."""
    drawn = rng.integers(clips, size=(resamples, clips))
    rows = np.repeat(np.arange(resamples), clips)
    counts = np.bincount(rows * clips + drawn.reshape(-1), minlength=resamples * clips)
    return counts.reshape(resamples, clips)


def resampled_map(
    matches: Matches, clip: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return mAP@[.50:.95] of each draw; NaN where it holds no object to be found.

    The same as `average_precision` over the frames of the clips drawn, each as often as it was,
    where no two boxes have equal scores; of equal ones the order is that of one draw of each.
    Policies that share `weights` are compared on the same draws.

    Args:
        matches: Of n frames.
        clip: (n,) which clip each frame is of, counted from 0.
        weights: (resamples, clips) how often each clip is drawn.
    """
    rows = matches.rows
    of = np.repeat(clip, np.diff(matches.offsets))
    order = np.lexsort((-rows["score"], rows["label"]))
    rows, of = rows[order], of[order]
    clips, categories = weights.shape[1], matches.objects.shape[1]
    objects = np.zeros((clips, categories), np.int64)
    np.add.at(objects, clip, matches.objects[:, :, 0])
    edges = np.searchsorted(rows["label"], np.arange(1, categories + 2))
    total = np.zeros(len(weights))
    there = weights @ objects  # (resamples, categories)
    for k in np.flatnonzero(objects.sum(axis=0)).tolist():
        part = slice(edges[k], edges[k + 1])
        for t in range(len(THRESHOLDS)):
            bit = np.uint64(t)
            counts = ((rows["ignored"][part] >> bit) & np.uint64(1)) == 0
            hits = ((rows["hit"][part][counts] >> bit) & np.uint64(1)) == 1
            total += _precision(hits, of[part][counts], weights, there[:, k])
    known = np.count_nonzero(there, axis=1) * len(THRESHOLDS) * len(RECALLS)
    mean: NDArray[np.float64] = np.divide(
        total, known, out=np.full(len(weights), np.nan), where=known > 0
    )
    return mean


def _precision(
    hits: NDArray[np.bool_],
    of: NDArray[np.int64],
    weights: NDArray[np.int64],
    objects: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return, per draw, the sum of precision at `RECALLS` of one category and threshold.

    Only rows that hit matter: precision peaks there, and recall rises nowhere else.

    Args:
        hits: (rows,) best score first.
        of: (rows,) the clip of each.
        weights: (resamples, clips).
        objects: (resamples,) how many there were to be found.
    """
    count, clips = int(np.count_nonzero(hits)), weights.shape[1]
    if not count:
        return np.zeros(len(weights))
    place: NDArray[np.int64] = np.cumsum(hits) - hits  # the hit that each row comes before, or is
    before = place < count
    shape = (count, clips)
    by_clip = [
        np.bincount((place * clips + of)[before & some], minlength=count * clips).reshape(shape)
        for some in (hits, ~hits)
    ]
    # Whole numbers in doubles, so that the products are exact and quick.
    drawn = weights.astype(np.float64)
    right, wrong = (drawn @ np.cumsum(rows, axis=0).T for rows in by_clip)  # (resamples, count)
    share = right / np.maximum(right + wrong, 1.0)
    share = np.maximum.accumulate(share[:, ::-1], axis=1)[:, ::-1]
    share = np.concatenate((share, np.zeros((len(share), 1))), axis=1)
    reached = right / np.maximum(objects, 1)[:, None]
    at = np.array([row.searchsorted(RECALLS) for row in reached])
    total: NDArray[np.float64] = np.take_along_axis(share, at, axis=1).sum(axis=1)
    return np.where(objects > 0, total, 0.0)
