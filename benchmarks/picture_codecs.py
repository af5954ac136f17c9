"""What JPEG and WebP take per pixel, in multiply-accumulates of a detector's encoder.

One thread, the first quartile of repetitions. `testbed.evaluation.offload.MAC_PER_PIXEL` holds what
this printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from testbed.detectors.configurations import find
from testbed.detectors.deploy import EagerEncoder
from testbed.detectors.macs import count_detector
from testbed.detectors.pictures import PictureCodec
from testbed.detectors.split import build

SIDE = 512
NETWORK = "efficientdet-d2-bw"


def quartile_ns(work: Callable[[], object], repetitions: int) -> int:
    work()
    spent = []
    for _ in range(repetitions):
        start = time.perf_counter_ns()
        work()
        spent.append(time.perf_counter_ns() - start)
    return sorted(spent)[len(spent) // 4]


def main(path: str) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    image = cv2.imread(path) if Path(path).is_file() else None
    if image is None:
        sys.exit(f"{path}: no picture that can be read")
    image = np.ascontiguousarray(cv2.resize(image, (SIDE, SIDE))[:, :, ::-1], np.uint8)
    detector = build(replace(find(NETWORK), side=SIDE))
    counts = count_detector(detector, decoder=False)
    mac = sum(one.mac for one in counts if one.width == 1.0)
    encoder, x = EagerEncoder(detector), torch.zeros(1, 3, SIDE, SIDE)
    mac_per_ns = mac / quartile_ns(lambda: encoder.bottleneck(x, 1.0), 10)
    print(f"{NETWORK}: {mac_per_ns:.1f} multiply-accumulates a nanosecond")
    for kind, repetitions in (("jpeg", 60), ("webp", 12)):
        for quality in (30, 50, 75, 90):
            codec = PictureCodec(kind, quality)
            ns = quartile_ns(lambda codec=codec: codec.encode(image), repetitions) / SIDE**2
            print(f"{codec}: {ns:.2f} ns a pixel, {ns * mac_per_ns:.0f} multiply-accumulates")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/picture_codecs.py PICTURE")
    main(sys.argv[1])
