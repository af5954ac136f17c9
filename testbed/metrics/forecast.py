"""Old boxes moved to where their objects should be by now, at constant velocity.

The forecaster of Li, Wang and Ramanan, "Towards streaming perception" (ECCV 2020), with the figures
of its code (`forecast/pps_forecast_kf.py`): the state of a box is left, top, width and height and
their velocities per frame; P₀ = 100 · I, Q = dt² · I, R = 10 · I; a new answer continues a track if
both have the same category and overlap by an IoU of 0.3 at least once the track has been moved to
the instant of that answer. A track that the newest answer does not continue is dropped.

All three matrices being multiples of the identity, the four coordinates of a box never mix and have
the same covariance: instead of 8 × 8 numbers a track needs three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.boxes import Found

MATCH_IOU = 0.3
MEASUREMENT_VARIANCE = 10.0
FIRST_VARIANCE = 100.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def forecast(
    answers: Found,
    captured_ns: Ints,
    seen: Ints,
    instants_ns: Ints,
    *,
    period_ns: int,
    size: tuple[float, float] | None = None,
) -> Found:
    """Return the boxes to show at each instant, moved there from the newest answer.

    The client learns from each answer that it showed, in turn. Where it shows nothing it forgets
    what it knew, as a benchmark does between two clips.

    Args:
        answers: The boxes of n answers.
        captured_ns: (n,) when the frame of each was captured.
        seen: (m,) which of the answers is the newest at each instant, as `shown` says; -1 for none.
        instants_ns: (m,) the instants, not decreasing.
        period_ns: Between two captures, the unit of time of the figures above.
        size: Width and height of the picture, at whose border boxes end; None for no border.

    Returns:
        The boxes of m instants, best first. One whose forecast lies outside of the picture, or has
        no area left, is not among them.
    """
    parts: list[tuple[Floats, Ints, Floats]] = []
    tracks, newest = _Tracks(), -1
    for answer, now in zip(seen.tolist(), instants_ns.tolist(), strict=True):
        if answer < 0:
            tracks, newest = _Tracks(), -1
            parts.append((np.empty((0, 4)), np.empty(0, np.int64), np.empty(0)))
            continue
        at = int(captured_ns[answer])
        if answer != newest:
            rows = slice(int(answers.offsets[answer]), int(answers.offsets[answer + 1]))
            passed = 0.0 if newest < 0 else (at - int(captured_ns[newest])) / period_ns
            tracks.see(answers.xywh[rows], answers.label[rows], answers.score[rows], passed)
            newest = answer
        xywh = tracks.xywh + tracks.velocity * ((now - at) / period_ns)
        kept, xywh = _inside(xywh, size)
        parts.append((xywh, tracks.label[kept], tracks.score[kept]))
    counts = [len(score) for _, _, score in parts]
    offsets = np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64)
    if not parts:
        return Found(offsets, np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))
    xywh, label, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Found(offsets, xywh, label, score)


class _Tracks:
    """What the client believes of the objects of the newest answer, in the order of that answer.

    Attributes:
        xywh: (k, 4) boxes as filtered, at the capture of the answer.
        velocity: (k, 4) their change per frame.
        label: (k,) categories.
        score: (k,) scores of the answer.
    """

    def __init__(self) -> None:
        self.xywh, self.velocity = np.empty((0, 4)), np.empty((0, 4))
        self.label, self.score = np.empty(0, np.int64), np.empty(0)
        self._spread = np.empty((0, 3))  # variance of a coordinate, covariance, of its velocity

    def see(self, xywh: Floats, label: Ints, score: Floats, passed: float) -> None:
        """Take an answer whose frame was captured `passed` frames after that of the last one."""
        position, covariance, velocity = self._spread.T
        predicted = self.xywh + passed * self.velocity
        p = position + 2 * passed * covariance + passed**2 * velocity + passed**2
        c = covariance + passed * velocity
        v = velocity + passed**2
        old, new = _associate(predicted, self.label, xywh, label)
        gain_p = p[old] / (p[old] + MEASUREMENT_VARIANCE)
        gain_v = c[old] / (p[old] + MEASUREMENT_VARIANCE)
        off = xywh[new] - predicted[old]
        spread = np.tile([FIRST_VARIANCE, 0.0, FIRST_VARIANCE], (len(xywh), 1))
        spread[new] = np.stack(
            ((1 - gain_p) * p[old], (1 - gain_p) * c[old], v[old] - gain_v * c[old]), axis=1
        )
        moved, speeds = xywh.astype(np.float64), np.zeros((len(xywh), 4))
        moved[new] = predicted[old] + gain_p[:, None] * off
        speeds[new] = self.velocity[old] + gain_v[:, None] * off
        self.xywh, self.velocity, self._spread = moved, speeds, spread
        self.label, self.score = label, score


def _associate(
    before: Floats, before_label: Ints, xywh: Floats, label: Ints
) -> tuple[list[int], list[int]]:
    """Return which old boxes the new ones continue: each new one, best first, its nearest."""
    overlap = _iou(xywh, before)
    overlap[label[:, None] != before_label[None, :]] = 0.0
    old: list[int] = []
    new: list[int] = []
    for place in range(len(xywh) if len(before) else 0):
        nearest = int(overlap[place].argmax())
        if overlap[place, nearest] >= MATCH_IOU:
            old.append(nearest)
            new.append(place)
            overlap[:, nearest] = 0.0
    return old, new


def _iou(ones: Floats, others: Floats) -> Floats:
    """Return the overlap of each of k boxes with each of l, (k, l)."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum((ones[:, :2] + ones[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    areas = ones[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None] - shared
    return np.asarray(np.where(areas > 0, shared / np.where(areas > 0, areas, 1.0), 0.0))


def _inside(xywh: Floats, size: tuple[float, float] | None) -> tuple[NDArray[np.intp], Floats]:
    """Return which boxes have an area within the picture, and what of them is within it."""
    low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
    if size is not None:
        low, high = np.clip(low, 0.0, size), np.clip(high, 0.0, size)
    kept = np.flatnonzero((high > low).all(axis=1))
    return kept, np.concatenate((low, high - low), axis=1)[kept]
