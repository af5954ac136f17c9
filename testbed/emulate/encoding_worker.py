"""The process that runs the encoder of a client: `python -m testbed.emulate.encoding_worker`.

A request is the fixed part of a `FRAME`; what comes back is its size (4) and the payload. A process
of its own, because torch and the client's loop would wait for each other in one interpreter.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from testbed.detectors.pictures import PictureCodec
from testbed.emulate import kernel
from testbed.emulate.bodies import Kind, Request
from testbed.emulate.decoding_live import SIZE, Network, receive
from testbed.model import Mode, OperatingPoint
from testbed.streams import stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PICTURES = 8
"""Distinct ones of a camera without a data set."""


def main() -> None:
    """Load a network, say so, and encode until the client is gone."""
    kernel.die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[1]))
    said = json.loads(sys.argv[2])
    encode = encoder(Network(**said["network"]), said["seed"], said["client"])
    sock.sendall(SIZE.pack(0))
    with suppress(EOFError, ConnectionError):
        while True:
            payload = encode(Request.unpack(receive(sock))[0].point)
            sock.sendall(SIZE.pack(len(payload)) + payload)


def encoder(network: Network, seed: int, client: str) -> Callable[[OperatingPoint], bytes]:
    """Return what encodes the next picture of a client at an operating point.

    For `split` that is the bottleneck, for `offload` the picture itself.
    """
    from testbed.emulate.decoding_worker import load

    pair = load(network)
    seen = pictures(pair.detector.config.side, seed, client)
    PictureCodec("jpeg", 75).encode(next(seen))  # now, so that OpenCV is there when time counts
    seen = pictures(pair.detector.config.side, seed, client)

    def encode(point: OperatingPoint) -> bytes:
        if point.mode is Mode.OFFLOAD:
            return PictureCodec.parse(point.codec).encode(next(seen))
        return pair.encode(next(seen), point)

    return encode


def pictures(side: int, seed: int, client: str) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures for ever, a few drawn ones in turn: coloured rectangles on a grey ground."""
    import numpy as np

    rng = stream(seed, client, "pictures")
    drawn = []
    for _ in range(PICTURES):
        picture = np.full((side, side, 3), rng.integers(60, 200), np.uint8)
        for _ in range(12):
            (top, bottom), (left, right) = np.sort(rng.integers(0, side, (2, 2)), axis=1)
            picture[top : bottom + 1, left : right + 1] = rng.integers(0, 256, 3)
        drawn.append(picture)
    while True:
        yield from drawn


def request(point: OperatingPoint) -> bytes:
    """Return a request as bytes, with its size."""
    body = Request(0, point, Kind.STAND_IN).pack()
    return SIZE.pack(len(body)) + body


def arguments(network: Network, seed: int, client: str) -> str:
    """Return what the process is told when it is started."""
    return json.dumps({"network": asdict(network), "seed": seed, "client": client})


if __name__ == "__main__":
    main()
