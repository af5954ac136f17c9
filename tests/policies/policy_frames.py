"""What a device sees and learns, with everything usual filled in."""

from __future__ import annotations

import numpy as np

from testbed.model import LOCAL, SKIP, Fate, Ladder, Observation, OperatingPoint, Outcome, Rung

MS = 1_000_000


def seen(**changes):
    """Return what a device sees at its first frame: 10 fps, 200 ms, 50 ms round trip."""
    facts = {
        "now_ns": 0,
        "frame": 0,
        "captured_ns": 0,
        "deadline_ns": 200 * MS,
        "period_ns": 100 * MS,
        "rtt_ns": 50 * MS,
    }
    return Observation(**{**facts, **changes})


def uploaded(payload_bytes, busy_ms):
    return Outcome(
        0, 0, OperatingPoint(0.25), Fate.ON_TIME, payload_bytes, round(busy_ms * MS), 100 * MS
    )


def fresh(policy):
    policy.reset(np.random.default_rng(0))
    return policy


def at_mbps(policy, mbps):
    """Return a policy that has seen one upload of a second at a rate."""
    policy = fresh(policy)
    policy.feedback(uploaded(round(mbps * 125_000), 1000))
    return policy


def rung(width, payload_bytes, accuracy, encode_ms=10, encode_j=0.1, decode_ms=5):
    """Return a rung of mode split."""
    return Rung(
        OperatingPoint(width),
        payload_bytes,
        accuracy,
        encode_ns=round(encode_ms * MS),
        encode_j=encode_j,
        decode_ns=round(decode_ms * MS),
    )


def local(accuracy=0.4, encode_ms=80, encode_j=1.0):
    """Return the rung that runs the whole network on the device."""
    return Rung(LOCAL, 0, accuracy, int(4e9), encode_ns=round(encode_ms * MS), encode_j=encode_j)


THREE = (rung(0.25, 25_000, 0.30), rung(0.5, 50_000, 0.35), rung(0.75, 75_000, 0.38))
"""2, 4 and 6 Mbit/s at 10 frames/s; a round trip of 50 ms leaves 135 ms of 200 for the upload."""

SKIPPED = Rung(SKIP, 0, 0.0)


def ladder(*rungs):
    return Ladder(rungs or THREE)


def ended(frame, point, latency_ms=100.0, payload_bytes=0, busy_ms=None, now_ms=0.0):
    """Return the news of a frame that was answered, or of one that was lost if latency is None."""
    fate = Fate.LOST if latency_ms is None else Fate.ON_TIME
    busy_ns = None if busy_ms is None else round(busy_ms * MS)
    latency_ns = None if latency_ms is None else round(latency_ms * MS)
    return Outcome(round(now_ms * MS), frame, point, fate, payload_bytes, busy_ns, latency_ns)
