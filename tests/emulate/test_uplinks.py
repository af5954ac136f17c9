"""Frames over real connections of this host, in a loop of the wall's clock."""

import socket
import threading
import time
from functools import partial

import pytest
from wire_world import DETECTOR, POINT, waits

from testbed.emulate import tcp_info
from testbed.emulate.bodies import Kind, Request, Status
from testbed.emulate.clock import WallClock
from testbed.emulate.connection import Unreachable, connect
from testbed.emulate.serving import Rules, Server
from testbed.emulate.uplinks import LongLived, PerFrame

S = 1_000_000_000


@pytest.fixture
def server():
    server = Server(socket.create_server(("127.0.0.1", 0)), waits(1), Rules())
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join()


def exchange(clock, uplink, answers, frames):
    """Send frames of 70 kB, and run until all are answered or ten seconds have passed."""
    clock.begin(time.monotonic_ns())
    for frame in range(frames):
        uplink.send(Request(frame, POINT, Kind.STAND_IN, 60 * S), bytes(70_000))
    while len(answers) < frames and clock.now < 10 * S:
        clock.run_until(clock.now + S // 100)


@pytest.mark.parametrize("kind", ["long", "per frame"])
def test_every_frame_is_answered_and_says_when_it_began(server, kind):
    clock, answers = WallClock(), []
    open_line = partial(connect, server.address, client="camera", detector=DETECTOR, run=b"r" * 16)

    def take(answer, arrived_ns):
        began_ns = uplink.began_ns(answer.frame)
        assert 0 <= began_ns <= arrived_ns <= clock.now
        answers.append((answer.frame, answer.status, uplink.repeated()))

    if kind == "long":
        uplink = LongLived(clock, take, open_line())
    else:
        uplink = PerFrame(clock, take, 0, open_line, 0)
    exchange(clock, uplink, answers, 3)

    none = tcp_info.Repeated(0, 0)
    assert sorted(answers) == [(frame, Status.DECODED, none) for frame in range(3)]
    assert uplink.backlog_bytes() == 0
    uplink.close()


def test_a_connection_of_a_frame_that_cannot_be_opened_is_an_error(server):
    clock = WallClock()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = nobody.getsockname()
    open_line = partial(connect, address, client="camera", detector=DETECTOR)
    uplink = PerFrame(clock, lambda *_: None, 0, open_line, 0)

    with pytest.raises(Unreachable):
        exchange(clock, uplink, [], 1)

    uplink.close()


def test_the_kernel_says_what_was_sent_again_and_which_control_there_is(server):
    first = connect(
        server.address,
        client="camera",
        detector=DETECTOR,
        prepare=partial(tcp_info.control, "reno"),
    )

    assert tcp_info.repeated(first.fileno()) == (0, 0)
    assert tcp_info.congestion_control(first.fileno()) == "reno"
    first.close()
