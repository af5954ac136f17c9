"""The process that runs a decoder for a server: `python -m testbed.emulate.decoding_worker`."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.emulate import kernel
from testbed.emulate.bodies import Kind, Status, pack_boxes
from testbed.emulate.decoding import Result
from testbed.emulate.decoding_live import ENDED, FRAME, RESULT, SIZE, Network, receive
from testbed.errors import EnvironmentLacks, TestbedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from testbed.detectors.detections import Detections
    from testbed.detectors.pair import SplitPair
    from testbed.detectors.split import SplitDetector

MOST_PIXELS = 1 << 25
"""Of a picture; one of 4000000 bytes may claim a hundred times as many."""


def main() -> None:
    """Load a network, say so, and decode batches until the server is gone."""
    kernel.die_with_parent()
    sock = socket.socket(fileno=int(sys.argv[1]))
    network = Network(**json.loads(sys.argv[2]))
    try:
        pair = load(network)
        teacher = load_teacher(network)
    except ModuleNotFoundError as error:
        _send(sock, f"lacks decoding needs {error.name}: install the extra `detect`".encode())
        return
    except EnvironmentLacks as error:
        _send(sock, f"lacks {error}".encode())
        return
    except (TestbedError, ValueError, RuntimeError) as error:
        _send(sock, str(error).encode())
        return
    _send(sock, b"")
    with suppress(EOFError, ConnectionError):
        while True:
            frames = read_batch(receive(sock))
            results = decode(pair, frames, teacher)
            ended = ENDED.pack(time.monotonic_ns())
            _send(sock, ended + b"".join(RESULT.pack(r.status, r.parts, len(r.boxes)) + r.boxes
                                         for r in results))  # fmt: skip


def load(network: Network) -> SplitPair:
    """Return both ends of a detector, warm: each width has decoded a black picture."""
    import numpy as np
    import torch

    from testbed.detectors.accelerator import device_of
    from testbed.detectors.configurations import find
    from testbed.detectors.outside import load_any
    from testbed.detectors.pair import SplitPair
    from testbed.model import OperatingPoint

    if network.threads is not None:
        torch.set_num_threads(network.threads)
    device = device_of(network.device)
    config = find(network.network) if network.network else None
    detector = load_any(Path(network.weights), config).to(device)
    pair = SplitPair(detector)
    side = detector.config.side
    black = np.zeros((side, side, 3), np.uint8)
    for width in detector.config.widths:
        pair.decode(pair.encode(black, OperatingPoint(width)))
    return pair


def load_teacher(network: Network) -> SplitDetector | None:
    """Return the network for whole pictures, if there is one, warm."""
    import numpy as np

    if network.teacher is None:
        return None
    import cv2  # noqa: F401 - now, so that it is missed before the server says it serves

    from testbed.detectors.outside import load_any

    teacher = load_any(Path(network.teacher), None).to(network.device)
    teacher.eval()
    side = teacher.config.side
    look(teacher, np.zeros((side, side, 3), np.uint8))
    return teacher


def look(teacher: SplitDetector, image: NDArray[np.uint8]) -> Detections:
    """Return what a network that is run whole, at full width and unquantised, finds in a picture.

    Args:
        teacher: Any split network.
        image: (H, W, 3) in RGB.
    """
    import torch

    x, fit = teacher.prepare(image)
    x = x[None].to(next(teacher.parameters()).device)
    with torch.inference_mode(), teacher.widths.at(1.0):
        return teacher.detect(teacher.bottleneck(x), [fit])[0]


def picture(data: bytes) -> NDArray[np.uint8] | None:
    """Return the picture in a file, (H, W, 3) in RGB; None if it holds none that is small enough.

    OpenCV refuses more than `MOST_PIXELS` by the file's header, before it takes their memory.
    """
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MOST_PIXELS)  # read at the first picture
    import cv2
    import numpy as np

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.ascontiguousarray(image[:, :, ::-1], np.uint8)


def read_batch(raw: bytes) -> list[tuple[Kind, int, bytes]]:
    """Return the kind, the most boxes and the payload of each frame of a batch."""
    (count,) = SIZE.unpack_from(raw)
    place = SIZE.size
    frames: list[tuple[Kind, int, bytes]] = []
    for _ in range(count):
        kind, most, length = FRAME.unpack_from(raw, place)
        place += FRAME.size
        frames.append((Kind(kind), most, raw[place : place + length]))
        place += length
    return frames


def decode(
    pair: SplitPair, frames: list[tuple[Kind, int, bytes]], teacher: SplitDetector | None = None
) -> list[Result]:
    """Return what is in each frame.

    Bottlenecks of the same width and shape are decoded together, pictures one by one.
    """
    import torch

    results = [Result(Status.UNDECODABLE)] * len(frames)
    groups: dict[tuple[float, tuple[int, ...]], list[int]] = {}
    unpacked = {}
    for index, (kind, most, payload) in enumerate(frames):
        if kind is Kind.PICTURE:
            image = picture(payload)
            if teacher is not None and image is not None:
                results[index] = Result(Status.DECODED, *pack_boxes(look(teacher, image), most))
            continue
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
            parts, boxes = pack_boxes(detections, frames[index][1])
            results[index] = Result(Status.DECODED, parts, boxes)
    return results


def _send(sock: socket.socket, block: bytes) -> None:
    sock.sendall(SIZE.pack(len(block)) + block)


if __name__ == "__main__":
    main()
