"""The referee of detectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.detections import Detections, Detector
from testbed.detectors.payload import PayloadError
from testbed.errors import UnknownName
from testbed.model import SKIP, OperatingPoint
from testbed.streams import stream

_SIZES = ((64, 64), (60, 110), (120, 50))  # heights and widths of the pictures it is shown


def check_detector(
    make: Callable[[], Detector],
    points: Sequence[OperatingPoint],
    images: Sequence[NDArray[np.uint8]] | None = None,
) -> None:
    """Hold a detector to the promises that engines and recordings rely on.

    The same picture and point give the same bytes, whatever was encoded before, and the picture
    stays as it was; what one object encodes, another of the same weights decodes, to the same
    detections; those are best first, of the right types, finite, and within the picture; a point
    that the detector has not is refused; and bytes that are damaged, cut short, too long or
    somebody else's raise a `PayloadError`.

    Args:
        make: Returns a new object each time, of the same weights.
        points: Operating points that it has, at least one.
        images: Pictures (H, W, 3) in RGB; some made-up ones if None.

    Raises:
        AssertionError: The message says which promise was broken.
    """
    assert points, "name at least one operating point"
    shown = list(images) if images is not None else [_picture(*size) for size in _SIZES]
    device, server = make(), make()
    payloads: dict[tuple[int, OperatingPoint], bytes] = {}
    for index, image in enumerate(shown):
        for point in points:
            before = image.copy()
            payload = device.encode(image, point)
            assert type(payload) is bytes, f"`encode` returns {type(payload).__name__}, not bytes"
            assert payload, "`encode` returns no bytes at all"
            assert np.array_equal(image, before), "`encode` changed the picture"
            payloads[index, point] = payload
            found = server.decode(payload)
            _check_detections(found, image)
            assert _same(found, server.decode(payload)), "the same bytes, other detections"
            own = device.decode(payload)
            assert _same(found, own), "two objects of the same weights decode the same otherwise"
    for (index, point), payload in reversed(payloads.items()):
        again = device.encode(shown[index], point)
        assert again == payload, f"the same picture at {point} gives other bytes after others"
    _check_refusals(device, shown[0], points[0])
    for point in points:
        _check_damage(server, payloads[0, point])


def _picture(height: int, width: int) -> NDArray[np.uint8]:
    rng = stream(0, "check_detector", f"{height}x{width}")
    coarse = rng.integers(0, 256, (height // 10 + 1, width // 10 + 1, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 10, 0), 10, 1)[:height, :width].copy()


def _check_detections(found: Detections, image: NDArray[np.uint8]) -> None:
    assert isinstance(found, Detections), f"`decode` returns a {type(found).__name__}"
    n, (height, width) = len(found.scores), image.shape[:2]
    for name, shape, kind in (("boxes", (n, 4), np.float32), ("scores", (n,), np.float32),
                              ("labels", (n,), np.int64)):  # fmt: skip
        values = getattr(found, name)
        assert values.shape == shape, f"{name} are {values.shape}, not {shape}"
        assert values.dtype == kind, f"{name} are {values.dtype}, not {np.dtype(kind)}"
        assert np.isfinite(values).all(), f"{name} hold a value that is not finite"
    assert ((found.scores >= 0) & (found.scores <= 1)).all(), "a score is not in [0, 1]"
    assert (np.diff(found.scores) <= 0).all(), "detections are not best first"
    assert (found.labels >= 1).all(), "labels count from 1"
    left, top, right, bottom = found.boxes.T
    assert ((left <= right) & (top <= bottom)).all(), "a box ends before it begins"
    inside = (left >= -0.01) & (top >= -0.01) & (right <= width + 0.01) & (bottom <= height + 0.01)
    assert inside.all(), "a box lies outside the picture"
    if found.masks is not None:
        assert found.masks.shape == (n, height, width), "a mask has not the size of the picture"
        assert found.masks.dtype == np.bool_, "masks are not of truth values"


def _same(one: Detections, other: Detections) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(Detections)
        if getattr(one, field.name) is not None or getattr(other, field.name) is not None
    )


def _check_refusals(detector: Detector, image: NDArray[np.uint8], point: OperatingPoint) -> None:
    wrong = [
        SKIP,
        dataclasses.replace(point, width=0.123456789),
        dataclasses.replace(point, bits=3000),
        dataclasses.replace(point, codec="no such codec"),
    ]
    for one in wrong:
        try:
            detector.encode(image, one)
        except (ValueError, UnknownName):
            continue
        raise AssertionError(f"`encode` takes {one}, which no detector has")


def _check_damage(detector: Detector, payload: bytes) -> None:
    rng = stream(0, "check_detector", "damage")
    broken = {"nothing at all": b"", "a picture": b"\xff\xd8\xff\xe0" + bytes(500),
              "more than was sent": payload + b"\0"}  # fmt: skip
    for end in {1, len(payload) // 3, len(payload) - 1}:
        broken[f"the first {end} of {len(payload)} bytes"] = payload[:end]
    for at in sorted({0, len(payload) - 1, *rng.integers(0, len(payload), 12).tolist()}):
        flipped = bytearray(payload)
        flipped[at] ^= 1 << int(rng.integers(8))
        broken[f"one wrong bit in byte {at} of {len(payload)}"] = bytes(flipped)
    for what, damaged in broken.items():
        try:
            detector.decode(damaged)
        except PayloadError:
            continue
        except Exception as error:  # whatever it is, it is the finding
            kind = type(error).__name__
            raise AssertionError(f"{what}: {kind} instead of PayloadError: {error}") from error
        raise AssertionError(f"{what}: decoded as if nothing were wrong")
