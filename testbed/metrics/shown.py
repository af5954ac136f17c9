"""Which answer a client shows at an instant: the pairing of streaming accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
"""Stands for no answer: the client shows no boxes, so every object is missed."""


def shown(
    instants_ns: NDArray[np.int64],
    captured_ns: NDArray[np.int64],
    answered_ns: NDArray[np.int64],
    *,
    never_ns: int = int(np.iinfo(np.int64).max),
) -> NDArray[np.int64]:
    """Return which of a client's answers is shown at each instant, `NOTHING` before the first.

    It is the newest one that has arrived: an answer counts from its very instant on, answered <= t,
    as in Li, Wang and Ramanan, "Towards streaming perception" (ECCV 2020), `streaming_eval.py`.
    There answers come one by one and newest means latest to arrive. Over a network they can
    overtake each other; newest then means captured last, since a client can see the number of a
    frame and does not go back to older boxes. Where nothing is overtaken the two are the same.

    Args:
        instants_ns: (m,) when somebody looks, in any order.
        captured_ns: (n,) when the frame of each answer was captured.
        answered_ns: (n,) when the answer was there.
        never_ns: What `answered_ns` holds for a frame without an answer.

    Returns:
        (m,) places among the n answers, or `NOTHING`.
    """
    there = np.flatnonzero(answered_ns != never_ns)
    if not len(there):
        return np.full(len(instants_ns), NOTHING, np.int64)
    # A frame's place in the order of capture stands for its instant; no two share one.
    by_capture = np.argsort(captured_ns, kind="stable")
    place = np.empty(len(captured_ns), np.int64)
    place[by_capture] = np.arange(len(captured_ns))
    arrival = there[np.argsort(answered_ns[there], kind="stable")]
    newest = by_capture[np.maximum.accumulate(place[arrival])]
    count = np.searchsorted(answered_ns[arrival], instants_ns, side="right")
    return np.where(count > 0, newest[count - 1], NOTHING)


def of_the_same_clip(seen: NDArray[np.int64], clip: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what `shown` gave for the frames' own instants, without answers about another clip.

    A camera that plays several clips starts each of them with nothing to show, as the sequences of
    a streaming benchmark do.

    Args:
        seen: (n,) places among the n frames, or `NOTHING`.
        clip: (n,) the clip that each frame is of.
    """
    return np.where((seen != NOTHING) & (clip[seen] == clip), seen, NOTHING)
