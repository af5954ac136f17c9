"""COCO's evaluator with a memory: a frame and its boxes are matched once, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbed.metrics.boxes import Found, Truth
from testbed.metrics.matching import ROW, counted, match
from testbed.metrics.precision import Matches
from testbed.metrics.shown import NOTHING

MOST_ROWS = 4_000_000
"""Matched detections that an evaluator remembers, some 130 MB."""

_BATCH = 512  # pairs matched at once: enough to keep numpy busy, few enough to stay small


class Evaluator:
    """Matches what a client showed with what was there.

    Policies, seeds and instants ask again and again for the same boxes before the same picture: a
    detector has a few operating points, and an answer is a few frames old. Each such pair is
    matched once. The oldest are forgotten when more than `most_rows` detections are remembered,
    which changes how long the next question takes and never its answer.

    Args:
        truth: What is in each picture.
        found: What was found in them at each operating point; of as many pictures.
        most_rows: Matched detections to remember.

    Raises:
        ValueError: A detector found something in another number of pictures.
    """

    def __init__(
        self, truth: Truth, found: Sequence[Found] = (), *, most_rows: int = MOST_ROWS
    ) -> None:
        for place, boxes in enumerate(found):
            if len(boxes) != len(truth):
                raise ValueError(
                    f"operating point {place} has boxes of {len(boxes)} pictures, "
                    f"the ground truth has {len(truth)}"
                )
        self.truth = truth
        self.found = tuple(found)
        self.objects = counted(truth)
        self.most_rows = most_rows
        self.matched = 0  # pairs so far, for whoever wants to know what memory saves
        self._memory: dict[int, NDArray[np.void]] = {}
        self._rows = 0

    def matches(
        self, picture: NDArray[np.int64], source: NDArray[np.int64], frame: NDArray[np.int64]
    ) -> Matches:
        """Return the matches of n instants.

        Args:
            picture: (n,) what was there: a frame of the ground truth.
            source: (n,) the operating point whose boxes were shown, `NOTHING` for none.
            frame: (n,) the frame in which they were found.
        """
        count = len(self.truth)
        keys = (source * count + frame) * count + picture
        some = source != NOTHING
        wanted = np.unique(keys[some]).tolist()
        known = {key: self._memory[key] for key in wanted if key in self._memory}
        fresh = [key for key in wanted if key not in known]
        for start in range(0, len(fresh), _BATCH):
            known |= self._match(np.array(fresh[start : start + _BATCH], np.int64), count)
        empty = np.empty(0, ROW)
        parts = [
            known[key] if there else empty
            for key, there in zip(keys.tolist(), some.tolist(), strict=True)
        ]
        self._remember(known)
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts], dtype=np.int64)))
        rows = np.concatenate(parts) if parts else empty
        return Matches(rows, offsets, self.objects[picture])

    def matches_of(self, picture: NDArray[np.int64], boxes: Found) -> Matches:
        """Return the matches of boxes that no recording has, such as forecast ones.

        Args:
            picture: (n,) what was there: a frame of the ground truth.
            boxes: Of n instants, what was shown.
        """
        instants = np.arange(len(picture))
        rows, offsets = match(
            self.truth, picture, [boxes], np.zeros(len(picture), np.int64), instants
        )
        return Matches(rows, offsets, self.objects[picture])

    def _match(self, keys: NDArray[np.int64], count: int) -> dict[int, NDArray[np.void]]:
        rest, picture = np.divmod(keys, count)
        source, frame = np.divmod(rest, count)
        rows, offsets = match(self.truth, picture, self.found, source, frame)
        self.matched += len(keys)
        # Copies, so that forgetting one pair frees its memory.
        return {
            key: rows[offsets[i] : offsets[i + 1]].copy() for i, key in enumerate(keys.tolist())
        }

    def _remember(self, pairs: dict[int, NDArray[np.void]]) -> None:
        for key, rows in pairs.items():
            if key not in self._memory:
                self._memory[key] = rows
                self._rows += len(rows)
        while self._rows > self.most_rows:
            self._rows -= len(self._memory.pop(next(iter(self._memory))))
