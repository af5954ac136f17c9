"""Weights: our own files, and networks that others trained.

Nothing is downloaded here. The libraries' files are fetched by the user, and verified by the start
of their SHA-256, which their publishers put into the file names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from testbed.detectors.configurations import SplitConfig
from testbed.detectors.shipped import locate
from testbed.detectors.split import SplitDetector, build
from testbed.errors import TestbedError


class WeightsError(TestbedError):
    """A file of weights is missing, damaged, or of another network."""


def save(
    detector: SplitDetector, path: Path, *, half: bool = False, base: Path | None = None
) -> None:
    """Write a network, with its shape, as safetensors; in one step, so that no half is left.

    Args:
        detector: The network.
        path: The file.
        half: Whether numbers are stored in 16 bits, for passing on; they are read back as 32.
        base: A file in the same folder. What stands there alike is left out: a student whose
            decoder was frozen needs its encoder and bottleneck only, a tenth of the bytes.
    """
    from safetensors.torch import load_file, save_file

    state = {key: value.contiguous() for key, value in detector.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    metadata = {"config": json.dumps(asdict(detector.config))}
    if base is not None:
        known = load_file(str(base))
        state = {
            key: value
            for key, value in state.items()
            if key not in known or known[key].dtype != value.dtype or not known[key].equal(value)
        }
        metadata["base"] = json.dumps({"file": base.name, "sha256": sha256_of(base)})
    temporary = path.with_name(path.name + ".part")
    save_file(state, str(temporary), metadata)
    temporary.replace(path)


def load(path: Path) -> SplitDetector:
    """Return the network that `save` wrote, or a shipped one by name.

    Raise a `WeightsError` if the file holds none, a `TestbedError` if there is no file.
    """
    path = locate(path)
    state, metadata = _read(path)
    if "config" not in metadata:
        raise WeightsError(f"{path}: says of no network what it is; `testbed train` writes that")
    try:
        fields = json.loads(metadata["config"])
        config = SplitConfig(**fields | {"widths": tuple(fields["widths"])})
    except (TypeError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: describes no network of this version: {error}") from error
    detector = build(config)
    if "base" in metadata:
        own = detector.state_dict()
        state = {k: v for k, v in _base(path, metadata["base"]).items() if k in own} | state
    fill(detector, state, path)
    return detector


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file of ours and what it says of itself."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f"{path}: no safetensors file: {error}") from error


def _base(path: Path, described: str) -> dict[str, Tensor]:
    """Return the tensors of the file that a file builds on, which lies beside it."""
    try:
        named = json.loads(described)
        base, expected = path.parent / Path(named["file"]).name, named["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: does not say what it builds on: {error}") from error
    if not base.is_file():
        raise WeightsError(f"{path}: builds on {base.name}, which does not lie beside it")
    if sha256_of(base) != expected:
        raise WeightsError(f"{path}: builds on another {base.name} than the one beside it")
    return _read(base)[0]


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fill(module: torch.nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Load a state exactly. Raise a `WeightsError` that names what is missing, new or misshapen."""
    own = module.state_dict()
    problems = [f"lacks {key}" for key in own if key not in state]
    problems += [f"has {key}, which the network has not" for key in state if key not in own]
    problems += [
        f"{key} is {tuple(state[key].shape)} where the network has {tuple(own[key].shape)}"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise WeightsError(f"{source}: {'; '.join(problems[:5])}{more}")
    module.load_state_dict(dict(state))


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of another project, `.pth` or safetensors.

    A hash at the end of the file's name (`…-8107aa99.pth`) must be the start of its SHA-256.
    Nothing is unpickled but tensors and plain values. Raise a `WeightsError` otherwise.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if named := re.search(r"-([0-9a-f]{8,64})\.\w+$", path.name):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not digest.startswith(named[1]):
            raise WeightsError(f"{path}: damaged: its SHA-256 is {digest[:8]}…, not {named[1]}…")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(str(path)))
    try:
        # Beside its weights, a checkpoint of GHND and of the paper keeps its command line.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: no file of tensors: {error}") from error
    for key in ("state_dict_ema", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors")
    return tensors
