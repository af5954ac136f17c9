"""A client in real time: its payloads are bytes on a real connection.

Everything a device decides and books is `testbed.clients.client.Client`, the class that the
simulator drives. What is real here is the time, the way to the server and back, and with a live
detector the encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from testbed.clients.client import Client, Clock
from testbed.emulate.bodies import FATE_OF, MODES, Answer, Kind, Request, Status
from testbed.errors import TestbedError
from testbed.links.transport import Transport
from testbed.model import FrameRecord, OperatingPoint, Policy, Rung
from testbed.scenario import Client as ClientSetup


class Uplink(Protocol):
    """How frames get to the server (`testbed.emulate.uplinks`).

    Attributes:
        framing_bytes: What is sent before each payload.
    """

    framing_bytes: int

    def send(self, request: Request, payload: bytes) -> None:
        """Hand over a frame."""

    def backlog_bytes(self) -> int:
        """Return the bytes handed over that the server's TCP has not acknowledged."""

    def began_ns(self, frame: int) -> int:
        """Return when the first byte of a frame was handed to the kernel; forget it."""

    def repeated(self) -> tuple[int, int]:
        """Return the bytes and segments sent again since the last time this was asked."""


class Encoder(Protocol):
    """What makes payloads."""

    def payload(self, frame: FrameRecord, rung: Rung) -> bytes:
        """Return what is sent for a frame that is encoded."""


class Live(Encoder, Protocol):
    """What really encodes, in the time that it takes."""

    def kind_of(self, point: OperatingPoint) -> Kind | None:
        """Return what frames of a point are sent as; None if nothing here encodes them."""

    def begin(self, frame: FrameRecord, rung: Rung, done: Callable[[], None]) -> None:
        """Encode a frame and call `done`."""


class StandIn:
    """Payloads of the size that a published table says, without a meaning."""

    def payload(self, frame: FrameRecord, rung: Rung) -> bytes:
        """Return as many bytes as the table or the recording says."""
        return bytes(frame.payload_bytes)


class EmulatedClient(Client):
    """A client of the emulator.

    A payload keeps the radio awake from when it is handed over until its answer is here: before
    that nobody on the device knows when its last byte left. When the answer comes, it says when the
    payload was all there, and the radio's books are put right.

    Args:
        env: Keeps the time.
        name: Name of this client; also names its random streams.
        setup: Device, radio, ladder and options, from the scenario.
        policy: Its own instance.
        seed: Of the run.
        deadline_ns: After capture.
        duration_ns: The camera stops then.
        end_ns: The run stops then.
        delays_ns: Propagation of the uplink and of the downlink.
        transport: Says how many bytes a payload is on the wire.
        stand_in: Makes payloads while the time that encoding takes is waited for.
        live: Really encodes frames; None if nothing does.
    """

    uplink: Uplink
    """Set before the clock starts; whoever makes it calls `answered` with what it receives."""

    def __init__(
        self,
        env: Clock,
        name: str,
        setup: ClientSetup,
        policy: Policy,
        *,
        seed: int,
        deadline_ns: int,
        duration_ns: int,
        end_ns: int,
        delays_ns: tuple[int, int],
        transport: Transport,
        stand_in: Encoder,
        live: Live | None = None,
    ) -> None:
        super().__init__(
            env,
            name,
            setup,
            policy,
            seed=seed,
            deadline_ns=deadline_ns,
            duration_ns=duration_ns,
            end_ns=end_ns,
            rtt_ns=sum(delays_ns),
        )
        self._delays_ns = delays_ns
        self._transport = transport
        self._stand_in = stand_in
        self._live = live
        if live is not None:
            spec = setup.spec
            if spec.battery is not None or spec.ambient_c is not None:
                raise TestbedError(
                    f"{name}: a battery or heat is simulated, and a live encoder takes what it "
                    "takes; leave battery and ambient_c out"
                )
            self._body = None
        self._answer_bytes = setup.spec.answer_bytes
        self._last_sent_ns = 0

    def _backlog_bytes(self, now_ns: int) -> int:
        return self.uplink.backlog_bytes()

    def _encode(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        if self._live is None or self._live.kind_of(rung.point) is None:
            super()._encode(frame, rung, now)
        else:
            self._live.begin(frame, rung, lambda: self._live_encoded(frame, rung))

    def _live_encoded(self, frame: FrameRecord, rung: Rung) -> None:
        self._book(frame, self._env.now)
        self._encoded((frame, rung))

    def finish(self) -> None:
        """Book what a live encoder has begun and not ended when the run ends."""
        last = next((f for f in reversed(self.frames) if f.encode_start_ns is not None), None)
        if self._live is not None and last is not None and last.encode_end_ns is None:
            self._book(last, self._end_ns)

    def _upload(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        request, payload = self._pack(frame, rung)
        self._hold(frame, now)
        self.uplink.send(request, payload)

    def _pack(self, frame: FrameRecord, rung: Rung) -> tuple[Request, bytes]:
        """Return what is sent for a frame that is encoded."""
        kind = self._kind(rung.point)
        encoder = self._stand_in if kind is Kind.STAND_IN or self._live is None else self._live
        payload = encoder.payload(frame, rung)
        frame.payload_bytes = len(payload)
        until_ns = frame.captured_ns + self._deadline_ns
        return self._request(rung.point)._replace(frame=frame.frame, deadline_ns=until_ns), payload

    def points(self) -> list[Request]:
        """Return every kind of frame that this client may send, without number and deadline."""
        return [self._request(rung.point) for rung in self._ladder if rung.point.mode in MODES]

    def _request(self, point: OperatingPoint) -> Request:
        return Request(0, point, self._kind(point), answer_bytes=self._answer_bytes)

    def _kind(self, point: OperatingPoint) -> Kind:
        kind = None if self._live is None else self._live.kind_of(point)
        return Kind.STAND_IN if kind is None else kind

    def answered(self, answer: Answer, arrived_ns: int) -> None:
        """Take an answer that is here now; the server had all of its frame at `arrived_ns`."""
        frame = self._outstanding.get(answer.frame)
        if frame is None:
            return  # the client has stopped
        now = self._env.now
        self._crossed(frame, arrived_ns)
        if answer.status is not Status.DECODED:
            self._fail(frame, FATE_OF[answer.status], now)
            return
        assert answer.batch_start_ns is not None
        frame.batch_start_ns = arrived_ns + answer.batch_start_ns
        frame.decoded_ns = arrived_ns + answer.decoded_ns
        # Where the radio sleeps the answer waits for it, for as long as it would have on the air.
        reached_ns = frame.decoded_ns + self._delays_ns[1]
        wait_ns = self.radio.hear(reached_ns) - reached_ns
        if wait_ns > 0:
            self._env.after(wait_ns, self._heard, (frame, now - reached_ns))
        else:
            self._heard((frame, now - reached_ns))

    def _crossed(self, frame: FrameRecord, arrived_ns: int) -> None:
        """Book the upload of a frame of which the server had all at `arrived_ns`."""
        began_ns = self.uplink.began_ns(frame.frame)
        sent_ns = arrived_ns - self._delays_ns[0]
        frame.send_start_ns = min(max(began_ns, self._last_sent_ns), sent_ns)
        frame.sent_ns = self._last_sent_ns = sent_ns
        frame.arrived_ns = arrived_ns
        again_bytes, again = self.uplink.repeated()
        sent_bytes = frame.payload_bytes + self.uplink.framing_bytes
        wire_bytes = self._transport.wire_bytes(sent_bytes) + again_bytes
        frame.wire_bytes = wire_bytes + again * segment_header(self._transport)
        self._let_go(frame)
        frame.radio_j += self._on_air(frame.send_start_ns, sent_ns, frame.wire_bytes)

    def _heard(self, heard: tuple[FrameRecord, int]) -> None:
        """Book an answer that the radio has now, and that took so long to receive."""
        if self._off:
            return
        frame, took_ns = heard
        now = self._env.now
        start_ns = now - max(0, took_ns)
        frame.radio_j += self._on_air(start_ns, now, down_bytes=self._answer_bytes)
        self._answered(frame)


def segment_header(transport: Transport) -> int:
    """Return the bytes of headers of a segment."""
    return transport.wire_bytes(1) - 1
