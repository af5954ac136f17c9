"""What paired differences show: intervals, tests, sizes of effects; numpy and nothing random.

Resampling draws from a named stream, so that the same differences give the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from testbed.streams import stream

RESAMPLES = 9999

_EXACT = 14  # so many differences have 16 384 patterns of signs, few enough to try them all


def bca(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the BCa bootstrap interval of the mean.

    Bias-corrected and accelerated: Efron, "Better bootstrap confidence intervals" (JASA 1987).
    Raise a `ValueError` for fewer than two values.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    data = np.asarray(values, float)
    n = len(data)
    if n < 2:
        raise ValueError("an interval needs two values at least")
    mean = float(data.mean())
    if float(np.ptp(data)) == 0.0:
        return mean, mean
    rng = stream(0, "compare", "bca")
    means = np.sort(data[rng.integers(n, size=(resamples, n))].mean(axis=1))
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)) / 2 / resamples
    # All resampled means may lie on one side; their share is then kept off 0 and 1.
    bias = float(ndtri(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples)))
    without = (data.sum() - data) / (n - 1)
    off = without.mean() - without
    acceleration = float((off**3).sum() / (6 * (off**2).sum() ** 1.5))
    bounds = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + float(ndtri(tail))
        share = float(ndtr(bias + z / (1 - acceleration * z)))
        bounds.append(float(np.quantile(means, share)))
    return bounds[0], bounds[1]


def ratio(
    above: Sequence[float],
    below: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float | None, float | None, float | None]:
    """Return Σ above / Σ below over pairs, with its percentile bootstrap interval.

    The ratio of sums, since a ratio per pair would weigh a pair with little below it most. None
    where what is below does not add up to more than 0; no interval for fewer than three pairs, nor
    where it may be 0 or less in a resample.
    """
    import numpy as np

    total = math.fsum(below)
    if total <= 0:
        return None, None, None
    value = math.fsum(above) / total
    n = len(above)
    if n < 3:
        return value, None, None
    picks = stream(0, "compare", "ratio").integers(n, size=(resamples, n))
    tops, bottoms = (np.asarray(side, float)[picks].sum(axis=1) for side in (above, below))
    if (bottoms <= 0).any():
        return value, None, None
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(tops / bottoms, tails).tolist()
    return value, low, high


def sign_flip(differences: Sequence[float], *, resamples: int = RESAMPLES) -> float:
    """Return the two-sided p of a permutation test that flips the signs of paired differences.

    Without an effect each sign is as likely as the other; p is the share of sign patterns whose
    mean is at least as far from 0. All patterns are tried up to 14 differences, random ones beyond
    (then the pattern found counts as one of them: Phipson and Smyth, 2010).
    """
    import numpy as np

    data = np.asarray(differences, float)
    n = len(data)
    if n == 0:
        return 1.0
    if n <= _EXACT:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        extra = 0
    else:
        patterns = stream(0, "compare", "sign-flip").integers(2, size=(resamples, n))
        extra = 1
    means = np.abs(((2 * patterns - 1) * data).sum(axis=1))
    found = abs(float(data.sum()))
    as_far = int(np.count_nonzero(means >= found * (1 - 1e-12)))
    return (as_far + extra) / (len(patterns) + extra)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p values that hold for a family of tests (Holm, 1979)."""
    adjusted: dict[str, float] = {}
    worst = 0.0
    for place, name in enumerate(sorted(p, key=lambda key: (p[key], key))):
        worst = max(worst, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = worst
    return {name: adjusted[name] for name in p}


def effect_size(differences: Sequence[float]) -> float | None:
    """Return Cohen's d of paired differences: mean over deviation; None where it is undefined."""
    deviation = _deviation(differences)
    return None if not deviation else math.fsum(differences) / len(differences) / deviation


def improvement(differences: Sequence[float]) -> float:
    """Return the probability that a pair favours the first side, ties counting half."""
    wins = sum(d > 0 for d in differences) + sum(d == 0 for d in differences) / 2
    return wins / len(differences)


def minimum_detectable(
    differences: Sequence[float], *, confidence: float = 0.95, power: float = 0.8
) -> float | None:
    """Return the least mean difference that as many pairs, as scattered, would show.

    With probability `power`, at `confidence`: (t₁₋α/₂ + t_power) · deviation / √n. None for fewer
    than two pairs.
    """
    from scipy.special import stdtrit

    deviation, n = _deviation(differences), len(differences)
    if deviation is None:
        return None
    quantiles = stdtrit(n - 1, (1 + confidence) / 2) + stdtrit(n - 1, power)
    return float(quantiles) * deviation / math.sqrt(n)


def worst_mean(values: Sequence[float], *, share: float = 0.1, higher: bool = True) -> float:
    """Return the mean of the worst `share` of the values, of one at least."""
    ordered = sorted(values, reverse=not higher)
    count = max(1, math.ceil(share * len(ordered) - 1e-9))
    return math.fsum(ordered[:count]) / count


def _deviation(values: Sequence[float]) -> float | None:
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
