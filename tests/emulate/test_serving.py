"""A server over real sockets: queue, batches, answers, cancels, replays, clocks."""

from __future__ import annotations

import select
import socket
import time

import pytest
from wire_world import DETECTOR, MS, POINT, Gate, answers, ask, client, eventually, serving, waits

from testbed.emulate.batcher import Batcher, Job
from testbed.emulate.bodies import Hello, Kind, Request, Status
from testbed.emulate.connection import Unreachable, connect, framing_bytes
from testbed.emulate.protocol import Fault, Parser, Type, WireError, pack
from testbed.emulate.serving import Rules
from testbed.emulate.serving_peer import Limits, State
from testbed.model import OperatingPoint


def test_an_answer_says_when_the_frame_came_and_when_it_was_decoded():
    with serving(waits(20)) as server, client(server) as line:
        before = time.monotonic_ns()
        answer = ask(line, answer_bytes=400)
        after = time.monotonic_ns()

    assert (answer.status, answer.stand_in, answer.batch) == (Status.DECODED, True, 1)
    assert line.offset_ns == 0
    assert before < answer.arrived_ns < answer.arrived_ns + answer.decoded_ns < after
    assert answer.batch_start_ns >= 0
    assert answer.decoded_ns - answer.batch_start_ns >= 20 * MS


def test_an_answer_is_as_long_as_asked_for():
    with serving() as server, client(server) as line:
        line.send(Request(0, POINT, Kind.STAND_IN, answer_bytes=400), b"x")
        line.flush()
        sock = line._sock
        sock.settimeout(5)
        eventually(lambda: len(sock.recv(1000, 0x2)) == 400)  # MSG_PEEK


def test_a_client_may_send_before_the_welcome():
    with serving() as server, client(server, wait=False) as line:
        assert line.welcome is None
        assert ask(line).status is Status.DECODED
        assert line.welcome.stand_in


def test_who_sends_on_without_waiting_is_not_interrupted_by_the_welcome():
    with serving() as server:
        body = Hello("camera", DETECTOR, b"r" * 16, b"c" * 16, b"n" * 16).pack()
        request = Request(0, POINT, Kind.STAND_IN).pack()
        payload = bytes(30_000)
        sent = pack(Type.HELLO, 0, body) + body
        sent += pack(Type.FRAME, 1, request, payload) + request + payload
        opening = framing_bytes("camera", DETECTOR, opening=True)
        assert len(sent) == opening + len(payload)
        with socket.create_connection(server.address, 5) as sock:
            sock.sendall(sent[:-1])
            quiet, _, _ = select.select([sock], [], [], 0.3)
            sock.sendall(sent[-1:])
            parser, kinds = Parser({Type.WELCOME: 1000, Type.ANSWER: 1000}), []
            while len(kinds) < 2:
                parser.feed(sock.recv(1000))
                while (message := parser.take()) is not None:
                    kinds.append(message.type)

    assert quiet == []
    assert kinds == [Type.WELCOME, Type.ANSWER]


def test_a_frame_is_told_when_the_kernel_has_it():
    with serving() as server, client(server) as line:
        line.send(Request(3, POINT, Kind.STAND_IN), b"x" * 500)
        assert line.unsent_bytes > 500
        (handed,) = line.flush()
        assert (handed.frame, handed.wire_bytes) == (3, 500 + 36 + 31)
        assert handed.began_ns <= handed.ended_ns
        assert line.unsent_bytes == 0


def test_a_frame_that_has_not_begun_can_be_withdrawn():
    with serving() as server, client(server) as line:
        line.send(Request(0, POINT, Kind.STAND_IN), b"x")
        line.send(Request(1, POINT, Kind.STAND_IN), b"x")
        assert line.withdraw(0)
        assert not line.withdraw(0)
        assert list(answers(line, 1)) == [1]


def test_frames_wait_for_each_other_as_long_as_the_rules_say():
    rules = Rules(batch_max=3, batch_wait_ns=200 * MS)
    with serving(rules=rules) as server, client(server) as line:
        for number in range(4):
            line.send(Request(number, POINT, Kind.STAND_IN), b"x")
        found = answers(line, 4)

    assert [found[n].batch for n in range(4)] == [3, 3, 3, 1]
    assert found[3].batch_start_ns >= 200 * MS


def test_a_full_queue_refuses_at_once_and_without_padding():
    gate = Gate()
    with serving(gate, Rules(queue_limit=1)) as server, client(server) as line:
        for number in range(4):
            line.send(Request(number, POINT, Kind.STAND_IN, answer_bytes=4000), b"x")
        found = answers(line, 2)
        gate.open()
        gate.open()
        decoded = answers(line, 2)

    assert {number: answer.status for number, answer in found.items()} == {
        2: Status.QUEUE_FULL,
        3: Status.QUEUE_FULL,
    }
    assert {answer.status for answer in decoded.values()} == {Status.DECODED}
    assert found[2].batch_start_ns is None
    assert found[2].ahead == 1


def test_an_expired_frame_is_given_up_when_its_turn_comes():
    gate = Gate()
    with serving(gate, Rules(drop_expired=True)) as server, client(server) as line:
        soon = line.theirs(time.monotonic_ns()) + 1 * MS
        later = soon + 3600 * 1000 * MS
        line.send(Request(0, POINT, Kind.STAND_IN), b"x")
        line.send(Request(1, POINT, Kind.STAND_IN, deadline_ns=soon), b"x")
        line.send(Request(2, POINT, Kind.STAND_IN, deadline_ns=later), b"x")
        line.flush()
        time.sleep(0.01)
        gate.open()
        gate.open()
        found = answers(line, 3)

    assert [found[n].status for n in range(3)] == [Status.DECODED, Status.EXPIRED, Status.DECODED]


def test_cancelled_frames_leave_the_queue_and_the_others_move_up():
    gate = Gate()
    with serving(gate) as server, client(server) as line:
        for number in range(5):
            line.send(Request(number, POINT, Kind.STAND_IN), b"x")
        line.cancel(3, older=True)
        line.cancel(4, expired=True)
        found = answers(line, 4)
        gate.open()
        found |= answers(line, 1)

    assert [found[n].status for n in range(5)] == [
        Status.DECODED,
        *[Status.SUPERSEDED] * 3,
        Status.CANCELLED,
    ]


def test_a_client_cancels_its_own_frames_only():
    gate = Gate()
    with serving(gate) as server, client(server) as one, client(server, client="b") as two:
        one.send(Request(0, POINT, Kind.STAND_IN), b"x")
        one.send(Request(1, POINT, Kind.STAND_IN), b"x")
        one.flush()
        eventually(lambda: len(server._batcher) == 1)
        two.cancel(9, older=True)
        two.ping()
        two.flush()
        select.select([two], [], [], 5)
        gate.open()
        gate.open()
        assert answers(one, 2)[1].status is Status.DECODED


def test_a_point_that_nobody_knows_cannot_be_decoded():
    with serving() as server, client(server) as line:
        assert ask(line, point=OperatingPoint(0.3)).status is Status.UNDECODABLE
        assert ask(line, 1).status is Status.DECODED


def test_a_detector_that_is_not_served_is_refused_with_the_nearest():
    with serving() as server, pytest.raises(WireError, match="Did you mean 'published/table'"):
        client(server, detector="published/tabel")


def test_a_frame_is_taken_once_in_a_run_whatever_the_connection():
    run = b"one run of many."
    with serving() as server:
        with client(server, run=run) as line:
            ask(line, 0)
            ask(line, 5)
            ask(line, 3)
        with client(server, run=run) as line:
            ask(line, 4)
            with pytest.raises(WireError, match="frame 5 of camera has been here") as raised:
                ask(line, 5)
        with client(server, run=b"another run, new") as line:
            ask(line, 5)

    assert raised.value.fault is Fault.REPLAYED


def test_a_payload_larger_than_the_server_takes_is_not_sent():
    wrong = pytest.raises(ValueError, match="a payload of 1001 bytes; the server takes 1000")
    with serving(limits=Limits(payload_bytes=1000)) as server, client(server) as line, wrong:
        line.send(Request(0, POINT, Kind.STAND_IN), b"x" * 1001)


def test_payloads_that_wait_do_not_exceed_their_memory():
    limits = Limits(payload_bytes=100_000, queued_bytes=250_000)
    gate = Gate()
    with serving(gate, limits=limits) as server, client(server) as line:
        for number in range(4):
            line.send(Request(number, POINT, Kind.STAND_IN), bytes(100_000))
        found = answers(line, 2)
        gate.open()
        gate.open()
        found |= answers(line, 2)
        gate.open()
        again = ask(line, 9)

    statuses = [found[n].status for n in range(4)]
    assert statuses == [Status.DECODED, Status.DECODED, Status.QUEUE_FULL, Status.QUEUE_FULL]
    assert again.status is Status.DECODED


def test_a_ping_tells_the_round_trip():
    with serving() as server, client(server) as line:
        line.rtt_ns = None
        line.ping()
        line.flush()
        select.select([line], [], [], 5)
        line.receive()
        assert 0 < line.rtt_ns < 2000 * MS


def test_a_stopped_server_says_so():
    with serving() as server, client(server) as line:
        server.stop()
        eventually(lambda: server._listener.fileno() == -1)
        with pytest.raises(WireError, match="the server is stopped"):
            line.receive()


def test_nobody_at_the_address_is_said():
    with serving() as server:
        address = server.address
    with pytest.raises(Unreachable, match=f"127.0.0.1:{address[1]}: Connection refused"):
        connect(address, client="a", detector=DETECTOR, timeout_s=1)


def test_frames_sent_before_a_half_close_are_answered():
    gate = Gate()
    with serving(gate) as server, client(server) as line:
        line.send(Request(0, POINT, Kind.STAND_IN), b"x")
        line.flush()
        line._sock.shutdown(1)
        eventually(lambda: any(p.state is State.ENDING for p in list(server._peers.values())))
        gate.open()
        assert answers(line, 1)[0].status is Status.DECODED
        eventually(lambda: server.connections == 0)


def test_the_frames_of_a_client_that_left_are_not_decoded():
    gate = Gate()
    with serving(gate) as server, client(server, client="other") as other:
        with client(server) as line:
            for number in range(10):
                line.send(Request(number, POINT, Kind.STAND_IN), b"x")
            line.flush()
            eventually(lambda: len(server._batcher) == 9)
        eventually(lambda: len(server._batcher) == 0)
        gate.open()
        gate.open()
        assert ask(other).status is Status.DECODED

    assert server.counts[Status.DECODED] == 2


def test_a_batcher_takes_back_what_is_asked_for():
    batcher = Batcher(
        workers=1, batch_max=1, batch_wait_ns=0, queue_limit=9, drop_expired=False,
        given_up=lambda job, now: None,
    )  # fmt: skip
    jobs = [Job(owner, 0) for owner in "abc"]
    for job in jobs:
        assert batcher.arrive(job)
    assert [job.owner for job in batcher.withdraw(lambda job: job.owner != "b")] == ["a", "c"]
    assert batcher.start(0) == (0, [jobs[1]])
