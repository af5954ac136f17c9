"""The referee of detectors passes ours and names what is wrong with a broken one."""

from __future__ import annotations

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from testbed.detectors.detections import Detections
from testbed.detectors.payload import PayloadError
from testbed.model import Mode, OperatingPoint
from testbed.testing import check_detector

POINTS = [OperatingPoint(0.5, 8), OperatingPoint(1.0, 8)]


class Brightest:
    """The smallest detector there is: one box, around the brightest pixel, in 16 bytes."""

    widths = (0.5, 1.0)

    def encode(self, image, point):
        if point.mode is not Mode.SPLIT or point.width not in self.widths:
            raise ValueError(f"no such point: {point}")
        if (point.bits, point.codec) != (8, "raw"):
            raise ValueError(f"no such point: {point}")
        y, x = divmod(int(image.sum(2, dtype=np.int64).argmax()), image.shape[1])
        body = struct.pack("<HHd", x, y, point.width)
        return body + struct.pack("<I", zlib.crc32(body))

    def decode(self, payload):
        if len(payload) != 16 or zlib.crc32(payload[:12]) != struct.unpack("<I", payload[12:])[0]:
            raise PayloadError("not one of ours")
        x, y, score = struct.unpack("<HHd", payload[:12])
        boxes = np.array([[x, y, x + 1, y + 1]], np.float32)
        return Detections(boxes, np.array([score], np.float32), np.array([1], np.int64))


def test_a_detector_of_one_box_passes():
    check_detector(Brightest, POINTS)


def changed(**fields):
    """A detector that decodes otherwise."""

    class Changed(Brightest):
        def decode(self, payload):
            found = super().decode(payload)
            return dataclasses.replace(found, **{k: f(found) for k, f in fields.items()})

    return Changed


class Counting(Brightest):
    def __init__(self):
        self.seen = 0

    def encode(self, image, point):
        self.seen += 1
        payload = super().encode(image, point)
        body = payload[:2] + bytes([self.seen % 64, 0]) + payload[4:12]
        return body + struct.pack("<I", zlib.crc32(body))

    def decode(self, payload):
        found = super().decode(payload)
        return dataclasses.replace(found, boxes=found.boxes * 0)


class Painting(Brightest):
    def encode(self, image, point):
        payload = super().encode(image, point)
        image[0, 0] ^= 1
        return payload


class Remembering(Brightest):
    """Its bytes are not enough to decode them."""

    last = 1.0

    def encode(self, image, point):
        payload = super().encode(image, point)
        self.last = point.width / 2
        return payload

    def decode(self, payload):
        found = super().decode(payload)
        return dataclasses.replace(found, scores=np.full(1, self.last, np.float32))


class Trusting(Brightest):
    def decode(self, payload):
        payload = payload[:12].ljust(12, b"\0")
        return super().decode(payload + struct.pack("<I", zlib.crc32(payload)))


class Crashing(Brightest):
    def decode(self, payload):
        struct.unpack("<HHdI", payload)
        return super().decode(payload)


class Obliging(Brightest):
    def encode(self, image, point):
        return super().encode(image, POINTS[0])


class Bytearrays(Brightest):
    def encode(self, image, point):
        return bytearray(super().encode(image, point))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Bytearrays, "bytearray, not bytes"),
        (Painting, "changed the picture"),
        (Remembering, "decode the same otherwise"),
        (Counting, "other bytes after others"),
        (Obliging, "which no detector has"),
        (Trusting, "decoded as if nothing were wrong"),
        (Crashing, "error instead of PayloadError"),
        (changed(boxes=lambda f: f.boxes[:, [2, 1, 0, 3]]), "ends before it begins"),
        (changed(boxes=lambda f: f.boxes + 1000), "outside the picture"),
        (changed(boxes=lambda f: f.boxes.astype(float)), "boxes are float64, not float32"),
        (changed(boxes=lambda f: f.boxes[0]), r"boxes are \(4,\), not \(1, 4\)"),
        (changed(scores=lambda f: f.scores * np.float32(np.nan)), "not finite"),
        (changed(scores=lambda f: f.scores * 3), r"not in \[0, 1\]"),
        (changed(labels=lambda f: f.labels - 1), "count from 1"),
        (changed(masks=lambda f: np.zeros((1, 2, 2), bool)), "not the size of the picture"),
    ],
)
def test_a_broken_promise_is_named(make, message):
    with pytest.raises(AssertionError, match=message):
        check_detector(make, POINTS)


def test_two_boxes_in_the_wrong_order_are_noticed():
    def twice(found):
        return {
            "boxes": np.repeat(found.boxes, 2, 0),
            "scores": np.array([0.1, 0.9], np.float32),
            "labels": np.repeat(found.labels, 2),
        }

    class Unsorted(Brightest):
        def decode(self, payload):
            return Detections(**twice(super().decode(payload)))

    with pytest.raises(AssertionError, match="not best first"):
        check_detector(Unsorted, POINTS)


def test_a_detector_without_points_cannot_be_checked():
    with pytest.raises(AssertionError, match="at least one operating point"):
        check_detector(Brightest, [])


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def eager(config):
    """Return what makes pairs of that network, in which everything is possible and nothing sure."""
    torch = pytest.importorskip("torch", reason="needs the extra `detect`")
    pytest.importorskip("effdet", reason="needs the extra `detect`")
    from testbed.detectors.pair import SplitPair
    from testbed.detectors.split import build

    detector = build(config)
    if config.family == "efficientdet":
        detector.decoder.class_net.predict.conv_pw.bias.data.fill_(0.0)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in detector.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return lambda **options: SplitPair(detector, **options)


def test_a_split_efficientdet_keeps_every_promise():
    pytest.importorskip("constriction", reason="needs the extra `detect`")
    from testbed.detectors.configurations import find

    points = [
        OperatingPoint(0.25, 3, "range"),
        OperatingPoint(1.0, 8),
        OperatingPoint(0.5, 4, "zstd"),
    ]
    check_detector(eager(find("tiny-d0-cp")), points)


@pytest.mark.parametrize("compressor", ["stack", "drop-magnitude"])
def test_other_compressors_keep_every_promise(compressor):
    from testbed.detectors.configurations import SplitConfig

    config = SplitConfig(
        name="t", kind="fixed", channels=6, compressor=compressor, side=128, coefficient=0,
        channel_multiplier=0.5, fpn_channels=32, fpn_cells=2, classes=4,
    )  # fmt: skip
    check_detector(eager(config), [OperatingPoint(1.0, 5)], [picture(60, 110)])


@pytest.mark.parametrize(
    "family", ["faster-rcnn", pytest.param("mask-rcnn", marks=pytest.mark.slow)]
)
def test_a_split_rcnn_keeps_every_promise(family):
    from testbed.detectors.configurations import SplitConfig

    config = SplitConfig(
        name="t", family=family, kind="bw", channels=12, compressor="stack", side=64, classes=3,
        widths=(0.25, 1.0),
    )  # fmt: skip
    check_detector(eager(config), [OperatingPoint(0.25, 8)], [picture(60, 110)])
