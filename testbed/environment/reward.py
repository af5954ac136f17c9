"""What frames are worth, as soon as that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from testbed.metrics.utility import UNDECIDED, Utility, Worth
from testbed.model import Fate, FrameRecord, Ladder


class Tally:
    """Adds up the utility of the frames of a run, each when its worth becomes known.

    That is when it has been answered or given up, when its deadline has passed without an answer,
    or when the run has ended; of a frame that still waits for the encoder it is not known before
    somebody has decided about it. Frames count in their order, since what one is worth may depend
    on those before it; so a decided frame counts at the latest one deadline after its capture,
    unless an earlier one waits. Each frame's part is what `Worth.of` says of it, to the last bit.

    Args:
        ladder: What is chosen from.
        utility: The weights.
        deadline_ns: From capture to answer.

    Attributes:
        each: Utility of each frame so far.
    """

    def __init__(self, ladder: Ladder, utility: Utility, deadline_ns: int) -> None:
        self.each: list[float] = []
        self._worth = Worth(ladder, utility)
        self._price: list[float] = self._worth.price.tolist()
        self._step = self._worth.step
        self._places = {rung.point: place for place, rung in enumerate(ladder)}
        self._deadline_ns = deadline_ns
        self._last: int | None = None
        self._age = 0

    def settle(self, frames: Sequence[FrameRecord], now_ns: int, ended: bool) -> float:
        """Return the utility of the frames whose worth has become known since the last time.

        Args:
            frames: Of the run so far, all of them.
            now_ns: The present.
            ended: Whether the run is over.
        """
        done = len(self.each)
        for number in range(done, len(frames)):
            frame = frames[number]
            limit_ns = frame.captured_ns + self._deadline_ns
            answered_ns = frame.answered_ns
            under_way = answered_ns is None and frame.fate is Fate.UNFINISHED
            if under_way and not ended and (frame.point is None or now_ns <= limit_ns):
                break
            in_time = answered_ns is not None and answered_ns <= limit_ns
            self.each.append(self._utility(frame, in_time))
        return math.fsum(self.each[done:])

    def _utility(self, frame: FrameRecord, in_time: bool) -> float:
        self._age = 0 if in_time else self._age + 1
        if frame.point is None:
            return self._worth.gain(UNDECIDED, in_time, self._age)
        place, last = self._places[frame.point], self._last
        self._last = place
        value = self._worth.gain(place, in_time, self._age) - self._price[place]
        return value if last is None else value - self._step * abs(place - last)
