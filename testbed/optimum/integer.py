"""The optimum as a mixed-integer programme: exact, and only for short runs."""

from __future__ import annotations

import numpy as np

from testbed.optimum.problem import Problem


def integer_optimum(problem: Problem, *, limit_s: float = 60.0) -> tuple[float, float]:
    """Return what HiGHS found and what it has shown that nothing exceeds: the same, given time.

    With x(t, a) = 1 if frame t has point a, Q(t) the backlog right after frame t is handed over and
    z(t) the places that a switch spans: maximise Σ (accuracy - energy) · x - step · Σ z, subject to
    Σ x(t, ·) = 1; Q(t) ≥ Q(t - 1) - capacity between the two + Σ payload · x; Q(t) ≥ Σ payload · x;
    and Q(t) ≤ what the link offers until the last useful instant, if frame t sends. A frame that
    would be late is never worth sending, so it is skipped, and every frame that is sent is in time.

    Args:
        problem: With frames that may be skipped.
        limit_s: Time after which the best so far, and the bound so far, will do.

    Raises:
        ValueError: The problem is of another kind: frames cannot be skipped, points that send take
            different times to encode, an encoder is slower than the camera, or age counts.
        RuntimeError: HiGHS found nothing.
    """
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import coo_array

    spent = problem.encode_ns[:, problem.sends]
    if not problem.skips.any():
        raise ValueError("the integer programme needs a point that skips")
    if spent.size and (spent != spent[:, :1]).any():
        raise ValueError("the integer programme needs encoding times that do not depend on α")
    spans = np.diff(np.array(problem.captured_ns))
    if (problem.encode_ns[:-1] > spans[:, None]).any():
        raise ValueError("the integer programme needs an encoder as fast as the camera")
    if problem.utility.age or problem.may_refuse:
        raise ValueError("the integer programme knows neither age nor refused payloads")
    frames, count = problem.encode_ns.shape
    curve, scale = problem.curve, float(problem.units.max() or 1)
    ready = [
        max(at + (int(row[0]) if row.size else 0), problem.awake_ns)
        for at, row in zip(problem.captured_ns, spent, strict=True)
    ]
    passed = [curve.offered(at) for at in ready]
    room = np.array(
        [
            [(curve.offered(int(t)) if t >= 0 else -1) - begun for t in row]
            for row, begun in zip(problem.latest_ns, passed, strict=True)
        ]
    )
    room = room / scale
    units = problem.units / scale
    own = problem.encode_ns <= problem.deadline_ns
    allowed = np.where(problem.sends, room >= units, True)
    in_time = np.where(problem.sends, True, own & ~problem.skips)
    ample = max(float(room.max()), 0.0) + float(units.max())

    width = count + 2  # of a frame: its x, its Q, its z
    place = np.arange(count)
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    low: list[float] = []
    high: list[float] = []

    def constrain(entries: dict[int, float], least: float, most: float) -> None:
        rows.extend([len(low)] * len(entries))
        columns.extend(entries)
        values.extend(entries.values())
        low.append(least)
        high.append(most)

    for t in range(frames):
        x, q, z = t * width, t * width + count, t * width + count + 1
        chosen = {x + int(a): 1.0 for a in place}
        payload = {x + int(a): -float(units[t, a]) for a in place[problem.sends]}
        constrain(chosen, 1, 1)
        constrain({q: 1.0} | payload, 0, np.inf)
        constrain(
            {q: 1.0} | {x + int(a): ample - float(room[t, a]) for a in place[problem.sends]},
            -np.inf,
            ample,
        )
        if t:
            gone = (passed[t] - passed[t - 1]) / scale
            constrain({q: 1.0, q - width: -1.0} | payload, -gone, np.inf)
            moved = {x + int(a): float(a) for a in place}
            moved |= {x - width + int(a): -float(a) for a in place}
            constrain({z: 1.0} | moved, 0, np.inf)
            constrain({z: 1.0} | {k: -v for k, v in moved.items()}, 0, np.inf)
    missed = problem.utility.miss
    gain = np.where(in_time, problem.accuracy, -missed) - problem.price
    cost = np.concatenate([-gain, np.zeros((frames, 1)), np.full((frames, 1), problem.step)], 1)
    upper = np.concatenate([allowed.astype(float), np.full((frames, 2), np.inf)], 1)
    kinds = np.concatenate([np.ones((frames, count)), np.zeros((frames, 2))], 1)
    matrix = coo_array((values, (rows, columns)), shape=(len(low), frames * width))
    found = milp(
        cost.ravel(),
        constraints=LinearConstraint(matrix.tocsr(), low, high),
        bounds=(np.zeros(frames * width), upper.ravel()),
        integrality=kinds.ravel(),
        options={"mip_rel_gap": 0.0, "time_limit": limit_s},
    )
    if found.x is None:
        raise RuntimeError(f"HiGHS found nothing: {found.message}")
    return -float(found.fun), -float(found.mip_dual_bound)
