"""Weights that come with the testbed, by the name of their network.

They lie in `trained/` beside this module, in half precision; `analysis/scenes/` has the recipes.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from testbed.errors import TestbedError, did_you_mean

SUFFIX = ".safetensors"


def folder() -> Path:
    """Return the folder that holds the shipped weights."""
    return Path(str(resources.files("testbed.detectors") / "trained"))


def names() -> list[str]:
    """Return the networks that have shipped weights, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder().glob("*" + SUFFIX))


def locate(weights: Path) -> Path:
    """Return the file that somebody means: a path, or the name of a network with shipped weights.

    Raise a `TestbedError` if there is neither.
    """
    if weights.is_file():
        return weights
    if len(weights.parts) == 1 and not weights.suffix:
        shipped = folder() / (weights.name + SUFFIX)
        if shipped.is_file():
            return shipped
        hint = did_you_mean(weights.name, names())
        raise TestbedError(f"{weights}: no such file, and no shipped weights of that name{hint}")
    raise TestbedError(f"{weights}: no such file")
