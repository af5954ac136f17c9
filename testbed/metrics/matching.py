"""Detections matched to objects as COCO's evaluator does it, many frames at once.

The rules are those of `pycocotools.cocoeval.COCOeval.evaluateImg`, in the order of its loops:
within a frame and a category the detections choose in the order of their scores; each takes the
object that it overlaps most among those still free, a counted one before an ignored one; a crowd
can be taken again and again. The result is the same to the last bit, because every comparison is
between the same doubles; it is found for all frames, categories, ranges of area and thresholds
together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.boxes import Found, Truth

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Of intersection over union; COCO's own, made in the same way."""

AREAS = ("all", "small", "medium", "large")
"""Ranges of the area of an object that figures are given for."""

LIMITS = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], np.float64)
"""Least and largest area of each of `AREAS`, square pixels; both ends belong to it."""

MOST = 100
"""Detections of a category that count in a frame, the best ones."""

ROW = np.dtype([("score", "f8"), ("hit", "u8"), ("ignored", "u8"), ("label", "i4"), ("rank", "i4")])
"""A matched detection: bit 10 a + t of `hit` and `ignored` is for area a and threshold t.

`hit` says that it took an object, `ignored` that it counts neither way. `rank` is its place among
those of its frame and category.
"""

_CASES = len(AREAS) * len(THRESHOLDS)
_BIT = np.uint64(1) << np.arange(_CASES, dtype=np.uint64)
_FREE = np.minimum(THRESHOLDS, 1 - 1e-10)  # so that a perfect overlap passes them all


def counted(truth: Truth) -> NDArray[np.int64]:
    """Return (frames, categories, areas): how many objects there are to be found."""
    frame = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    count = np.zeros((len(truth), len(truth.categories), len(AREAS)), np.int64)
    for a, wanted in enumerate(~_ignored(truth).T):
        np.add.at(count[:, :, a], (frame[wanted], truth.label[wanted] - 1), 1)
    return count


def match(
    truth: Truth,
    picture: NDArray[np.int64],
    found: Sequence[Found],
    source: NDArray[np.int64],
    frame: NDArray[np.int64],
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Match the boxes of some frames with the objects of others.

    Args:
        truth: The objects.
        picture: (n,) the frame of `truth` in each pair.
        found: Where boxes come from.
        source: (n,) which of `found`.
        frame: (n,) the frame of that source whose boxes are taken.

    Returns:
        Rows of type `ROW`, pair after pair, best score first within a category; and the (n + 1,)
        places at which the rows of each pair begin and end.
    """
    pair, label, score, xywh = _gather(found, source, frame)
    order = np.lexsort((-score, label, pair))
    pair, label, score, xywh = pair[order], label[order], score[order], xywh[order]
    group = pair * (len(truth.categories) + 1) + label
    first = np.flatnonzero(np.diff(group, prepend=-1))
    rank = np.arange(len(group)) - np.repeat(first, np.diff(first, append=len(group)))
    best = rank < MOST
    pair, label, score, xywh, group = (
        pair[best], label[best], score[best], xywh[best], group[best],
    )  # fmt: skip

    rows = np.zeros(len(pair), ROW)
    rows["label"], rows["score"], rows["rank"] = label, score, rank[best]
    area = xywh[:, 2] * xywh[:, 3]
    outside = (area[:, None] < LIMITS[:, 0]) | (area[:, None] > LIMITS[:, 1])
    rows["ignored"] = np.repeat(outside, len(THRESHOLDS), axis=1) @ _BIT
    detection, thing, overlap = _edges(truth, picture, group, pair, xywh)
    _take(rows, outside, _ignored(truth), truth.crowd, pair, detection, thing, overlap)
    offsets = np.searchsorted(pair, np.arange(len(picture) + 1))
    return rows, offsets


def overlaps(
    boxes: NDArray[np.float64], objects: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (k,) the intersection over union of k pairs of boxes (k, 4).

    Where the object is a crowd it is the intersection over the box. The operations are those of
    `bbIou` in pycocotools' `maskApi.c`, in their order.
    """
    corner, end = np.maximum(boxes[:, :2], objects[:, :2]), boxes[:, 2:] + boxes[:, :2]
    width, height = (np.minimum(end, objects[:, 2:] + objects[:, :2]) - corner).T
    both = width * height
    mine, theirs = boxes[:, 2] * boxes[:, 3], objects[:, 2] * objects[:, 3]
    union = np.where(crowd, mine, mine + theirs - both)
    meet = (width > 0) & (height > 0)
    share: NDArray[np.float64] = np.divide(both, union, out=np.zeros(len(both)), where=meet)
    return share


def _ignored(truth: Truth) -> NDArray[np.bool_]:
    """Return (objects, areas): whether an object counts neither as found nor as missed."""
    area = truth.area[:, None]
    beyond: NDArray[np.bool_] = (area < LIMITS[:, 0]) | (area > LIMITS[:, 1])
    return beyond | truth.crowd[:, None]


def _gather(
    found: Sequence[Found], source: NDArray[np.int64], frame: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return pair, label, score and box of every detection of the pairs."""
    parts = []
    for which, boxes in enumerate(found):
        pairs = np.flatnonzero(source == which)
        rows, owner = ragged(boxes.offsets, frame[pairs])
        parts.append((pairs[owner], boxes.label[rows], boxes.score[rows], boxes.xywh[rows]))
    pair, label, score, xywh = zip(*parts, strict=True)
    return (
        np.concatenate(pair),
        np.concatenate(label),
        np.concatenate(score),
        np.concatenate(xywh),
    )


def ragged(
    offsets: NDArray[np.int64], frames: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of some frames, in their order, and which of the frames each row is of."""
    length = offsets[frames + 1] - offsets[frames]
    owner = np.repeat(np.arange(len(frames)), length)
    start = np.cumsum(length) - length
    return np.arange(len(owner)) - start[owner] + offsets[frames][owner], owner


def _edges(
    truth: Truth,
    picture: NDArray[np.int64],
    group: NDArray[np.int64],
    pair: NDArray[np.int64],
    xywh: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return detection, object and overlap wherever one could take the other at all.

    In the order of the detections, and of the objects as they stand in their frame.
    """
    rows, owner = ragged(truth.offsets, picture)  # the objects of each pair
    key = owner * (len(truth.categories) + 1) + truth.label[rows]
    by_group = np.argsort(key, kind="stable")
    rows, key = rows[by_group], key[by_group]
    begin, end = np.searchsorted(key, group), np.searchsorted(key, group, side="right")
    detection = np.repeat(np.arange(len(group)), end - begin)
    first = np.cumsum(end - begin) - (end - begin)
    thing = rows[np.arange(len(detection)) - first[detection] + begin[detection]]
    overlap = overlaps(xywh[detection], truth.xywh[thing], truth.crowd[thing])
    near = overlap >= _FREE[0]
    return detection[near], thing[near], overlap[near]


def _take(
    rows: NDArray[np.void],
    outside: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    pair: NDArray[np.int64],
    detection: NDArray[np.int64],
    thing: NDArray[np.int64],
    overlap: NDArray[np.float64],
) -> None:
    """Let detections take objects, and write into `rows` who took what.

    In rounds: in round r the r-th detection of every frame and category that has an object near
    chooses, so that those who choose together never want the same object.
    """
    if not len(detection):
        return
    key = pair[detection] * len(crowd) + thing  # an object within a pair
    _, slot = np.unique(key, return_inverse=True)
    taken = np.zeros((int(slot.max()) + 1, len(AREAS), len(THRESHOLDS)), bool)
    chooser, first = np.unique(detection, return_index=True)
    degree = np.diff(first, append=len(detection))
    group = pair[chooser] * (int(rows["label"].max()) + 1) + rows["label"][chooser]
    start = np.flatnonzero(np.diff(group, prepend=-1))
    turn = np.arange(len(group)) - np.repeat(start, np.diff(start, append=len(group)))
    for now in range(int(turn.max()) + 1):
        for objects in np.unique(degree[turn == now]).tolist():
            mine = np.flatnonzero((turn == now) & (degree == objects))
            # The last of equal overlaps wins, hence the objects from the last to the first.
            edge = first[mine][:, None] + np.arange(objects)[::-1]
            near, there = overlap[edge][:, None, None, :], slot[edge]
            free = ~taken[there].transpose(0, 2, 3, 1) | crowd[thing[edge]][:, None, None, :]
            free &= near >= _FREE[:, None]
            aside = ignored[thing[edge]].transpose(0, 2, 1)[:, :, None, :]
            counting, extra = (np.where(free & ok, near, -1.0) for ok in (~aside, aside))
            hit = free.any(-1)
            apart = hit & (counting.max(-1) < 0)
            choice = np.where(apart, extra.argmax(-1), counting.argmax(-1))
            at = np.nonzero(hit)
            taken[there[at[0], choice[at]], at[1], at[2]] = True
            beyond = outside[chooser[mine]][:, :, None] & ~hit
            rows["hit"][chooser[mine]] = hit.reshape(len(mine), _CASES) @ _BIT
            rows["ignored"][chooser[mine]] = (apart | beyond).reshape(len(mine), _CASES) @ _BIT
