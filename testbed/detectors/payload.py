"""The bytes that cross the link: a header, what the quantiser needs, the levels.

Little-endian. Fixed part, 38 bytes:

| bytes | field |
|--:|---|
| 4 | `STB1` |
| 4 | fingerprint of the network and of the weights at its bottleneck |
| 1 + 1 + 1 + 1 | width (its place in the list), bits, scheme, codec |
| 2 + 2 + 2 | channels, rows, columns sent |
| 2 + 2 + 2 + 2 + 2 + 2 | height and width: of the picture, of it in the input, of the input |
| 4 | length of the body |
| 4 | CRC-32 of everything else |

Then, except at 16 bits, a scale and a shift (4 + 4 bytes) for the tensor, or all scales and all
shifts for a scheme with one per channel; then, where padding was left out, a 2-byte value per
channel to fill it with; then the body, which `raw` makes exactly n·h·w·bits/8 bytes long.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from testbed.detectors.configurations import SplitConfig
from testbed.detectors.detections import Fit
from testbed.detectors.entropy import CODECS, Undecodable, decode, encode
from testbed.detectors.quantise import (
    BITS,
    Floats,
    Quantised,
    Scheme,
    check_bits,
    packed_bytes,
    quantise,
)
from testbed.errors import TestbedError, UnknownName

MAGIC = b"STB1"
MOST_PIXELS = 2**26  # of an original picture
_FIXED = struct.Struct("<4sIBBBB3H6HII")
HEADER_BYTES = _FIXED.size
_SCHEMES = tuple(Scheme)


class PayloadError(TestbedError):
    """Bytes that are no bottleneck of this network: corrupt, cut short, or somebody else's."""


@dataclass(frozen=True)
class Layout:
    """What both ends know before any byte is sent.

    Args:
        config: Of the network.
        fingerprint: Of the network and its weights.
    """

    config: SplitConfig
    fingerprint: int


@dataclass(frozen=True)
class Bottleneck:
    """What was sent.

    Args:
        values: (n, h, w), without the padding.
        fill: (n,), the value of each channel where padding was left out; None where none was.
        width_index: The place of the width in the list.
        fit: How the picture lay in the input.
    """

    values: Floats
    fill: Floats | None
    width_index: int
    fit: Fit


def overhead_bytes(channels: int, bits: int, scheme: Scheme, *, filled: bool) -> int:
    """Return the bytes beside the body."""
    scales = 0 if bits == 16 else channels if scheme is Scheme.CHANNEL else 1
    return HEADER_BYTES + 8 * scales + (2 * channels if filled else 0)


def write(
    bottleneck: Bottleneck, layout: Layout, *, bits: int, codec: str, scheme: Scheme
) -> bytes:
    """Return a bottleneck as bytes. Raise `ValueError` for bits or values that cannot be sent."""
    check_bits(bits)
    if codec not in CODECS:
        raise UnknownName("codec", codec, CODECS)
    values = bottleneck.values
    if bits == 16:
        if codec != "raw":
            raise ValueError(f"16 bits are sent raw, not by {codec}")
        with np.errstate(over="ignore"):
            halves = values.astype("<f2")
        if not np.isfinite(halves).all():
            raise ValueError("a bottleneck holds a value that 16 bits do not")
        side, body = b"", halves.tobytes()
    else:
        levels = quantise(values, bits, scheme)
        side = levels.scale.astype("<f4").tobytes() + levels.shift.astype("<f4").tobytes()
        body = encode(levels.symbols, bits, codec)
    if bottleneck.fill is not None:
        side += np.clip(bottleneck.fill, -65_504, 65_504).astype("<f2").tobytes()
    fit = bottleneck.fit
    fields = (
        layout.fingerprint,
        bottleneck.width_index,
        bits,
        _SCHEMES.index(scheme),
        CODECS.index(codec),
        *values.shape,
        *fit.original,
        *fit.resized,
        *fit.canvas,
        len(body),
    )
    check = zlib.crc32(_FIXED.pack(MAGIC, *fields, 0)[:-4] + side + body)
    return _FIXED.pack(MAGIC, *fields, check) + side + body


def read(payload: bytes, layout: Layout) -> Bottleneck:
    """Return what was sent, by whomever. Raise a `PayloadError` that says what is wrong with it."""
    if len(payload) < HEADER_BYTES:
        raise PayloadError(f"{len(payload)} bytes are no payload; its header takes {HEADER_BYTES}")
    magic, fingerprint, index, bits, scheme, codec, n, h, w, *rest = _FIXED.unpack_from(payload)
    if magic != MAGIC:
        raise PayloadError(f"the first bytes are {magic!r}; a payload starts with {MAGIC!r}")
    if fingerprint != layout.fingerprint:
        raise PayloadError(
            f"made by another network or other weights ({fingerprint:08x}); this one is "
            f"{layout.fingerprint:08x}"
        )
    *sides, length, check = rest
    if zlib.crc32(payload[: HEADER_BYTES - 4] + payload[HEADER_BYTES:]) != check:
        raise PayloadError("damaged: its checksum does not hold")
    config = layout.config
    if not (index < len(config.widths) and bits in BITS):
        raise PayloadError(f"width number {index} with {bits} bits is not one of this network")
    if scheme >= len(_SCHEMES) or codec >= len(CODECS):
        raise PayloadError(f"scheme {scheme} or codec {codec} is unknown to this version")
    fit = Fit((sides[0], sides[1]), (sides[2], sides[3]), (sides[4], sides[5]))
    if (
        min(sides) < 1
        or fit.original[0] * fit.original[1] > MOST_PIXELS
        or max(fit.canvas) > config.longest_side
        or any(inner > outer for inner, outer in zip(fit.resized, fit.canvas, strict=True))
    ):
        raise PayloadError(f"a picture or input with sides {sides} is not one of this network")
    inner, outer = config.grid(*fit.resized), config.grid(*fit.canvas)
    if n != config.bottleneck(config.widths[index]) or (h, w) not in (inner, outer):
        raise PayloadError(f"a bottleneck of {n}x{h}x{w} does not fit the width and the picture")
    filled = (h, w) != outer
    start = overhead_bytes(n, bits, _SCHEMES[scheme], filled=filled)
    if len(payload) != start + length:
        raise PayloadError(f"{len(payload)} bytes where the header announces {start + length}")
    side, body = payload[HEADER_BYTES:start], payload[start:]
    fill = np.frombuffer(side[-2 * n :], "<f2").astype(np.float32) if filled else None
    values = _values(body, side, (n, h, w), bits, _SCHEMES[scheme], CODECS[codec])
    return Bottleneck(values, fill, index, fit)


def _values(
    body: bytes, side: bytes, shape: tuple[int, int, int], bits: int, scheme: Scheme, codec: str
) -> Floats:
    if bits == 16:
        if len(body) != packed_bytes(shape, 16):
            raise PayloadError(f"{len(body)} bytes do not hold {shape} values of 16 bits")
        return np.frombuffer(body, "<f2").astype(np.float32).reshape(shape)
    count = shape[0] if scheme is Scheme.CHANNEL else 1
    numbers = np.frombuffer(side[: 8 * count], "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise PayloadError("a scale or a shift is not finite")
    try:
        symbols = decode(body, shape, bits, codec)
    except Undecodable as error:
        raise PayloadError(f"its body does not decode: {error}") from error
    with np.errstate(over="ignore"):
        return Quantised(symbols, numbers[:count], numbers[count:], scheme).values()
