"""Small worlds whose future is known."""

from __future__ import annotations

import numpy as np

from testbed.links.capacity import RateSteps
from testbed.model import LOCAL, SKIP, Mode, OperatingPoint, Rung
from testbed.optimum import Problem, Utility
from testbed.traces.trace import Trace

MS = 1_000_000
S = 1_000_000_000


def fading(seconds, seed=1, mean_mbps=4.0, outages=True):
    """Return a channel that wanders, with a fade to a twentieth now and then; 100 ms steps."""
    rng = np.random.default_rng(seed)
    count = seconds * 10 + 20
    log = np.zeros(count)
    for i in range(1, count):
        log[i] = 0.95 * log[i - 1] + rng.normal(0, 0.25)
    mbps = mean_mbps * np.exp(log)
    if outages:
        for begin in range(30, count, 70):
            mbps[begin : begin + 6] *= 0.05
    stamps = np.arange(count, dtype=np.int64) * 100 * MS
    rates = np.maximum(mbps * 1e6, 1000).astype(np.int64)
    return RateSteps(Trace("rate", stamps, count * 100 * MS, rates))


def steady(mbps):
    """Return a channel of one rate."""
    one = Trace("rate", np.zeros(1, np.int64), S, np.array([round(mbps * 1e6)], np.int64))
    return RateSteps(one)


def split(width, payload_bytes, accuracy, encode_ms=20.0, encode_j=0.1):
    return Rung(
        OperatingPoint(width),
        payload_bytes,
        accuracy,
        encode_ns=round(encode_ms * MS),
        encode_j=encode_j,
        decode_ns=5 * MS,
    )


def facts_ladder(local=True, skip=True):
    """Twelve widths, a JPEG, the device alone, and skip, as in the study of the oracle."""
    rungs = [
        split(k / 12, 3_000 * k, 0.20 + 0.22 * (1 - np.exp(-k / 4)), encode_ms=20)
        for k in range(1, 13)
    ]
    jpeg = OperatingPoint(1.0, 0, "jpeg", Mode.OFFLOAD)
    rungs.append(Rung(jpeg, 45_000, 0.44, encode_ns=20 * MS, encode_j=0.05, decode_ns=10 * MS))
    if local:
        rungs.append(Rung(LOCAL, 0, 0.15, encode_ns=60 * MS, encode_j=1.0))
    if skip:
        rungs.append(Rung(SKIP, 0, 0.0))
    return tuple(sorted(rungs, key=lambda r: (r.payload_bytes, r.accuracy, r.point)))


def problem(
    rungs, curve, frames, fps=15, deadline_ms=150, rtt_ms=30, utility=None, may_refuse=False
):
    """Return the problem of a camera, an encoder and an uplink; half the round trip each way."""
    captured = [round(i * S / fps) for i in range(frames)]
    encode = np.array([[r.encode_ns for r in rungs]] * frames, np.int64)
    latest = np.array(
        [[at + (deadline_ms - rtt_ms) * MS - r.decode_ns for r in rungs] for at in captured],
        np.int64,
    )
    return Problem(
        tuple(rungs),
        tuple(captured),
        encode,
        latest,
        deadline_ms * MS,
        curve,
        utility or Utility(),
        may_refuse,
    )
