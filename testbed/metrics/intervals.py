"""From one figure per seed to a mean with an interval, and from there to JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypedDict

CONFIDENCE = 0.95


class Interval(TypedDict):
    """A mean over seeds as `summary.json` holds it.

    `value` is `"inf"` where it is infinite and None where it is undefined; `low` and `high` are
    None unless two seeds or more give finite figures; `n` counts the seeds with a defined figure.
    """

    value: float | str | None
    low: float | None
    high: float | None
    n: int


def interval(
    values: Iterable[float],
    *,
    confidence: float = CONFIDENCE,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return mean and two-sided Student-t interval of `values`.

    NaNs are left out. The interval is cut at `within`, the values that are possible at all.
    """
    defined = [v for v in values if not math.isnan(v)]
    n = len(defined)
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    if not all(map(math.isfinite, defined)):
        total = sum(v for v in defined if math.isinf(v))  # inf - inf is undefined: NaN
        return {"value": number(total), "low": None, "high": None, "n": n}
    mean = math.fsum(defined) / n
    if n == 1:
        return {"value": rounded(mean), "low": None, "high": None, "n": n}
    from scipy.special import stdtrit

    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in defined) / (n - 1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    low, high = max(mean - half, within[0]), min(mean + half, within[1])
    return {"value": rounded(mean), "low": rounded(low), "high": rounded(high), "n": n}


def number(value: float) -> float | str | None:
    """Return what stands for `value` in JSON: 12 significant digits, `"inf"`, or None for NaN."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return rounded(value)


def rounded(value: float) -> float:
    """Return a finite value to 12 significant digits, so that machines agree to the last one."""
    return float(f"{value:.12g}") + 0.0  # + 0.0: no negative zero
