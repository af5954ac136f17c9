"""Bottleneck values to whole numbers of a few bits and back, and those numbers to bytes.

numpy only, so that the device's side needs no more than its encoder. Tensors are (n, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Symbols = NDArray[np.uint8]

BITS = (1, 2, 3, 4, 5, 6, 7, 8, 16)


class Scheme(StrEnum):
    """How values are spread over the levels.

    `published`: one range for the tensor, its zero point truncated, as in the released code, which
    clips the values above the last level.
    `rounded`: one range, stretched to hold 0, its zero point rounded.
    `channel`: a range for each channel; several times less error at equal bits.
    """

    PUBLISHED = "published"
    ROUNDED = "rounded"
    CHANNEL = "channel"


@dataclass(frozen=True)
class Quantised:
    """A tensor in levels.

    Args:
        symbols: (n, h, w), each below 2^bits.
        scale: Width of a level, one for the tensor or one per channel.
        shift: As many: the level of the value 0, or for `channel` the value of level 0.
        scheme: How they were made.
    """

    symbols: Symbols
    scale: Floats
    shift: Floats
    scheme: Scheme

    def values(self) -> Floats:
        """Return the values that the levels stand for."""
        levels = self.symbols.astype(np.float32)
        scale, shift = _each(self.scale), _each(self.shift)
        if self.scheme is Scheme.CHANNEL:
            return levels * scale + shift
        return scale * (levels - shift)


def check_bits(bits: int) -> None:
    """Raise a `ValueError` unless values can be sent with that many bits."""
    if bits not in BITS:
        raise ValueError(f"bits must be 1 to 8, or 16, not {bits}")


def packed_bytes(shape: tuple[int, ...], bits: int) -> int:
    """Return the bytes of a tensor of that shape: n·h·w·bits/8, rounded up."""
    return -(-int(np.prod(shape, dtype=np.int64)) * bits // 8)


def quantise(x: Floats, bits: int, scheme: Scheme = Scheme.CHANNEL) -> Quantised:
    """Return a tensor in 2^bits levels between its smallest and its largest value.

    A tensor, or channel, of one value keeps that value exactly. Raise a `ValueError` if a value is
    not finite or the bits are not 1 to 8.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"levels take 1 to 8 bits, not {bits}")
    if not np.isfinite(x).all():
        raise ValueError("a bottleneck holds a value that is not finite")
    top = np.float32(2**bits - 1)
    if scheme is Scheme.CHANNEL:
        low, high = x.min(axis=(1, 2)), x.max(axis=(1, 2))
        scale = _level(low, high, top)
        levels = (x - _each(low)) / _each(np.where(scale > 0, scale, 1).astype(np.float32))
        shift = low
    else:
        low, high = x.min(keepdims=True).reshape(1), x.max(keepdims=True).reshape(1)
        if scheme is Scheme.ROUNDED:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        scale = _level(low, high, top)
        if not scale[0]:  # one value: a level of its own size, and it lies one level from zero
            scale = np.where(low == 0, 1, np.abs(low)).astype(np.float32)
        shift = np.trunc(-low / scale) if scheme is Scheme.PUBLISHED else np.rint(-low / scale)
        shift = np.clip(shift, 0, top)
        levels = _each(shift) + x / scale
    symbols = np.rint(np.clip(levels, 0, top)).astype(np.uint8)
    return Quantised(symbols, scale, shift.astype(np.float32), scheme)


def _level(low: Floats, high: Floats, top: np.float32) -> Floats:
    """Return the width of a level. Raise a `ValueError` if it passes what a float holds."""
    with np.errstate(over="ignore"):
        level = ((high - low) / top).astype(np.float32)
    if not np.isfinite(level).all():
        raise ValueError("a bottleneck spans more than a 32-bit float holds")
    return level


def _each(per: Floats) -> Floats:
    """Return one number per channel, or the one of the tensor, to spread over (n, h, w)."""
    return per.reshape(-1, 1, 1)


def pack(symbols: Symbols, bits: int) -> bytes:
    """Return levels as n·h·w·bits/8 bytes, the first in the highest bits, zeros at the end."""
    flat = np.ascontiguousarray(symbols).reshape(-1)
    if bits == 8:
        return flat.tobytes()
    if bits == 4:  # the usual case, without an array eight times the size
        if flat.size % 2:
            flat = np.append(flat, np.uint8(0))
        return (flat[::2] << 4 | flat[1::2]).tobytes()
    spread = np.unpackbits(flat[:, None], axis=1)[:, 8 - bits :]
    return np.packbits(spread.reshape(-1)).tobytes()


def unpack(packed: bytes, count: int, bits: int) -> Symbols:
    """Return `count` levels. Raise a `ValueError` unless the bytes are exactly enough."""
    if len(packed) != packed_bytes((count,), bits):
        raise ValueError(f"{count} values of {bits} bits do not take {len(packed)} bytes")
    raw = np.frombuffer(packed, np.uint8)
    if bits == 8:
        return raw
    if bits == 4:
        return np.stack([raw >> 4, raw & 15], axis=1).reshape(-1)[:count]
    spread = np.unpackbits(raw, count=count * bits).reshape(count, bits)
    return np.packbits(spread, axis=1).reshape(-1) >> np.uint8(8 - bits)
