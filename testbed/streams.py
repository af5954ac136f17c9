"""Random numbers: one seed per run, one branch for each use.

A branch is named, not counted: adding a client or changing a policy changes no other draw.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of the branch that `names` lead to, for example client and purpose.

    The names enter the spawn key of a `numpy.random.SeedSequence` as 128-bit digests.
    """
    import numpy as np

    key: list[int] = []
    for name in names:
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        key += [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def jitter(rng: np.random.Generator, cv: float, count: int) -> list[float]:
    """Draw `count` lognormal factors of mean 1 and coefficient of variation `cv`."""
    variance = math.log1p(cv * cv)
    factors: list[float] = rng.lognormal(-variance / 2, math.sqrt(variance), count).tolist()
    return factors
