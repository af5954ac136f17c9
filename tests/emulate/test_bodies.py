"""The bodies of the messages: each comes back as it went, and nothing else is taken for one."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.detectors.answers import written
from testbed.detectors.detections import Detections
from testbed.detectors.entropy import CODECS as KNOWN_CODECS
from testbed.emulate import bodies
from testbed.emulate.bodies import (
    CODECS,
    MODES,
    Answer,
    Cancel,
    Challenge,
    Farewell,
    Hello,
    Kind,
    Ping,
    Pong,
    Request,
    Status,
    Welcome,
    pack_boxes,
)
from testbed.emulate.protocol import Fault, WireError
from testbed.model import LOCAL, OperatingPoint

POINT = OperatingPoint(0.416, 8, "zstd")
instants = st.integers(-(2**63), 2**63 - 2)
sixteen = st.binary(min_size=16, max_size=16)
names = st.text("abcXYZ019-_./", min_size=1, max_size=100)

requests = st.builds(
    Request,
    st.integers(0, 2**32 - 1),
    st.builds(
        OperatingPoint,
        st.floats(0, 1, exclude_min=True),
        st.integers(0, 32),
        st.sampled_from([*CODECS, "jpeg-75", "webp-1"]),
        st.sampled_from(MODES),
    ),
    st.sampled_from(Kind),
    st.none() | instants,
    st.integers(0, bodies.MOST_BOXES),
    st.integers(0, bodies.MOST_ANSWER_BYTES),
)


@given(requests, st.binary(max_size=50))
def test_a_request_comes_back_with_its_payload(request, payload):
    found, rest = Request.unpack(request.pack() + payload)

    assert (found, bytes(rest)) == (request, payload)


@given(names, names, sixteen, sixteen, sixteen)
def test_a_hello_comes_back(client, detector, run, clock, nonce):
    hello = Hello(client, detector, run, clock, nonce)

    assert Hello.unpack(hello.pack()) == hello


@pytest.mark.parametrize(
    "body",
    [
        Challenge(bytes(range(16))),
        Welcome(7, bytes(16), -5, 10**18, 4_000_000, True),
        Cancel(3, True, False),
        Ping(2**64 - 1),
        Pong(1, -2, 3),
        Farewell(Fault.REPLAYED, "frame 3 has been here"),
        Answer(9, Status.EXPIRED, False, -1, None, 5, ahead=3),
    ],
)
def test_a_body_comes_back(body):
    assert type(body).unpack(body.pack()) == body


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_a_fault(junk):
    for kind in (Hello, Challenge, Welcome, Request, Answer, Cancel, Ping, Pong, Farewell):
        with suppress(WireError):
            kind.unpack(junk)


def test_codecs_have_the_numbers_of_the_entropy_coders():
    assert tuple(KNOWN_CODECS) == CODECS[: len(KNOWN_CODECS)]


def test_boxes_come_back_as_a_recording_would_have_them():
    found = Detections(
        np.array([[-3, 1.25, 639.5, 480], [100.1, 200.2, 300.3, 400.4], [0, 0, 1, 1]], np.float32),
        np.array([1.0, 0.123456, 0.01], np.float32),
        np.array([1, 90, 3]),
    )
    parts, boxes = pack_boxes(found, 2)
    body = Answer(4, Status.DECODED, False, 10, 20, 30, 2, 1, parts, boxes).pack(400)

    back = Answer.unpack(body)
    seen = back.detections()
    edges, levels = written(found.boxes.clip(min=0), found.scores)

    assert len(body) == 400
    assert (back.arrived_ns, back.batch_start_ns, back.decoded_ns) == (10, 20, 30)
    assert (seen.boxes * 16).tolist() == edges[:2].tolist()
    assert np.rint(seen.scores * 65_535).tolist() == levels[:2].tolist()
    assert seen.labels.tolist() == [1, 90]


def test_a_picture_too_large_for_sixteenths_gets_coarser_steps():
    found = Detections(
        np.array([[0, 0, 9000.25, 10]], np.float32), np.ones(1, np.float32), np.array([1])
    )
    parts, boxes = pack_boxes(found, 5)

    assert parts == 4
    answer = Answer(0, Status.DECODED, False, 0, 0, 0, parts=parts, boxes=boxes)
    assert answer.detections().boxes.tolist() == [[0, 0, 9000.25, 10]]


def test_a_mode_that_is_not_sent_is_refused():
    with pytest.raises(ValueError, match="mode local is not sent"):
        Request(0, LOCAL, Kind.STAND_IN).pack()


def test_more_than_an_answer_holds_is_refused():
    with pytest.raises(ValueError, match="1000 boxes and 65536 bytes at most"):
        Request(0, POINT, Kind.STAND_IN, answer_bytes=10**6).pack()


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "ümlaut", "new\nline"])
def test_names_that_could_fool_a_log_do_not_get_through(name):
    raw = name.encode()
    layout = bodies._HELLO.pack(bytes(16), bytes(16), bytes(16), len(raw), 1)
    with pytest.raises(WireError):
        Hello.unpack(layout + raw + b"d")


def test_a_farewell_is_printable_whatever_was_in_it():
    assert Farewell.unpack(b"\x00a\x1b[31mb\n").text == "a?[31mb?"
