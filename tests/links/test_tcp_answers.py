"""Acknowledgements of answers: when they leave, and that payloads wait for them."""

from __future__ import annotations

import pytest
from curves import MS, S, opportunities
from lossy import play

from testbed.links.capacity import ConstantRate, Opportunities
from testbed.links.fifo import FifoLink
from testbed.links.tcp.answers import Answers
from testbed.links.tcp.packets import HEADER_BYTES
from testbed.links.tcp.transport import Tcp
from testbed.links.transport import Ideal

RTT = 60 * MS


def test_outside_of_a_dialogue_an_answer_is_acknowledged_at_once():
    answers = Answers(RTT)
    assert [answers.heard(at * 100 * MS, 400) for at in range(3)] == [1, 1, 1]
    assert answers.timer_ns is None


def in_a_dialogue():
    """Return one where data left 10 ms after an answer, at 110 ms."""
    answers = Answers(RTT)
    answers.heard(100 * MS, 400)
    answers.spoke(110 * MS)
    return answers


def test_in_a_dialogue_it_waits_for_data_to_ride_on():
    answers = in_a_dialogue()
    assert answers.heard(200 * MS, 400) == 0
    assert 240 * MS < answers.timer_ns <= 244 * MS
    answers.spoke(220 * MS)
    assert answers.timer_ns is None


def test_if_none_comes_the_dialogue_is_over():
    answers = in_a_dialogue()
    answers.heard(200 * MS, 400)
    answers.ring()
    assert answers.timer_ns is None
    assert answers.heard(300 * MS, 400) == 1


def test_data_that_comes_late_is_no_dialogue():
    answers = Answers(RTT)
    answers.heard(100 * MS, 400)
    answers.spoke(141 * MS)
    assert answers.heard(200 * MS, 400) == 1


def test_the_second_answer_that_waits_is_acknowledged_with_the_first():
    answers = in_a_dialogue()
    assert answers.heard(200 * MS, 400) == 0
    assert answers.heard(225 * MS, 400) == 1
    assert answers.timer_ns is None


@pytest.mark.parametrize(("size_bytes", "at_once"), [(1448, 1), (1449, 1), (4000, 2), (14_480, 5)])
def test_of_a_long_answer_every_second_segment_is_acknowledged(size_bytes, at_once):
    assert Answers(RTT).heard(0, size_bytes) == at_once


@pytest.mark.parametrize("model", ["auto", "packets"])
def test_a_payload_waits_for_the_acknowledgement_before_it(model):
    """Opportunities of 1500 bytes: 52 bytes take what the last segment of a full one needs."""
    took = []
    for heard in (False, True):
        link = FifoLink(Opportunities(opportunities(1, 2, 30, 60, 2000)), 25 * MS)
        connection = Tcp(host_ms=0, idle_restart=False, model=model).connect(link, 25 * MS)
        if heard:
            connection.answered(0, 400)
        [delivery] = play(connection, [(0, 3 * 1448)])
        assert delivery.start_ns == 0  # the acknowledgement is not what it waited for
        assert delivery.wire_bytes == 3 * 1500
        took.append(delivery.sent_ns)
    assert took == [30 * MS, 60 * MS]


@pytest.mark.parametrize("model", ["auto", "packets"])
def test_an_acknowledgement_that_waited_in_vain_takes_the_link_when_its_timer_rings(model):
    link = FifoLink(ConstantRate(8_000_000), 25 * MS)
    connection = Tcp(host_ms=0, idle_restart=False, model=model).connect(link, 25 * MS)
    connection.answered(100 * MS, 400)
    play(connection, [(110 * MS, 1448)])
    before = link.offered_bytes
    connection.answered(1000 * MS, 400)
    assert link.offered_bytes == before
    assert 1040 * MS < connection.next_ns <= 1044 * MS
    connection.advance(2 * S)
    assert link.offered_bytes == before + HEADER_BYTES


def test_who_has_a_connection_for_each_frame_acknowledges_and_closes_it():
    link = FifoLink(ConstantRate(8_000_000), 25 * MS)
    connection = Tcp(connection="per_frame").connect(link, 25 * MS)
    connection.answered(0, 400)
    assert link.offered_bytes == 2 * HEADER_BYTES


def test_without_tcp_nothing_is_acknowledged():
    link = FifoLink(ConstantRate(8_000_000), 25 * MS)
    Ideal().connect(link, 0).answered(0, 400)
    assert link.offered_bytes == 0
