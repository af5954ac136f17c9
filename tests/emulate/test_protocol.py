"""The stream of messages: whatever is cut, damaged, forged or too long is found out."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.emulate.protocol import (
    HEADER_BYTES,
    Fault,
    Key,
    Parser,
    Type,
    WireError,
    pack,
)

MOST = {Type.PING: 8, Type.FRAME: 2000}
KEY = Key(b"k" * 32)

bodies = st.lists(
    st.one_of(
        st.tuples(st.just(Type.PING), st.binary(min_size=8, max_size=8)),
        st.tuples(st.just(Type.FRAME), st.binary(max_size=2000)),
    ),
    min_size=1,
    max_size=5,
)


def stream(messages, key=None):
    return b"".join(
        pack(kind, number, body, key=key) + body for number, (kind, body) in enumerate(messages)
    )


def parse(data, cuts=(), key=None):
    parser, found, start = Parser(MOST, key), [], 0
    for end in (*sorted(cuts), len(data)):
        parser.feed(bytes(data[start:end]))
        start = end
        while (message := parser.take()) is not None:
            found.append((message.type, message.body))
    return found


@given(bodies, st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([None, KEY]))
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(messages, cuts, key):
    data = stream(messages, key)

    assert parse(data, [cut for cut in cuts if cut < len(data)], key) == messages


@given(bodies, st.data(), st.sampled_from([None, KEY]))
def test_a_flipped_bit_is_found_out(messages, data, key):
    sound = stream(messages, key)
    bit = data.draw(st.integers(0, 8 * len(sound) - 1))
    damaged = bytearray(sound)
    damaged[bit // 8] ^= 1 << bit % 8

    with pytest.raises(WireError):
        parse(bytes(damaged), key=key)


@given(st.binary(max_size=5000), st.booleans())
def test_any_bytes_are_a_message_or_a_fault(junk, begins_well):
    data = stream([(Type.PING, b"12345678")])[:12] + junk if begins_well else junk
    with suppress(WireError):
        parse(data)


@given(st.binary(max_size=4000), st.integers(1, 700))
def test_a_parser_holds_one_message_and_one_chunk_at_most(junk, size):
    data = stream([(Type.FRAME, bytes(2000))])[:-1] + junk
    parser = Parser(MOST)
    with suppress(WireError):
        for start in range(0, len(data), size):
            parser.feed(data[start : start + size])
            assert parser.held_bytes <= HEADER_BYTES + 2000 + size
            while parser.take() is not None:
                pass


def test_a_body_of_several_pieces_comes_out_whole():
    body = bytes(range(256)) * 1000
    parser = Parser({Type.FRAME: len(body)})
    for start in range(0, len(body), 50_001):
        part = body[start : start + 50_001]
        parser.feed(part if start else pack(Type.FRAME, 0, body) + part)
        message = parser.take()

    assert message.body == body
    assert parser.held_bytes == 0


def test_a_length_above_the_limit_is_refused_before_any_byte_of_the_body():
    parser = Parser(MOST)
    parser.feed(pack(Type.FRAME, 0, bytes(2001)))

    with pytest.raises(WireError, match="a FRAME of 2001 bytes; 2000 are allowed") as raised:
        parser.take()
    assert raised.value.fault is Fault.OVERSIZED


def test_a_type_whose_turn_it_is_not_is_refused():
    parser = Parser({Type.HELLO: 100})
    parser.feed(pack(Type.PING, 0, b"12345678"))

    with pytest.raises(WireError, match="of type 9, flags 0, where one of HELLO may come"):
        parser.take()


def test_a_message_that_comes_twice_is_refused():
    parser = Parser(MOST, KEY)
    once = pack(Type.PING, 0, b"12345678", key=KEY) + b"12345678"
    parser.feed(once + once)

    assert parser.take() is not None
    with pytest.raises(WireError, match="message 0 where number 1 is due"):
        parser.take()


def test_another_version_is_named():
    header = bytearray(pack(Type.PING, 0, b"12345678"))
    header[4] = 7
    parser = Parser(MOST)
    parser.feed(bytes(header))

    with pytest.raises(WireError, match="speaks version 7 of the protocol; this end speaks 1"):
        parser.take()


def test_a_check_made_without_the_token_or_with_another_is_forged():
    body = b"12345678"
    for key in (None, Key(b"x" * 32)):
        parser = Parser(MOST, KEY)
        parser.feed(pack(Type.PING, 0, body, key=key) + body)
        with pytest.raises(WireError, match="was not made with this token") as raised:
            parser.take()
        assert raised.value.fault is Fault.FORGED


def test_the_header_has_the_stated_layout():
    header = pack(Type.FRAME, 5, b"abc", b"defg")

    assert HEADER_BYTES == len(header) == 36
    assert header[:4] == b"STW1"
    assert header[4:8] == bytes([1, 5, 0, 0])
    assert struct.unpack("<II", header[8:16]) == (5, 7)
    assert header[20:32] == bytes(12)
