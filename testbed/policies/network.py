"""A small network in one file, read and run with numpy alone.

The file is a safetensors file: eight bytes of length, a header in JSON, the arrays. Nothing in it
is ever executed. Its metadata say what the network is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.model import Ladder, Mode, OperatingPoint
from testbed.policies.features import VERSION, Vector

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024

Activation = Literal["tanh", "relu"]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """Scores for the points of a ladder: layers with an activation between them.

    Args:
        layers: Weight (in, out) and bias (out,) of each layer, from the input on.
        activation: Between two layers, not after the last.
        points: What the scores are of, in the order of the ladder.
        about: Anything else that is worth knowing, as text.
    """

    layers: tuple[tuple[Array, Array], ...]
    activation: Activation
    points: tuple[OperatingPoint, ...]
    about: Mapping[str, str]

    def scores(self, x: Vector) -> Array:
        """Return a score for each point, (points,), for one observation, (features,)."""
        last = len(self.layers) - 1
        for place, (weight, bias) in enumerate(self.layers):
            x = x @ weight + bias
            if place < last:
                x = np.tanh(x) if self.activation == "tanh" else np.maximum(x, np.float32(0))
        return x

    def best(self, x: Vector) -> int:
        """Return the place of the point with the highest score; of equal ones the first."""
        return int(self.scores(x).argmax())

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if the network is not for this ladder."""
        points = tuple(rung.point for rung in ladder)
        if points != self.points:
            ours = "; ".join(map(str, self.points))
            theirs = "; ".join(map(str, points))
            raise ValueError(f"model was trained for the ladder {ours}; this one has {theirs}")

    def bytes(self) -> bytes:
        """Return the file; the same network gives the same bytes."""
        header: dict[str, Any] = {
            "__metadata__": {
                "format": str(FORMAT),
                "features": str(VERSION),
                "activation": self.activation,
                "points": json.dumps([[p.width, p.bits, p.codec, p.mode] for p in self.points]),
                **self.about,
            }
        }
        blobs: list[bytes] = []
        offset = 0
        for place, layer in enumerate(self.layers):
            for name, array in zip(("weight", "bias"), layer, strict=True):
                blob = np.ascontiguousarray(array, "<f4").tobytes()
                header[f"{place}.{name}"] = {
                    "dtype": "F32",
                    "shape": list(array.shape),
                    "data_offsets": [offset, offset + len(blob)],
                }
                blobs.append(blob)
                offset += len(blob)
        text = json.dumps(header, sort_keys=True).encode()
        text += b" " * (-len(text) % 8)
        return b"".join([len(text).to_bytes(8, "little"), text, *blobs])


def read(path: Path) -> Network:
    """Return the network of a file. Raise a `ValueError` that says why it cannot be used."""
    with path.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    try:
        return _parse(content)
    except _Unfit as error:
        raise ValueError(f"model {path.name}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"model {path.name}: not a network that `testbed train-policy` wrote: {error}"
        ) from None


class _Unfit(Exception):
    pass


def _parse(content: bytes) -> Network:
    if len(content) > MAX_BYTES:
        raise _Unfit(f"larger than a network may be ({MAX_BYTES // 2**20} MiB)")
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = dict(header.pop("__metadata__"))
    if (found := about.pop("format")) != str(FORMAT):
        raise _Unfit(f"written in format {found}; this version reads {FORMAT}")
    if (found := about.pop("features")) != str(VERSION):
        raise _Unfit(f"was trained on features of version {found}; this version has {VERSION}")
    arrays: dict[str, Array] = {}
    for name, entry in header.items():
        start, end = (8 + length + int(at) for at in entry["data_offsets"])
        if entry["dtype"] != "F32" or not 8 + length <= start <= end <= len(content):
            raise _Unfit(f"the array {name} is not whole")
        flat = np.frombuffer(content[start:end], "<f4").astype(np.float32)
        arrays[name] = flat.reshape(entry["shape"])
        if not np.isfinite(flat).all():
            raise _Unfit(f"the array {name} has values that are not finite")
    layers = tuple((arrays[f"{k}.weight"], arrays[f"{k}.bias"]) for k in range(len(arrays) // 2))
    points = tuple(
        OperatingPoint(float(width), int(bits), str(codec), Mode(mode))
        for width, bits, codec, mode in json.loads(about.pop("points"))
    )
    activation = about.pop("activation")
    if activation not in ("tanh", "relu"):
        raise _Unfit(f"has the activation {activation}; known: tanh, relu")
    sizes = [weight.shape[0] for weight, _ in layers] + [len(points)]
    for (weight, bias), size in zip(layers, sizes[1:], strict=True):
        if weight.shape[1] != size or bias.shape != (size,):
            raise _Unfit("its layers do not fit each other, or the points it is for")
    if not layers:
        raise _Unfit("has no layers")
    return Network(layers, activation, points, about)
