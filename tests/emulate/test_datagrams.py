"""Fragments, and a server to which anybody may send datagrams."""

from __future__ import annotations

import random
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_world import MS, POINT, Gate, ask, client, eventually, serving, waits

from testbed.emulate.bodies import Answer, Kind, Request, Status
from testbed.emulate.fragments import (
    HEAD_BYTES,
    Head,
    Part,
    Reassembly,
    Terms,
    deadline_ns,
    deadline_us,
    fragments,
)
from testbed.emulate.protocol import Fault, WireError
from testbed.emulate.serving_peer import Limits

POINTS = (Request(0, POINT, Kind.STAND_IN, answer_bytes=300),)


@given(st.binary(min_size=1, max_size=2000), st.integers(64, 300), st.randoms())
def test_a_payload_comes_together_whatever_the_order(payload, packet_bytes, rng):
    packets = list(fragments(Head(Part.FRAME, 7), payload, packet_bytes, 3))
    assert len(packets) == -(-len(payload) // packet_bytes)
    assert sum(map(len, packets)) == len(payload) + len(packets) * (HEAD_BYTES + 3)
    rng.shuffle(packets)
    whole = Reassembly(packet_bytes, 3, 2000)

    found = [whole.take(Head.unpack(packet), packet, 10) for packet in packets]

    assert found == [None] * (len(packets) - 1) + [payload]
    assert whole.held_bytes == 0
    assert whole.oldest_ns is None


@given(st.integers(0, 2**62), st.integers(-1_000_000_000, 1_000_000_000))
def test_a_deadline_is_known_to_a_microsecond(now_ns, ahead_ns):
    until_ns = now_ns + ahead_ns
    assert 0 <= until_ns - deadline_ns(deadline_us(until_ns), now_ns) < 1000


def test_a_frame_without_its_rest_is_forgotten_at_its_time():
    whole = Reassembly(100, 0, 1000)
    first, *_ = fragments(Head(Part.FRAME, 3), bytes(250), 100, 0)
    whole.take(Head.unpack(first), first, 50)
    whole.take(Head.unpack(first), first, 50)  # a copy costs nothing
    assert whole.held_bytes == 100 + 128
    assert whole.overdue(49) == []
    assert whole.overdue(50) == [3]
    assert whole.held_bytes == 0


@pytest.mark.parametrize(
    ("heads", "sizes", "fault"),
    [
        ([Head(Part.FRAME, 0, 0, last=False)], [99], Fault.MALFORMED),
        ([Head(Part.FRAME, 0, 0)], [101], Fault.MALFORMED),
        ([Head(Part.FRAME, 0, 10)], [1], Fault.OVERSIZED),
        ([Head(Part.FRAME, 0, 1), Head(Part.FRAME, 0, 2)], [9, 9], Fault.MALFORMED),
        ([Head(Part.FRAME, 0, 2, last=False), Head(Part.FRAME, 0, 1)], [100, 9], Fault.MALFORMED),
        ([Head(Part.FRAME, 0, 1), Head(Part.FRAME, 0, 0, point=1)], [9, 9], Fault.MALFORMED),
    ],
)
def test_a_fragment_that_fits_no_payload_is_refused(heads, sizes, fault):
    whole = Reassembly(100, 0, 1000)
    *before, (last, size) = zip(heads, sizes, strict=True)
    for head, its_size in before:
        whole.take(head, head.pack() + bytes(its_size), 10)
    with pytest.raises(WireError) as caught:
        whole.take(last, last.pack() + bytes(size), 10)
    assert caught.value.fault is fault


@given(st.binary(max_size=13))
def test_terms_that_are_too_short_are_refused(body):
    with pytest.raises(WireError, match="DATAGRAMS of"):
        Terms.unpack(body)


def test_terms_arrive_as_they_were_packed():
    terms = Terms(4000, 1400, 2, 5, True, POINTS)
    assert Terms.unpack(terms.pack()) == terms
    with pytest.raises(WireError, match="64 is the least"):
        Terms.unpack(terms._replace(packet_bytes=63).pack())


class Sender:
    """A client's socket, with terms agreed on."""

    def __init__(self, line, *, grace_ns=20 * MS, cancel=True, packet_bytes=100):
        self.sock = line.beside(socket.SOCK_DGRAM)
        self.sock.settimeout(5)
        port = self.sock.getsockname()[1]
        self.terms = Terms(port, packet_bytes, 0, grace_ns, cancel, POINTS)
        line.agree(self.terms)

    def packets(self, frame, size=250, ahead_ns=1_000 * MS):
        until_us = deadline_us(time.monotonic_ns() + ahead_ns)
        head = Head(Part.FRAME, frame, deadline_us=until_us)
        return list(fragments(head, bytes(size), self.terms.packet_bytes, 0))

    def hear(self):
        data = self.sock.recv(65_535)
        return Head.unpack(data), data[HEAD_BYTES:]


@pytest.fixture
def port():
    """A socket for datagrams on a port of its own, which the server closes."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield sock
    sock.close()


def heard(sender, sock):
    """Let a sender's datagrams go to the port of `sock`."""
    sender.sock.connect(sock.getsockname())
    return sender


def bound(sock):
    sock.bind(("127.0.0.1", 0))
    return sock


def test_a_frame_is_received_and_answered(port):
    with serving(waits(5), datagrams=bound(port)) as server, client(server) as line:
        sender = heard(Sender(line), port)
        for packet in sender.packets(4):
            sender.sock.send(packet)
        assert sender.hear() == (Head(Part.RECEIVED, 4), b"")
        answer = b""
        while len(answer) < 300:
            head, piece = sender.hear()
            assert (head.part, head.frame) == (Part.ANSWER, 4)
            answer += piece
        found = Answer.unpack(answer)
        sender.sock.close()

    assert (found.frame, found.status) == (4, Status.DECODED)
    assert server.counts == {Status.DECODED: 1}


def test_a_partial_frame_is_forgotten_at_its_deadline_and_its_client_told(port):
    with serving(datagrams=bound(port)) as server, client(server) as line:
        sender = heard(Sender(line), port)
        before = time.monotonic_ns()
        sender.sock.send(sender.packets(9, ahead_ns=100 * MS)[0])
        assert sender.hear() == (Head(Part.INCOMPLETE, 9), b"")
        assert 120 * MS <= time.monotonic_ns() - before + 1000 < 2_000 * MS
        assert server._datagrams.held_bytes == 0
        sender.sock.close()


@pytest.mark.parametrize(("cancel", "status"), [(True, "EXPIRED"), (False, "DECODED")])
def test_an_answer_after_the_deadline_is_given_up_if_that_was_agreed_on(port, cancel, status):
    with serving(waits(60), datagrams=bound(port)) as server, client(server) as line:
        sender = heard(Sender(line, cancel=cancel, packet_bytes=1400), port)
        for packet in sender.packets(0, ahead_ns=20 * MS):
            sender.sock.send(packet)
        sender.hear()
        _, body = sender.hear()
        assert Answer.unpack(body).status.name == status
        sender.sock.close()


def test_strangers_and_late_copies_are_counted_and_logged_once(port):
    with (
        serving(datagrams=bound(port)) as server,
        client(server) as line,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        sender = heard(Sender(line), port)
        packets = sender.packets(0)
        for packet in packets + packets:
            sender.sock.send(packet)
        for packet in packets * 5:
            stranger.sendto(packet, port.getsockname())
        eventually(lambda: server.journal.faults[Fault.REFUSED] == 15)
        eventually(lambda: server.counts[Status.DECODED] == 1)
        sender.sock.close()

    assert server.journal.faults[Fault.REPLAYED] == 3
    assert len([text for text in server.lines if "without terms" in text]) == 1


def test_unfinished_frames_cost_bounded_memory(port):
    limits = Limits(partial_bytes=20_000)
    with serving(datagrams=bound(port), limits=limits) as server, client(server) as line:
        sender = heard(Sender(line), port)
        for frame in range(300):
            sender.sock.send(sender.packets(frame)[0])
        eventually(lambda: server.journal.faults[Fault.FULL] == 300 - 20_000 // 228)
        assert server._datagrams.held_bytes <= 20_000
        sender.sock.close()


def test_a_server_without_datagrams_says_so():
    terms = Terms(4000, 1400, 0, 0, True, POINTS)
    with serving() as server, client(server) as line:  # noqa: SIM117
        with pytest.raises(WireError, match="no datagrams are taken here"):
            line.agree(terms)


def test_frames_of_a_client_that_is_gone_are_forgotten(port):
    with serving(Gate(), datagrams=bound(port)) as server:
        with client(server) as line:
            sender = heard(Sender(line), port)
            sender.sock.send(sender.packets(0)[0])
            eventually(lambda: server._datagrams.held_bytes > 0)
            sender.sock.close()
        eventually(lambda: server._datagrams.held_bytes == 0)


def test_spoilt_datagrams_break_nothing_while_a_client_is_served(port):
    rng = random.Random(7)
    limits = Limits(partial_bytes=100_000)
    with serving(datagrams=bound(port), limits=limits) as server, client(server) as line:
        with client(server) as other:
            sender = heard(Sender(line), port)
            for number in range(1500):
                packet = bytearray(rng.choice(sender.packets(rng.randrange(40))))
                for _ in range(rng.randrange(4)):
                    packet[rng.randrange(min(len(packet), 16))] = rng.randrange(256)
                sender.sock.send(packet[: rng.choice((len(packet), rng.randrange(len(packet))))])
                if number % 100 == 0:
                    assert ask(other, frame=number).status is Status.DECODED
            assert server._datagrams.held_bytes <= limits.partial_bytes
            sender.sock.close()
        assert server.journal.faults[Fault.MALFORMED] > 50
        assert server.journal.faults[Fault.GARBLED] > 50
    assert len(server.lines) < 12
