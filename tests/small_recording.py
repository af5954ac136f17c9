"""A recording of six frames whose every number can be worked out by hand."""

from __future__ import annotations

import numpy as np

from testbed.detectors.answers import Answers
from testbed.detectors.recording import RecordedPoint, load
from testbed.detectors.recording_file import write
from testbed.metrics.boxes import Truth
from testbed.model import LOCAL, Mode, OperatingPoint

FRAMES = 6
NARROW = OperatingPoint(0.5, 4, "zstd")
WIDE = OperatingPoint(1.0, 8)
OFFLOAD = OperatingPoint(1.0, 0, "jpeg-75", Mode.OFFLOAD)

SIZES = {  # bytes of each frame
    NARROW: (100, 120, 90, 110, 130, 110),
    WIDE: (1000, 1000, 1000, 1000, 1000, 1000),
    LOCAL: (0, 0, 0, 0, 0, 0),
    OFFLOAD: (5000, 4000, 6000, 5000, 5000, 5000),
}
MAPS = {NARROW: 0.25, WIDE: 0.5, LOCAL: 0.625, OFFLOAD: 0.5625}
MACS = {
    NARROW: (60_000_000, 5_000_000, 900_000_000),
    WIDE: (100_000_000, 10_000_000, 1_000_000_000),
    LOCAL: (1_200_000_000, 0, 0),
    OFFLOAD: (8_000_000, 0, 1_200_000_000),
}


def answers(shift):
    """A box a frame, at the true place plus `shift` sixteenths of a pixel; none in the last."""
    left = 16 * 10 * np.arange(FRAMES - 1) + shift
    edges = np.stack([left, 0 * left + 160, left + 320, 0 * left + 480], axis=1)
    offsets = np.minimum(np.arange(FRAMES + 1), FRAMES - 1)
    return Answers(offsets, edges, np.full(FRAMES - 1, 2), np.full(FRAMES - 1, 65_535 // 3))


def truth():
    """A box a frame that moves 10 pixels a frame to the right; the last frame has a crowd."""
    x = 10.0 * np.arange(FRAMES)
    xywh = np.stack([x, x * 0 + 10, x * 0 + 20, x * 0 + 20], axis=1)
    crowd = np.arange(FRAMES) == FRAMES - 1
    ones = np.ones(FRAMES, np.int64)
    sequence = np.array([0, 0, 0, 0, 1, 1])
    return Truth(
        np.arange(FRAMES + 1), xywh, 2 * ones, 400.0 * ones, crowd, 7 * ones, sequence, ("", "car")
    )


def write_recording(folder, **changes):
    """Write the recording, with some entries of its header changed; return it."""
    header = {
        "id": "1" * 64,
        "network": "tiny-d0-bw",
        "side": 128,
        "teacher": "tiny-d0",
        "weights": {"detector": "2" * 64, "teacher": "3" * 64},
        "dataset": {
            "name": "road/val", "sha256": "4" * 64, "frames": FRAMES, "fps": 30.0,
            "size": [96, 128], "sequences": [["a", 4], ["b", 2]],
        },
        "categories": ["", "car"],
        "configurable": True,
        "settings": {"scheme": "channel"},
    } | changes  # fmt: skip
    points = [
        RecordedPoint(point, place, sum(sizes) / FRAMES, MAPS[point], 0.75, *MACS[point])
        for place, (point, sizes) in enumerate(SIZES.items())
    ]
    write(
        folder,
        header,
        points,
        np.array(list(SIZES.values())),
        np.full((len(SIZES), FRAMES), 0.5),
        [answers(shift) for shift in range(len(SIZES))],
        truth(),
    )
    return load(folder)
