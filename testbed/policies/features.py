"""What a policy sees, as numbers between -1 and 1, for policies that are learned."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from testbed.estimators.estimator import goodput_bps
from testbed.model import Fate, Ladder, Observation, Outcome

VERSION = 1
"""Of the meaning of the components; a network is of use with the one it was trained on only."""

HISTORY = 8
"""Uploads and outcomes that are remembered, as many as Pensieve's (Mao et al., SIGCOMM 2017)."""

FIXED = 2 * HISTORY + 12
"""Components before those of the last point."""

_LOG_RANGE = math.log(100.0)
_MOST = 4.0  # largest payloads of backlog, deadlines of waiting, frames in the queue
_MOST_AGE = 8.0  # deadlines

Vector = NDArray[np.float32]


class Features:
    """Turns observations and outcomes into vectors of the same length, (28 + points of the ladder).

    D is the deadline, from capture to answer; R the rate that sends the largest payload of the
    ladder in D. Values beyond their range are cut off there.

    | component | what it is |
    |---|---|
    | 0 to 7 | goodput W of the last uploads, the newest first: ln(W/R) / ln 100 |
    | 8 | how many of them there were yet, over 8; the oldest stands for those that are missing |
    | 9 | age of the newest upload over 8 D; 1 without one |
    | 10 to 17 | latency of the last frames (skipped ones left out) over 2 D; 1 without an answer |
    | 18 | backlog over 4 largest payloads |
    | 19 | time that the backlog takes at the newest goodput, over 4 D |
    | 20 | time left until the frame's deadline over D |
    | 21 | slack: the share of D that the oldest frame without an answer has left; 1 without one |
    | 22 | frames that wait for the encoder, over 4 |
    | 23 | frames without an answer, over 8 |
    | 24 | round trip over D |
    | 25 | frame period over D |
    | 26 | energy left: charge of the battery; 1 on mains |
    | 27 | temperature over 100 °C; 0 where it is not modelled |
    | from 28 | 1 at the place of the last point on the ladder, 0 elsewhere |

    Args:
        ladder: What is chosen from.
    """

    def __init__(self, ladder: Ladder) -> None:
        self.size = FIXED + len(ladder)
        self._largest = max(rung.payload_bytes for rung in ladder) or 1
        self._goodput: deque[float] = deque(maxlen=HISTORY)  # ln of bit/s
        self._latency: deque[float] = deque([0.0] * HISTORY, maxlen=HISTORY)
        self._uploads = 0
        self._newest_ns = 0
        self._allowed_ns = 1
        self._last = [0.0] * len(ladder)

    def encode(self, seen: Observation) -> Vector:
        """Return what is seen now; a new array."""
        allowed = seen.deadline_ns - seen.captured_ns
        self._allowed_ns = allowed
        now = seen.now_ns
        need = math.log(8e9 * self._largest / allowed)
        goodput, known = self._goodput, len(self._goodput)
        if known:
            rates = [_cut((log - need) / _LOG_RANGE) for log in goodput]
            if known < HISTORY:
                rates += [rates[-1]] * (HISTORY - known)
            age = min((now - self._newest_ns) / (_MOST_AGE * allowed), 1.0)
            wait_ns = seen.backlog_bytes * 8e9 / math.exp(goodput[0])
            wait = min(wait_ns / (_MOST * allowed), 1.0)
        else:
            rates, age = [0.0] * HISTORY, 1.0
            wait = 1.0 if seen.backlog_bytes else 0.0
        oldest = seen.oldest_outstanding_ns
        warm = seen.temperature_c
        return np.array(
            [
                *rates,
                known / HISTORY,
                age,
                *self._latency,
                min(seen.backlog_bytes / (_MOST * self._largest), 1.0),
                wait,
                _cut((seen.deadline_ns - now) / allowed),
                1.0 if oldest is None else _cut(1.0 - (now - oldest) / allowed),
                min(seen.queued_frames / _MOST, 1.0),
                min(seen.outstanding / HISTORY, 1.0),
                min(seen.rtt_ns / allowed, 1.0),
                min(seen.period_ns / allowed, 1.0),
                1.0 if seen.battery is None else seen.battery,
                0.0 if warm is None else _cut(warm / 100.0),
                *self._last,
            ],
            dtype=np.float32,
        )

    def chosen(self, place: int) -> None:
        """Note the place of the point that was chosen."""
        self._last = [0.0] * len(self._last)
        self._last[place] = 1.0

    def learn(self, outcome: Outcome) -> None:
        """Take the news of a frame."""
        if outcome.busy_ns:
            bps = goodput_bps(outcome.payload_bytes, outcome.busy_ns)
            self._goodput.appendleft(math.log(bps))
            self._newest_ns = outcome.now_ns
        if outcome.fate is not Fate.SKIPPED:
            latency = outcome.latency_ns
            late = 1.0 if latency is None else min(latency / (2 * self._allowed_ns), 1.0)
            self._latency.appendleft(late)


def _cut(value: float) -> float:
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value
