"""Values to levels: the published rule to the bit, less error per channel, exact packing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from testbed.detectors.quantise import Scheme, pack, packed_bytes, quantise, unpack

BITS = [1, 2, 3, 4, 5, 6, 7, 8]


def feature_map(seed=0, shape=(6, 10, 12)):
    """Signed values whose channels differ in range and in mean."""
    rng = np.random.default_rng(seed)
    each = np.exp(rng.uniform(-2, 2, (shape[0], 1, 1)))
    return (rng.normal(size=shape) * each + rng.normal(size=each.shape)).astype(np.float32)


def by_the_book(x, bits):
    """The rule of the released code, written down from its description, value by value."""
    low, high = float(x.min()), float(x.max())
    top = 2**bits - 1
    scale = np.float32((np.float32(high) - np.float32(low)) / np.float32(top))
    zero = min(max(int(-np.float32(low) / scale), 0), top)  # int() truncates
    q = np.rint(np.clip(np.float32(zero) + x / scale, 0, top))
    return q.astype(np.uint8), scale * (q.astype(np.float32) - np.float32(zero))


@pytest.mark.parametrize("bits", BITS)
def test_the_published_rule_to_the_bit(bits):
    x = feature_map()
    symbols, values = by_the_book(x, bits)
    ours = quantise(x, bits, Scheme.PUBLISHED)

    assert np.array_equal(ours.symbols, symbols)
    assert np.array_equal(ours.values(), values)


def test_truncation_clips_the_largest_values_and_rounding_does_not_move_zero():
    x = np.array([-1.0, 0.0, 2.3], np.float32).reshape(1, 1, 3)
    published = quantise(x, 2, Scheme.PUBLISHED)  # level 1.1, zero point 0.909 -> 0
    rounded = quantise(x, 2, Scheme.ROUNDED)

    assert published.shift.tolist() == [0.0]
    assert published.symbols.reshape(-1).tolist() == [0, 0, 2]
    assert rounded.shift.tolist() == [1.0]
    assert rounded.values().reshape(-1)[1] == 0.0
    assert rounded.symbols.reshape(-1).tolist() == [0, 1, 3]


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 7, 8])
def test_a_range_per_channel_has_less_error_at_equal_bits(bits):
    x = feature_map(shape=(24, 20, 20))

    def error(scheme):
        return float(((quantise(x, bits, scheme).values() - x) ** 2).mean())

    assert 3 * error(Scheme.CHANNEL) < min(error(Scheme.PUBLISHED), error(Scheme.ROUNDED))


@given(
    x=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=4),
        elements=st.floats(-1e4, 1e4, width=32),
    ),
    bits=st.sampled_from(BITS),
)
@settings(deadline=None)
def test_no_value_moves_by_more_than_half_a_level(x, bits):
    found = quantise(x, bits, Scheme.CHANNEL)
    level = (x.max((1, 2)) - x.min((1, 2))) / (2**bits - 1)
    slack = 1e-6 * np.abs(x).max() + 1e-30

    assert (np.abs(found.values() - x) <= 0.51 * level[:, None, None] + slack).all()


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("value", [0.0, 3.5, -2.0, 1e-30])
def test_a_tensor_of_one_value_keeps_it(scheme, bits, value):
    x = np.full((2, 3, 3), value, np.float32)

    assert np.array_equal(quantise(x, bits, scheme).values(), x)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "finite"), (np.inf, "finite"), (3e38, "32-bit float")]
)
@pytest.mark.parametrize("scheme", list(Scheme))
def test_values_without_a_range_are_refused(value, message, scheme):
    x = np.zeros((1, 2, 2), np.float32)
    x[0, 0] = value, -3e38

    with pytest.raises(ValueError, match=message):
        quantise(x, 8, scheme)


@given(symbols=hnp.arrays(np.uint8, st.integers(0, 50)), bits=st.sampled_from(BITS))
@settings(deadline=None)
def test_packing_is_exact_and_comes_back(symbols, bits):
    symbols = symbols >> (8 - bits)
    packed = pack(symbols, bits)

    assert len(packed) == packed_bytes(symbols.shape, bits) == -(-len(symbols) * bits // 8)
    assert np.array_equal(unpack(packed, len(symbols), bits), symbols)


def test_the_first_level_stands_in_the_highest_bits():
    assert pack(np.array([1, 2, 3], np.uint8), 4) == bytes([0x12, 0x30])
    assert pack(np.array([1, 0, 1], np.uint8), 1) == bytes([0b10100000])
    assert pack(np.array([5, 2], np.uint8), 3) == bytes([0b10101000])


def test_bytes_of_another_number_of_levels_are_refused():
    with pytest.raises(ValueError, match="3 values of 4 bits do not take 3 bytes"):
        unpack(b"abc", 3, 4)
