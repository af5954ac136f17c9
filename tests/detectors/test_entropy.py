"""Codecs lose nothing, save something where there is something to save, and bear any bytes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("constriction", reason="needs the extra `detect`")
pytest.importorskip("zstandard", reason="needs the extra `detect`")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from testbed.detectors.entropy import CODECS, Undecodable, decode, encode
from testbed.detectors.quantise import packed_bytes

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)


@pytest.mark.parametrize("codec", CODECS)
@given(symbols=hnp.arrays(np.uint8, SHAPES), bits=st.integers(1, 8))
@settings(deadline=None, max_examples=60)
def test_levels_come_back(codec, symbols, bits):
    symbols = symbols >> (8 - bits)

    assert np.array_equal(decode(encode(symbols, bits, codec), symbols.shape, bits, codec), symbols)


@pytest.mark.parametrize("codec", CODECS)
@given(body=st.binary(max_size=200), bits=st.integers(1, 8))
@settings(deadline=None, max_examples=150)
def test_any_bytes_decode_to_levels_in_range_or_are_refused(codec, body, bits):
    try:
        symbols = decode(body, (2, 3, 4), bits, codec)
    except Undecodable:
        return
    assert symbols.shape == (2, 3, 4)
    assert symbols.max() < 2**bits


def test_raw_is_plain_packing():
    symbols = np.zeros((3, 5, 7), np.uint8)
    for bits in range(1, 9):
        assert len(encode(symbols, bits, "raw")) == packed_bytes(symbols.shape, bits)


def smooth(bits=4):
    """Levels that change slowly from row to row and lie around a level of each channel."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(12, 32, 32)).cumsum(1).cumsum(2) / 12
    level = rng.uniform(0.2, 0.8, (12, 1, 1)) * 2**bits
    return np.clip(level + walk, 0, 2**bits - 1).astype(np.uint8)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "raw"])
def test_what_is_predictable_takes_fewer_bytes(codec):
    symbols = smooth()

    assert len(encode(symbols, 4, codec)) < 0.7 * packed_bytes(symbols.shape, 4)


def test_the_histogram_coder_comes_close_to_the_entropy_of_the_channels():
    """Within 2 % and the table of histograms."""
    symbols = np.random.default_rng(0).binomial(15, 0.3, (8, 64, 64)).astype(np.uint8)
    shares = [np.bincount(channel.reshape(-1)) / channel.size for channel in symbols]
    bits = sum(-4096 * sum(p * np.log2(p) for p in share if p) for share in shares)
    body = encode(symbols, 4, "range")
    table = 4 + int.from_bytes(body[:4], "little")

    assert bits / 8 <= len(body) - table < 1.02 * bits / 8


def test_learning_from_the_rows_above_beats_a_histogram_where_rows_resemble():
    symbols = smooth()

    assert len(encode(symbols, 4, "range-adaptive")) < len(encode(symbols, 4, "range"))


def test_a_random_payload_hardly_grows():
    symbols = np.random.default_rng(0).integers(0, 256, (8, 32, 32), dtype=np.uint8)
    for codec in CODECS:
        assert len(encode(symbols, 8, codec)) < 1.3 * symbols.size
