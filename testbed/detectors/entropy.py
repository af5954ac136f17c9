"""Levels to fewer bytes and back, without loss. numpy, zstandard and constriction.

| codec | what it does |
|---|---|
| `raw` | plain packing: exactly n·h·w·bits/8 bytes |
| `zstd` | the packed bytes, or one byte per level where that is smaller, through zstandard |
| `range` | a range coder with the histogram of each channel, which is sent along |
| `range-adaptive` | a range coder that learns from the rows above; nothing is sent along |

Decoders are told how many levels to expect and never allocate more than those take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.quantise import Symbols, pack, packed_bytes, unpack
from testbed.errors import UnknownName

Shape = tuple[int, int, int]

ZSTD_LEVEL = 9

# Scales of the Laplace distributions, in levels. Fixed numbers, so that both ends use the same.
_SCALES = np.array(
    [0.05, 0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.9, 1.3, 2, 3, 4.5, 7, 11, 17, 26, 40], np.float64
)


class Undecodable(ValueError):
    """Bytes that are not what the encoder of their codec makes."""


def encode(symbols: Symbols, bits: int, codec: str) -> bytes:
    """Return levels (n, h, w), each below 2^bits, as bytes."""
    return _codec(codec)[0](symbols, bits)


def decode(body: bytes, shape: Shape, bits: int, codec: str) -> Symbols:
    """Return the levels of that shape. Raise `Undecodable` if the bytes do not hold them."""
    try:
        return _codec(codec)[1](body, shape, bits)
    except Undecodable:
        raise
    except Exception as error:  # whatever a decoder of a library makes of bytes of no sense
        raise Undecodable(f"{codec}: {error}") from error


def _codec(name: str) -> tuple[Callable[..., bytes], Callable[..., Symbols]]:
    if name not in _CODECS:
        raise UnknownName("codec", name, CODECS)
    return _CODECS[name]


def _raw(symbols: Symbols, bits: int) -> bytes:
    return pack(symbols, bits)


def _raw_back(body: bytes, shape: Shape, bits: int) -> Symbols:
    return unpack(body, int(np.prod(shape)), bits).reshape(shape)


def _zstd(symbols: Symbols, bits: int) -> bytes:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    packed = b"\0" + compressor.compress(pack(symbols, bits))
    if bits == 8:
        return packed
    wide = b"\1" + compressor.compress(np.ascontiguousarray(symbols).tobytes())
    return min(packed, wide, key=len)


def _zstd_back(body: bytes, shape: Shape, bits: int) -> Symbols:
    import zstandard

    count = int(np.prod(shape))
    if body[:1] not in (b"\0", b"\1"):
        raise Undecodable("zstd: the first byte is neither 0 nor 1")
    wide = body[:1] == b"\1"
    expected = count if wide else packed_bytes((count,), bits)
    # Read as a stream, so that a frame that claims to be huge allocates nothing.
    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(body[1:]) as reader:
        plain = reader.read(expected + 1)
    if len(plain) != expected:
        raise Undecodable(f"zstd: {len(plain)} bytes or more where {expected} belong")
    if not wide:
        return unpack(plain, count, bits).reshape(shape)
    symbols = np.frombuffer(plain, np.uint8)
    if symbols.max(initial=0) >= 2**bits:
        raise Undecodable(f"zstd: a level of more than {bits} bits")
    return symbols.reshape(shape)


def _words(compressed: NDArray[np.uint32]) -> bytes:
    return compressed.astype("<u4").tobytes()


def _range_decoder(body: bytes) -> Any:
    import constriction

    if len(body) % 4:
        raise Undecodable(f"range: {len(body)} bytes are no whole number of words")
    words = np.frombuffer(body, "<u4").astype(np.uint32)
    return constriction.stream.queue.RangeDecoder(words)


def _histogram_model(histogram: NDArray[np.uint8]) -> Any:
    import constriction

    weights = histogram.astype(np.float64)
    return constriction.stream.model.Categorical(weights / weights.sum(), perfect=False)


def _histograms(symbols: Symbols, bits: int) -> NDArray[np.uint8]:
    """Return how often each level occurs in each channel, the most frequent as 255."""
    counts = np.stack([np.bincount(c.reshape(-1), minlength=2**bits) for c in symbols])
    shares = counts * 255 / counts.max(axis=1, keepdims=True)
    return np.where(counts > 0, np.maximum(np.rint(shares), 1), 0).astype(np.uint8)


def _range(symbols: Symbols, bits: int) -> bytes:
    import constriction
    import zstandard

    histograms = _histograms(symbols, bits)
    coder = constriction.stream.queue.RangeEncoder()
    for channel, histogram in zip(symbols, histograms, strict=True):
        if np.count_nonzero(histogram) > 1:
            coder.encode(channel.reshape(-1).astype(np.int32), _histogram_model(histogram))
    table = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(histograms.tobytes())
    return len(table).to_bytes(4, "little") + table + _words(coder.get_compressed())


def _range_back(body: bytes, shape: Shape, bits: int) -> Symbols:
    import zstandard

    n, h, w = shape
    length = int.from_bytes(body[:4], "little")
    if len(body) < 4 + length:
        raise Undecodable("range: cut short")
    with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
        body[4 : 4 + length]
    ) as reader:
        table = reader.read(n * 2**bits + 1)
    if len(table) != n * 2**bits:
        raise Undecodable(f"range: a table of {len(table)} bytes where {n * 2**bits} belong")
    histograms = np.frombuffer(table, np.uint8).reshape(n, 2**bits)
    if not histograms.any(axis=1).all():
        raise Undecodable("range: a channel without any level")
    decoder = _range_decoder(body[4 + length :])
    symbols = np.empty(shape, np.uint8)
    for channel, histogram in zip(symbols, histograms, strict=True):
        levels = np.flatnonzero(histogram)
        if len(levels) == 1:
            channel[:] = levels[0]
        else:
            channel[:] = decoder.decode(_histogram_model(histogram), h * w).reshape(h, w)
    return symbols


class _RowModel:
    """Where each level of the next row is expected, and how far off it may be.

    Expected is the middle between the row above, smoothed, and the mean of the channel so far; how
    far off, from how far the two lie apart and from how far off the channel's rows have been. All
    in whole sixteenths of a level, so that both ends compute the very same numbers.
    """

    def __init__(self, shape: Shape, bits: int) -> None:
        self.channels, _, self.width = shape
        self.total = np.zeros(self.channels, np.int64)
        self.error = np.full(self.channels, 2 * 2**bits, np.int64)
        self.expected = np.full((self.channels, self.width), 8 * (2**bits - 1), np.int64)
        self.spread = np.full((self.channels, self.width), 4 * 2**bits, np.int64)
        self.rows = 0

    def parameters(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return location and scale of every level of the row, channel by channel."""
        scales = _SCALES[np.searchsorted(_SCALES[:-1] * 16, self.spread.reshape(-1))]
        return self.expected.reshape(-1) / 16, scales

    def learn(self, row: Symbols) -> None:
        """Take note of a row (n, w) that both ends know now."""
        levels = row.astype(np.int64)
        self.rows += 1
        self.total += levels.sum(axis=1)
        off = np.abs(16 * levels - self.expected).sum(axis=1) // self.width
        self.error = (7 * self.error + off) // 8
        sides = np.pad(levels, ((0, 0), (1, 1)), mode="edge")
        smooth = 4 * (sides[:, :-2] + 2 * sides[:, 1:-1] + sides[:, 2:])
        mean = (16 * self.total // (self.rows * self.width))[:, None]
        self.expected = (smooth + mean) // 2
        self.spread = (6 * self.error[:, None] + 10 * np.abs(smooth - mean)) // 16


def _laplace(bits: int) -> Any:
    import constriction

    return constriction.stream.model.QuantizedLaplace(0, 2**bits - 1)


def _adaptive(symbols: Symbols, bits: int) -> bytes:
    import constriction

    coder, laplace = constriction.stream.queue.RangeEncoder(), _laplace(bits)
    model = _RowModel(symbols.shape, bits)
    for y in range(symbols.shape[1]):
        row = symbols[:, y]
        coder.encode(row.reshape(-1).astype(np.int32), laplace, *model.parameters())
        model.learn(row)
    return _words(coder.get_compressed())


def _adaptive_back(body: bytes, shape: Shape, bits: int) -> Symbols:
    decoder, laplace = _range_decoder(body), _laplace(bits)
    model = _RowModel(shape, bits)
    n, h, w = shape
    symbols = np.empty(shape, np.uint8)
    for y in range(h):
        symbols[:, y] = decoder.decode(laplace, *model.parameters()).reshape(n, w)
        model.learn(symbols[:, y])
    return symbols


_CODECS: dict[str, tuple[Callable[..., bytes], Callable[..., Symbols]]] = {
    "raw": (_raw, _raw_back),
    "zstd": (_zstd, _zstd_back),
    "range": (_range, _range_back),
    "range-adaptive": (_adaptive, _adaptive_back),
}
CODECS = tuple(_CODECS)
