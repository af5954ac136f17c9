"""The referee of policies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from testbed.model import (
    NS_PER_MS,
    SKIP,
    Fate,
    Ladder,
    Mode,
    Observation,
    OperatingPoint,
    Outcome,
    Policy,
    Rung,
)
from testbed.streams import stream

_PERIOD_NS = 100 * NS_PER_MS
_FRAMES = 300


def example_ladder(*, skip: bool = False) -> Ladder:
    """Return a ladder of four widths whose second best is the best, for tests."""
    rungs = [
        Rung(
            OperatingPoint(width),
            payload_bytes=round(100_000 * width),
            accuracy=accuracy,
            device_mac=round(1e9 * width),
            encode_ns=round(20e6 * width),
            encode_j=0.1 * width,
            decode_ns=5_000_000,
        )
        for width, accuracy in [(0.25, 0.30), (0.5, 0.35), (0.75, 0.38), (1.0, 0.37)]
    ]
    return Ladder((*rungs, Rung(SKIP, 0, 0.0)) if skip else tuple(rungs))


def check_policy(make: Callable[[], Policy], ladder: Ladder | None = None) -> None:
    """Hold a policy to the promises that both engines rely on.

    It must accept the ladder (of the two example ladders at least one), always choose a point of
    it, give the same choices for the same seed and the same experience, forget everything in
    `reset`, share nothing between instances, leave what it is shown as it was, and take the news of
    every fate.

    Args:
        make: Returns a new instance each time, with the same options.
        ladder: To try it on; one of four widths, with and without `skip`, if None.

    Raises:
        AssertionError: The message says which promise was broken.
    """
    for rungs in [ladder] if ladder is not None else _accepted(make()):
        policy = make()
        policy.check(rungs)
        first = _choices(policy, rungs, seed=1)
        assert _choices(policy, rungs, seed=1) == first, "`reset` does not forget the last run"
        assert _choices(make(), rungs, seed=1) == first, "same seed and experience, other choices"
        one, other = make(), make()
        mixed = [_play(one, rungs, 1), _play(other, rungs, 2)]
        steps = list(zip(*mixed, strict=True))
        assert [a for a, _ in steps] == first, "two instances share state"


def _accepted(policy: Policy) -> list[Ladder]:
    """Return the example ladders that a policy accepts: one that skips refuses those without."""
    accepted, reasons = [], []
    for rungs in (example_ladder(), example_ladder(skip=True)):
        try:
            policy.check(rungs)
        except ValueError as error:
            reasons.append(str(error))
        else:
            accepted.append(rungs)
    assert accepted, f"accepts neither example ladder: {reasons[-1]}"
    return accepted


def _choices(policy: Policy, ladder: Ladder, seed: int) -> list[OperatingPoint]:
    return list(_play(policy, ladder, seed))


def _play(policy: Policy, ladder: Ladder, seed: int) -> Iterator[OperatingPoint]:
    """Let a policy decide about some hundred frames of a made-up world; yield what it chooses."""
    world = stream(seed, "check_policy", "world")
    policy.reset(stream(seed, "check_policy", "policy"))
    now = 0
    for frame in range(_FRAMES):
        now = frame * _PERIOD_NS + int(world.integers(10 * NS_PER_MS))
        outstanding = int(world.integers(3))
        seen = Observation(
            now_ns=now,
            frame=frame,
            captured_ns=frame * _PERIOD_NS,
            deadline_ns=(frame + 2) * _PERIOD_NS,
            period_ns=_PERIOD_NS,
            backlog_bytes=int(world.integers(50_000)) if outstanding else 0,
            outstanding=outstanding,
            oldest_outstanding_ns=(frame - 1) * _PERIOD_NS if outstanding else None,
            rtt_ns=50 * NS_PER_MS,
        )
        shown = dataclasses.replace(seen)
        point = policy.choose(seen, ladder)
        assert point in [rung.point for rung in ladder], f"{point} is not on the ladder"
        assert seen == shown, "`choose` changed the observation"
        yield point
        policy.feedback(_outcome(point, ladder, frame, now, world.random(), world.random()))


def _outcome(
    point: OperatingPoint, ladder: Ladder, frame: int, now: int, luck: float, speed: float
) -> Outcome:
    rung = ladder.at(point)
    if point.mode is Mode.SKIP:
        return Outcome(now, frame, point, Fate.SKIPPED, 0, None, None)
    if point.mode is Mode.LOCAL:
        return Outcome(now + rung.encode_ns, frame, point, Fate.LOCAL, 0, None, rung.encode_ns)
    bps = 1e6 + 2e7 * speed
    busy_ns = round(rung.payload_bytes * 8e9 / bps)
    latency_ns = rung.encode_ns + busy_ns + 50 * NS_PER_MS + rung.decode_ns
    fates = [fate for fate in Fate if fate not in (Fate.SKIPPED, Fate.LOCAL)]
    fate = fates[int(luck * len(fates))]
    answered = fate in (Fate.ON_TIME, Fate.LATE)
    return Outcome(
        now + latency_ns,
        frame,
        point,
        fate,
        rung.payload_bytes,
        busy_ns if answered else None,
        latency_ns if answered else None,
    )
