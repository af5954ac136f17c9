"""What an emulated client books, with a network that the test is."""

import pytest

from testbed.emulate.bodies import Answer, Kind, Status
from testbed.emulate.client import EmulatedClient, StandIn
from testbed.emulate.tcp_info import Repeated
from testbed.errors import TestbedError
from testbed.links.tcp.transport import Tcp
from testbed.model import Fate
from testbed.parts import make
from testbed.policies import policies
from testbed.simulate.clock import Clock

MS = 1_000_000


class Uplink:
    """Keeps what it is given; the test answers."""

    framing_bytes = 67

    def __init__(self, clock):
        self.sent = []
        self.again = Repeated()
        self._clock = clock

    def send(self, request, payload):
        self.sent.append((self._clock.now, request, payload))

    def backlog_bytes(self):
        return sum(len(payload) for _, _, payload in self.sent)

    def began_ns(self, frame):
        return next(at for at, request, _ in self.sent if request.frame == frame)

    def repeated(self):
        return self.again


@pytest.fixture
def made(world):
    """Return a function that makes a client, its clock and its uplink."""

    def make_client(*changes):
        scenario = world(
            "clients.0.device", "jetson-xavier-nx", "clients.0.radio", "wifi-2012",
            "duration_s", 0.5, *changes,
        )  # fmt: skip
        clock = Clock()
        client = EmulatedClient(
            clock,
            "camera",
            scenario.clients[0],
            make(policies, scenario.spec.policies["narrow"]),
            seed=1,
            deadline_ns=scenario.spec.deadline_ns,
            duration_ns=scenario.spec.duration_ns,
            end_ns=scenario.spec.duration_ns + scenario.spec.deadline_ns,
            delays_ns=(25 * MS, 25 * MS),
            transport=Tcp(),
            stand_in=StandIn(),
        )
        client.uplink = Uplink(clock)
        return client, clock, client.uplink

    return make_client


def answer(frame, status=Status.DECODED):
    start = MS if status is Status.DECODED else None
    return Answer(frame, status, True, 0, start, 14 * MS)


def test_an_answer_puts_the_books_right(made):
    client, clock, uplink = made()
    clock.run_until(100 * MS)
    [(began_ns, request, payload)] = uplink.sent
    assert (len(payload), request.kind, request.frame) == (73_728, Kind.STAND_IN, 0)
    assert request.deadline_ns == 300 * MS

    clock.run_until(170 * MS)
    client.answered(answer(0), 120 * MS)
    clock.run_until(171 * MS)

    frame = client.frames[0]
    assert (frame.send_start_ns, frame.sent_ns, frame.arrived_ns) == (began_ns, 95 * MS, 120 * MS)
    assert (frame.batch_start_ns, frame.decoded_ns, frame.answered_ns) == (
        121 * MS, 134 * MS, 170 * MS,
    )  # fmt: skip
    assert frame.fate is Fate.ON_TIME
    assert frame.wire_bytes == 73_728 + 67 + 52 * 51
    up, down = client.radio.transfers
    assert up[:2] == (began_ns, 95 * MS)
    assert down[:2] == (159 * MS, 170 * MS)


def test_what_was_sent_again_counts_on_the_wire(made):
    client, clock, uplink = made()
    clock.run_until(140 * MS)
    uplink.again = Repeated(2 * 1448, 2)

    client.answered(answer(0), 120 * MS)

    assert client.frames[0].wire_bytes == 73_728 + 67 + 52 * 51 + 2 * 1500


def test_a_frame_that_waits_behind_another_starts_when_that_has_left(made):
    client, clock, _ = made()
    clock.run_until(450 * MS)
    for frame, arrived_ns in ((0, 290 * MS), (1, 350 * MS)):
        client.answered(answer(frame), arrived_ns)
    clock.run_until(460 * MS)

    first, second = client.frames[:2]
    assert second.send_start_ns == first.sent_ns == 265 * MS
    assert first.fate is Fate.LATE


@pytest.mark.parametrize(
    ("status", "fate"),
    [(Status.QUEUE_FULL, Fate.DROPPED_QUEUE), (Status.EXPIRED, Fate.DROPPED_DEADLINE)],
)
def test_a_refusal_is_the_fate_it_is_in_the_simulator(made, status, fate):
    client, clock, _ = made()
    clock.run_until(140 * MS)

    client.answered(answer(0, status), 120 * MS)
    clock.run_until(150 * MS)

    assert client.frames[0].fate is fate
    assert client.frames[0].answered_ns is None


def test_a_frame_without_an_answer_is_unfinished_and_the_radio_stays_awake_for_it(made):
    client, clock, _ = made("duration_s", 0.1)
    clock.run_until(400 * MS)

    assert [frame.fate for frame in client.frames] == [Fate.UNFINISHED]
    spans = client.ledger.close(400 * MS)
    assert [span.state for span in spans if span.component == "radio"][-1] == "connected"


def test_an_answer_for_nobody_changes_nothing(made):
    client, clock, _ = made()
    clock.run_until(100 * MS)

    client.answered(answer(9), 90 * MS)

    assert client.frames[0].fate is Fate.UNFINISHED


def test_a_live_encoder_has_no_simulated_battery(world):
    scenario = world("clients.0.battery", {"capacity_wh": 10})
    with pytest.raises(TestbedError, match="camera: a battery or heat is simulated"):
        EmulatedClient(
            Clock(), "camera", scenario.clients[0],
            make(policies, scenario.spec.policies["narrow"]), seed=1, deadline_ns=MS,
            duration_ns=MS, end_ns=MS, delays_ns=(0, 0), transport=Tcp(), stand_in=StandIn(),
            live=object(),
        )  # fmt: skip
