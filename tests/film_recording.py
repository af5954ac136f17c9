"""A recording of some short clips, found well or badly depending on the operating point."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from testbed.detectors.answers import written
from testbed.detectors.recording import RecordedPoint, Recording, load
from testbed.detectors.recording_file import Answers, write
from testbed.metrics.boxes import Truth
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.precision import average_precision
from testbed.metrics.proxy import best_threshold, frame_f1
from testbed.model import LOCAL, Mode, OperatingPoint

POINTS = {  # bytes, how far boxes are off in parts of their size, device MACs
    OperatingPoint(0.25, 8): (2_000, 0.14, 20_000_000),
    OperatingPoint(0.25, 4): (1_000, 0.19, 20_000_000),
    OperatingPoint(1.0, 8): (30_000, 0.03, 60_000_000),
    OperatingPoint(1.0, 4): (15_000, 0.05, 60_000_000),
    OperatingPoint(1.0, 0, "jpeg-30", Mode.OFFLOAD): (9_000, 0.06, 2_000_000),
    OperatingPoint(1.0, 0, "jpeg-90", Mode.OFFLOAD): (45_000, 0.01, 2_000_000),
    LOCAL: (0, 0.01, 900_000_000),
}


def objects(clips: int, length: int, rng: np.random.Generator) -> Truth:
    """Five objects a clip that drift; the last of them is a crowd."""
    frames = clips * length
    side = np.exp(rng.uniform(np.log(16), np.log(140), (clips, 1, 5, 2)))
    start, pace = rng.uniform(0, 200, (clips, 1, 5, 2)), rng.normal(0, 2.5, (clips, 1, 5, 2))
    corner = start + pace * np.arange(length)[None, :, None, None]
    corner = np.round(corner * 4) / 4
    xywh = np.concatenate((corner, np.broadcast_to(np.round(side), corner.shape)), axis=3)
    xywh = xywh.reshape(-1, 4)
    return Truth(
        np.arange(frames + 1) * 5,
        xywh,
        np.tile([1, 2, 3, 1, 2], frames),
        xywh[:, 2] * xywh[:, 3],
        np.tile([False] * 4 + [True], frames),
        np.tile(np.arange(5), frames),
        np.repeat(np.arange(clips), length),
        ("disc", "square", "star"),
    )


def found_in(truth: Truth, off: float, rng: np.random.Generator) -> Answers:
    """Every object where it is but for `off`, and two wrong boxes a frame."""
    frames = len(truth)
    xywh = truth.xywh.reshape(frames, 5, 4)
    near = xywh + rng.normal(0, off, xywh.shape) * np.tile(xywh[..., 2:], 2)
    junk = rng.uniform(10, 90, (frames, 2, 4))
    boxes = np.concatenate((near, junk), axis=1)
    boxes[..., 2:] = boxes[..., :2] + np.maximum(boxes[..., 2:], 2)
    label = np.concatenate((truth.label.reshape(frames, 5), rng.integers(1, 4, (frames, 2))), 1)
    score = np.concatenate((rng.beta(5, 2, (frames, 5)), rng.beta(2, 5, (frames, 2))), axis=1)
    order = np.argsort(-score, axis=1, kind="stable")
    boxes = np.take_along_axis(boxes, order[..., None], axis=1).reshape(-1, 4)
    edges, levels = zip(
        *(
            written(boxes[7 * k : 7 * k + 7], np.take_along_axis(score, order, 1)[k])
            for k in range(frames)
        ),
        strict=True,
    )
    label = np.take_along_axis(label, order, axis=1).reshape(-1)
    return Answers(np.arange(frames + 1) * 7, np.concatenate(edges), label, np.concatenate(levels))


def film_recording(folder: Path, clips: int = 4, length: int = 30, **changes) -> Recording:
    """Write the recording, with some entries of its header changed; return it."""
    rng = np.random.default_rng(17)
    truth = objects(clips, length, rng)
    frames = len(truth)
    answers = [found_in(truth, off, rng) for _, off, _ in POINTS.values()]
    matches = [_matches(truth, one) for one in answers]
    threshold = best_threshold(matches[-1])
    means = [size for size, _, _ in POINTS.values()]
    sizes = [rng.integers(mean * 9 // 10, mean * 11 // 10 + 1, frames) for mean in means]
    points = [
        RecordedPoint(point, place, float(size.mean()), **_maps(one), **_macs(point, mac))
        for place, (size, one, (point, (_, _, mac))) in enumerate(
            zip(sizes, matches, POINTS.items(), strict=True)
        )
    ]
    header = {
        "id": "1" * 64,
        "network": "tiny-d0-bw",
        "side": 256,
        "teacher": "tiny-d0",
        "weights": {"detector": "2" * 64, "teacher": "3" * 64},
        "dataset": {
            "name": "drift/val", "sha256": "4" * 64, "frames": frames, "fps": 10.0,
            "size": [256, 256], "sequences": [[f"clip-{c}", length] for c in range(clips)],
        },
        "categories": list(truth.categories),
        "configurable": True,
        "settings": {"scheme": "channel"},
    } | changes  # fmt: skip
    quality = np.array([frame_f1(one, threshold) for one in matches])
    write(folder, header, points, np.array(sizes), quality, answers, truth)
    return load(folder)


def _matches(truth: Truth, answers: Answers):
    from testbed.detectors.answers import read_back
    from testbed.metrics.boxes import Found

    xywh, score = read_back(answers.edges, answers.score)
    frames = np.arange(len(truth))
    found = Found(answers.offsets, xywh, answers.label, score)
    return Evaluator(truth, [found]).matches(frames, frames * 0, frames)


def _maps(matches) -> dict[str, float]:
    figures = average_precision(matches)
    return {"map": figures["map"], "map50": figures["map50"]}


def _macs(point: OperatingPoint, mac: int) -> dict[str, int]:
    server = 0 if point.mode is Mode.LOCAL else 900_000_000
    return {"encoder_mac": mac, "compressor_mac": 0, "decoder_mac": server}
