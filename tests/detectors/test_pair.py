"""Pictures to bytes to boxes: exact sizes, two processes, and bytes of no sense."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("constriction", reason="needs the extra `detect`")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from testbed.detectors import entropy  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.detections import Fit  # noqa: E402
from testbed.detectors.pair import SplitPair  # noqa: E402
from testbed.detectors.payload import HEADER_BYTES, PayloadError, overhead_bytes  # noqa: E402
from testbed.detectors.quantise import Scheme, packed_bytes  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import UnknownName  # noqa: E402
from testbed.model import SKIP, OperatingPoint  # noqa: E402


def picture(height=90, width=128):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 8, 0), 8, 1)[:height, :width]


@pytest.fixture(scope="module")
def pair():
    return SplitPair(build(find("tiny-d0-cp")))


@pytest.fixture(scope="module")
def payloads(pair):
    """Return one payload per codec."""
    points = {codec: OperatingPoint(0.25, 4, codec) for codec in entropy.CODECS}
    return {codec: pair.encode(picture(), point) for codec, point in points.items()}


def test_the_bytes_of_a_square_picture_are_exact(pair):
    """24 channels at most, 16 x 16 of them; what comes before them is stated."""
    for width, channels in ((0.25, 6), (0.5, 12), (0.75, 18), (1.0, 24)):
        for bits in (1, 2, 3, 4, 5, 6, 7, 8, 16):
            payload = pair.encode(picture(128, 128), OperatingPoint(width, bits))
            extra = overhead_bytes(channels, bits, Scheme.CHANNEL, filled=False)
            assert len(payload) - extra == packed_bytes((channels, 16, 16), bits)
            assert packed_bytes((channels, 16, 16), bits) == channels * 16 * 16 * bits // 8


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("efficientdet-d2-bw", {0.167: 73_728, 0.25: 110_592, 0.5: 221_184, 1.0: 442_368}),
        ("faster-rcnn-bw", {0.25: 124_848, 0.5: 249_696, 0.75: 374_544, 1.0: 499_392}),
    ],
)
def test_the_published_bytes(name, sizes):
    config = find(name)
    pair = SplitPair(build(config), scheme=Scheme.PUBLISHED)
    fit = Fit((config.side,) * 2, (config.side,) * 2, (config.side,) * 2)
    for width, size in sizes.items():
        shape = (config.bottleneck(width), *config.grid(config.side, config.side))
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        for bits, share in ((8, 1), (4, 2)):
            payload = pair.pack(values, fit, OperatingPoint(width, bits))
            assert len(payload) - (HEADER_BYTES + 8) == size // share


def test_the_padding_of_a_wide_picture_is_not_sent(pair):
    """72 of 128 rows hold picture: 9 of 16 rows of the bottleneck."""
    payload = pair.encode(picture(72, 128), OperatingPoint(1.0, 8))

    assert len(payload) == overhead_bytes(24, 8, Scheme.CHANNEL, filled=True) + 24 * 9 * 16
    values, width, fit = pair.unpack(payload)
    x, _ = pair.detector.prepare(picture(72, 128))
    whole = pair.engine.bottleneck(x[None], 1.0)
    assert (values.shape, width, fit.resized) == ((1, 24, 16, 16), 1.0, (72, 128))
    torch.testing.assert_close(
        values.mean((2, 3)), whole.mean((2, 3)), atol=0.02 * float(whole.std()), rtol=0
    )


@pytest.mark.parametrize("codec", entropy.CODECS)
def test_every_codec_gives_the_same_boxes(pair, codec):
    raw = pair.decode(pair.encode(picture(), OperatingPoint(0.5, 6)))
    coded = pair.decode(pair.encode(picture(), OperatingPoint(0.5, 6, codec)))

    assert np.array_equal(raw.boxes, coded.boxes)
    assert np.array_equal(raw.scores, coded.scores)


def test_the_two_ends_need_share_nothing_but_weights(pair, tmp_path):
    """A process of its own decodes what this one encodes."""
    pair.detector.decoder.class_net.predict.conv_pw.bias.data.fill_(0.0)
    expected = pair.decode(payload := pair.encode(picture(), OperatingPoint(0.75, 8, "range")))
    assert len(expected)
    torch.save(pair.detector.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "payload").write_bytes(payload)
    code = """
import pickle, sys, torch
from testbed.detectors.configurations import find
from testbed.detectors.pair import SplitPair
from testbed.detectors.split import build
detector = build(find("tiny-d0-cp"), seed=9)
detector.load_state_dict(torch.load("weights.pt"))
found = SplitPair(detector).decode(open("payload", "rb").read())
pickle.dump((found.boxes, found.scores, found.labels), open("found", "wb"))
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    boxes, scores, labels = pickle.loads((tmp_path / "found").read_bytes())

    assert np.array_equal(labels, expected.labels)
    np.testing.assert_allclose(boxes, expected.boxes, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-5)


def test_other_weights_are_told_apart(pair):
    payload = pair.encode(picture(), OperatingPoint(1.0, 8))
    other = SplitPair(build(find("tiny-d0-cp"), seed=1))

    with pytest.raises(PayloadError, match="other weights"):
        other.decode(payload)


def test_what_cannot_be_sent_is_refused(pair):
    with pytest.raises(ValueError, match="mode split, not skip"):
        pair.encode(picture(), SKIP)
    with pytest.raises(ValueError, match=r"no width 0\.3"):
        pair.encode(picture(), OperatingPoint(0.3, 8))
    with pytest.raises(ValueError, match="1 to 8, or 16, not 9"):
        pair.encode(picture(), OperatingPoint(0.5, 9))
    with pytest.raises(ValueError, match="16 bits are sent raw"):
        pair.encode(picture(), OperatingPoint(0.5, 16, "zstd"))
    with pytest.raises(UnknownName, match="Did you mean 'zstd'"):
        pair.encode(picture(), OperatingPoint(0.5, 8, "zst"))
    with pytest.raises(ValueError, match="a picture is"):
        pair.encode(picture()[..., 0], OperatingPoint(0.5, 8))
    with pytest.raises(ValueError, match="no bottleneck"):
        SplitPair(build(find("tiny-d0")))


def resealed(payload):
    """The bytes with a checksum that holds, as only someone who means it would make them."""
    check = zlib.crc32(payload[: HEADER_BYTES - 4] + payload[HEADER_BYTES:])
    return payload[: HEADER_BYTES - 4] + check.to_bytes(4, "little") + payload[HEADER_BYTES:]


@pytest.mark.parametrize("codec", entropy.CODECS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_raise_a_payload_error(pair, payloads, codec, data):
    payload = bytearray(payloads[codec])
    where = data.draw(st.integers(0, len(payload) - 1))
    payload[where] ^= data.draw(st.integers(1, 255))

    with pytest.raises(PayloadError):
        pair.unpack(bytes(payload))


@pytest.mark.parametrize("codec", entropy.CODECS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_forged_bytes_raise_a_payload_error_or_decode(pair, payloads, codec, data):
    """With a checksum that holds: anything but a crash, and no more values than the grid has."""
    payload = bytearray(payloads[codec])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = resealed(bytes(payload[: data.draw(st.integers(HEADER_BYTES, len(payload)))]))

    try:
        values, _, _ = pair.unpack(payload)
    except PayloadError:
        return
    assert values.shape[1] <= 24
    assert values.shape[2:] == (16, 16)


@pytest.mark.parametrize("payload", [b"", b"hello", b"STB1", b"\0" * 1000, b"JFIF" * 500])
def test_foreign_bytes_raise_a_payload_error(pair, payload):
    with pytest.raises(PayloadError):
        pair.decode(payload)


def test_a_body_that_would_unpack_to_gigabytes_is_refused_without_unpacking_it(pair):
    import zstandard

    bomb = b"\0" + zstandard.ZstdCompressor().compress(bytes(10**8))
    with pytest.raises(entropy.Undecodable, match="bytes or more"):
        entropy.decode(bomb, (6, 16, 16), 8, "zstd")
