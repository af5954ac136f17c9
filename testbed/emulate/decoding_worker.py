"""The process that runs a decoder for a server: `python -m testbed.emulate.decoding_worker`."""

from __future__ import annotations

import json
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.emulate import kernel
from testbed.emulate.bodies import Status, pack_boxes
from testbed.emulate.decoding import Result
from testbed.emulate.decoding_live import ENDED, FRAME, RESULT, SIZE, Network, receive
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from testbed.detectors.pair import SplitPair


def main() -> None:
    """Load a network, say so, and decode batches until the server is gone."""
    kernel.die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[1]))
    network = Network(**json.loads(sys.argv[2]))
    try:
        pair = load(network)
    except ModuleNotFoundError as error:
        _send(sock, f"lacks decoding needs {error.name}: install the extra `detect`".encode())
        return
    except (TestbedError, ValueError, RuntimeError) as error:
        _send(sock, str(error).encode())
        return
    _send(sock, b"")
    with suppress(EOFError, ConnectionError):
        while True:
            frames = read_batch(receive(sock))
            results = decode(pair, frames)
            ended = ENDED.pack(time.monotonic_ns())
            _send(sock, ended + b"".join(RESULT.pack(r.status, r.parts, len(r.boxes)) + r.boxes
                                         for r in results))  # fmt: skip


def load(network: Network) -> SplitPair:
    """Return both ends of a detector, warm: each width has decoded a black picture."""
    import numpy as np
    import torch

    from testbed.detectors.configurations import find
    from testbed.detectors.outside import load_any
    from testbed.detectors.pair import SplitPair
    from testbed.model import OperatingPoint

    if network.threads is not None:
        torch.set_num_threads(network.threads)
    config = find(network.network) if network.network else None
    detector = load_any(Path(network.weights), config).to(network.device)
    pair = SplitPair(detector)
    side = detector.config.side
    black = np.zeros((side, side, 3), np.uint8)
    for width in detector.config.widths:
        pair.decode(pair.encode(black, OperatingPoint(width)))
    return pair


def read_batch(raw: bytes) -> list[tuple[int, bytes]]:
    """Return the most boxes and the payload of each frame of a batch."""
    (count,) = SIZE.unpack_from(raw)
    place = SIZE.size
    frames: list[tuple[int, bytes]] = []
    for _ in range(count):
        most, length = FRAME.unpack_from(raw, place)
        place += FRAME.size
        frames.append((most, raw[place : place + length]))
        place += length
    return frames


def decode(pair: SplitPair, frames: list[tuple[int, bytes]]) -> list[Result]:
    """Return what is in each frame; those of the same width and shape are decoded together."""
    import torch

    results = [Result(Status.UNDECODABLE)] * len(frames)
    groups: dict[tuple[float, tuple[int, ...]], list[int]] = {}
    unpacked = {}
    for index, (_, payload) in enumerate(frames):
        with suppress(TestbedError):
            values, width, _ = unpacked[index] = pair.unpack(payload)
            groups.setdefault((width, tuple(values.shape)), []).append(index)
    detector = pair.detector
    device = next(detector.parameters()).device
    for (width, _), members in groups.items():
        values = torch.cat([unpacked[index][0] for index in members])
        with torch.inference_mode(), detector.widths.at(width):
            found = detector.detect(values.to(device), [unpacked[i][2] for i in members])
        for index, detections in zip(members, found, strict=True):
            parts, boxes = pack_boxes(detections, frames[index][0])
            results[index] = Result(Status.DECODED, parts, boxes)
    return results


def _send(sock: socket.socket, block: bytes) -> None:
    sock.sendall(SIZE.pack(len(block)) + block)


if __name__ == "__main__":
    main()
