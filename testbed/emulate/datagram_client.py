"""A client in real time whose frames cross as datagrams."""

from __future__ import annotations

from testbed.clients.client import FATE_OF
from testbed.emulate.client import EmulatedClient
from testbed.emulate.datagram_uplink import DatagramUplink, News
from testbed.emulate.fragments import Part
from testbed.links.datagram import Datagram
from testbed.links.transport import Delivery
from testbed.model import NS_PER_MS, Fate, FrameRecord, Rung

_MARGIN_NS = 10 * NS_PER_MS
"""More than a round trip, after which word of an arrival should have come."""


class DatagramClient(EmulatedClient):
    """A client that learns of the fate of a frame what real datagrams tell.

    The device knows when packets leave it, and what it gave up. That all of a frame arrived, that
    the rest of it did not, and what is in it, it learns from the server. Of a frame without any
    news it thinks, after the patience of the transport, that it is lost; and at the end of the run
    if word of its arrival is overdue.
    """

    datagrams: DatagramUplink
    """Set before the clock starts; whoever makes it calls `told` with what it receives."""

    def _backlog_bytes(self, now_ns: int) -> int:
        return self.datagrams.backlog_bytes()

    def _upload(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        request, payload = self._pack(frame, rung)

        def sent(delivery: Delivery) -> None:
            start_ns, sent_ns, wire_bytes, arrives_ns, loss = delivery
            if self._holds and self._let_go(frame):
                return
            if wire_bytes:
                frame.send_start_ns = start_ns
                frame.wire_bytes = wire_bytes
                frame.radio_j += self._on_air(start_ns, sent_ns, wire_bytes)
            if arrives_ns is None:
                self._fail(frame, FATE_OF[loss], max(sent_ns, self._env.now))
                return
            frame.sent_ns = sent_ns
            wait_ns = sent_ns - self._env.now + self._patience_ns
            self._env.after(max(0, wait_ns), self._doubt, (frame, False))

        self.datagrams.send(request, payload, sent)
        if frame.sent_ns is None and frame.fate is Fate.UNFINISHED:
            self._hold(frame, now)

    @property
    def _patience_ns(self) -> int:
        assert isinstance(self._transport, Datagram)
        return round(self._transport.patience_ms * NS_PER_MS)

    def _doubt(self, waited: tuple[FrameRecord, bool]) -> None:
        """Give up a frame unless there was news of it since its last packet left."""
        frame, had_arrived = waited
        if frame.frame in self._outstanding and (frame.arrived_ns is not None) == had_arrived:
            self._fail(frame, Fate.LOST, self._env.now)

    def told(self, news: News) -> None:
        """Take what the server says about a frame."""
        frame = self._outstanding.get(news.frame)
        if frame is None or frame.sent_ns is None:
            return  # it was given up, or the client has stopped
        if news.part is Part.INCOMPLETE:
            self._fail(frame, Fate.LOST, self._env.now)
        elif news.answer is not None:
            self.answered(news.answer, news.arrived_ns)
        elif frame.arrived_ns is None:
            frame.arrived_ns = self._env.now - self._delays_ns[1]  # until the answer says it
            self._env.after(self._patience_ns, self._doubt, (frame, True))

    def _crossed(self, frame: FrameRecord, arrived_ns: int) -> None:
        frame.arrived_ns = arrived_ns

    def finish(self) -> None:
        """Settle what should have been heard of when the run ends."""
        due_ns = self._end_ns - self._rtt_ns - _MARGIN_NS
        for frame in self._outstanding.values():
            if frame.sent_ns is not None and frame.arrived_ns is None and frame.sent_ns < due_ns:
                frame.fate = Fate.LOST
        super().finish()
