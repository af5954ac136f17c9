"""What one client was shown, and what of it was right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.boxes import Found
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.matching import ragged
from testbed.metrics.precision import Matches
from testbed.metrics.proxy import CORRECT, frame_counts, frame_f1
from testbed.metrics.shown import NOTHING, of_the_same_clip, shown

Redraw = Callable[["Watched", NDArray[np.int64]], Found]
"""Makes the boxes shown at each captured frame, given which answer is the newest; a forecast."""


@dataclass(frozen=True, eq=False)
class Watched:
    """What a client captured and what came back, frame by frame in the order of capture.

    Args:
        captured_ns: (n,) instants, rising.
        answered_ns: (n,) instants, `never_ns` for a frame without an answer.
        never_ns: What stands for no answer; later than every instant.
        decided: (n,) whether the policy decided about the frame at all.
        source: (n,) the operating point, counted among the evaluator's; `NOTHING` for none.
        picture: (n,) what the camera saw: a frame of the evaluator's ground truth.
    """

    captured_ns: NDArray[np.int64]
    answered_ns: NDArray[np.int64]
    never_ns: int
    decided: NDArray[np.bool_]
    source: NDArray[np.int64]
    picture: NDArray[np.int64]

    def __len__(self) -> int:
        """Return n, the number of frames captured."""
        return len(self.captured_ns)


@dataclass(frozen=True, eq=False)
class Delivered:
    """What a client was shown at the instant of each frame that it captured.

    Args:
        seen: (n,) the frame whose answer was shown, `NOTHING` for none.
        boxes: The boxes shown at each of the n instants.
        streaming: The boxes shown, matched with what was there at that instant.
        offline: The boxes of each frame that was decided about, as if they came at once.
        on_time: The boxes of each frame if they came within the deadline, else none.
        clip: (n,) the clip that each frame is of.
        correct: Objects found within the deadline.
        right: (n,) whether a frame was answered, and recognised: its F1 is 0.5 at least.
    """

    seen: NDArray[np.int64]
    boxes: Found
    streaming: Matches
    offline: Matches
    on_time: Matches
    clip: NDArray[np.int64]
    correct: int
    right: NDArray[np.bool_]


def delivered(
    evaluator: Evaluator,
    watched: Watched,
    *,
    deadline_ns: int,
    threshold: float,
    redraw: Redraw | None = None,
) -> Delivered:
    """Return what a client was shown, matched with what was there.

    Args:
        evaluator: Knows what was there, and what is found at each operating point.
        watched: The frames of the client.
        deadline_ns: From capture to answer.
        threshold: Least score of a box that says something of a single frame.
        redraw: Makes the boxes that are shown; without it they are those of the newest answer.
    """
    nobody = np.full(len(watched), NOTHING)
    answered = watched.answered_ns != watched.never_ns
    latest = shown(
        watched.captured_ns, watched.captured_ns, watched.answered_ns, never_ns=watched.never_ns
    )
    seen = of_the_same_clip(latest, takes(evaluator.truth.sequence, watched.picture))
    source, frame = _answers(watched, seen)
    if redraw is None:
        boxes = gathered(evaluator.found, source, frame)
        streaming = evaluator.matches(watched.picture, source, frame)
    else:
        boxes = redraw(watched, seen)
        streaming = evaluator.matches_of(watched.picture, boxes)
    own = evaluator.matches(watched.picture, watched.source, watched.picture)
    late = np.where(answered, watched.answered_ns - watched.captured_ns, 0) > deadline_ns
    on_time = evaluator.matches(
        watched.picture, np.where(answered & ~late, watched.source, nobody), watched.picture
    )
    return Delivered(
        seen,
        boxes,
        streaming,
        own.of(np.flatnonzero(watched.decided)),
        on_time,
        evaluator.truth.sequence[watched.picture],
        int(frame_counts(on_time, threshold)[0].sum()),
        answered & (watched.source != NOTHING) & (frame_f1(own, threshold) >= CORRECT),
    )


def takes(sequence: NDArray[np.int64], picture: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) a number for each captured frame that changes where the film is cut.

    It is cut between clips, and where a film that is played again goes back to its beginning.

    Args:
        sequence: The clip of each picture.
        picture: (n,) the picture that each frame shows.
    """
    cut = (np.diff(sequence[picture]) != 0) | (np.diff(picture) < 0)
    return np.concatenate((np.zeros(min(1, len(picture)), np.int64), np.cumsum(cut)))


def gathered(found: Sequence[Found], source: NDArray[np.int64], frame: NDArray[np.int64]) -> Found:
    """Return the boxes of n choices of a source and a frame of it, none for `NOTHING`."""
    length, parts = np.zeros(len(source), np.int64), []
    for which, boxes in enumerate(found):
        mine = np.flatnonzero(source == which)
        rows, owner = ragged(boxes.offsets, frame[mine])
        length[mine] = np.diff(boxes.offsets)[frame[mine]]
        parts.append((mine[owner], boxes.xywh[rows], boxes.label[rows], boxes.score[rows]))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(length)))
    if not parts:
        return Found(offsets, np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))
    owner, xywh, label, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(owner, kind="stable")
    return Found(offsets, xywh[order], label[order], score[order])


def _answers(
    watched: Watched, seen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the operating point and the picture of the answer shown at each instant."""
    some = seen != NOTHING
    at = np.where(some, seen, 0)
    return np.where(some, watched.source[at], NOTHING), watched.picture[at]
