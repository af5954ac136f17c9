"""Random numbers that are the same bits on every machine and with every NumPy.

NumPy promises a stable stream for the raw output of a bit generator and for `SeedSequence`, not for
the distributions built on them, and `exp` and `log` differ in their last bit between processors.
So everything here is integers, and float64 by +, -, * and /, which IEEE 754 defines exactly.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Draws:
    """A random stream of its own for each name under one seed.

    Args:
        seed: Non-negative.
        name: What the numbers are for; adding a name leaves the other streams as they are.
    """

    def __init__(self, seed: int, name: str) -> None:
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,)))

    def uniform(self, count: int) -> Floats:
        """Return `count` numbers in [0, 1), multiples of 2^-53."""
        raw = np.atleast_1d(self._bits.random_raw(count))
        numbers: Floats = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return numbers

    def normal(self, count: int) -> Floats:
        """Return `count` numbers of mean 0 and variance 1, nearly normal, within (-6, 6).

        The sum of twelve uniform numbers (Irwin-Hall): its fourth moment is 2.9 instead of 3.
        """
        raw = np.atleast_1d(self._bits.random_raw(12 * count))
        sums = (raw >> np.uint64(24)).astype(np.int64).reshape(count, 12).sum(axis=1)
        # Each draw stands for the middle of its cell of 2^-40, so that the mean is 0.
        numbers: Floats = sums.astype(np.float64) * 2.0**-40 - (6.0 - 6.0 * 2.0**-41)
        return numbers

    def geometric(self, mean: float) -> int:
        """Return a length of 1, 2, 3, ... that is geometric with `mean`, at most 10 000."""
        length = 1
        while length < 10_000 and self.uniform(1)[0] >= 1.0 / mean:
            length += 1
        return length


def share_below(z: Floats) -> Floats:
    """Return Φ(z), the share of a standard normal below z, within 5e-4.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.27: a rational function, hence
    exact arithmetic, where `erf` is not.
    """
    x = np.abs(z) * 0.7071067811865476
    base = 1.0 + x * (0.278393 + x * (0.230389 + x * (0.000972 + x * 0.078108)))
    square = base * base
    tail = 0.5 / (square * square)
    return np.where(z < 0, tail, 1.0 - tail)
