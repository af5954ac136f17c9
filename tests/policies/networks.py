"""Small networks with made-up weights, as files."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from testbed.policies.features import Features
from testbed.policies.network import Network


def random_network(ladder, *, seed=0, hidden=(8,), activation="tanh", about=None):
    """Return an untrained network for a ladder."""
    rng = np.random.default_rng(seed)
    sizes = [Features(ladder).size, *hidden, len(ladder)]
    layers = tuple(
        (rng.normal(size=(a, b)).astype(np.float32), rng.normal(size=b).astype(np.float32))
        for a, b in pairwise(sizes)
    )
    return Network(layers, activation, tuple(rung.point for rung in ladder), about or {})


def written(folder, network, name="network.safetensors"):
    """Write a network to a file; return its path."""
    path = folder / name
    path.write_bytes(network.bytes())
    return path
