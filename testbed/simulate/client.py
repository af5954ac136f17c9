"""A client in virtual time: its payloads cross channels, its frames are decoded by a server."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.clients.client import FATE_OF, Client
from testbed.devices.hosts import UNMEASURED, HostTimes, Taken
from testbed.links.transport import Delivery
from testbed.model import Fate, FrameRecord, OperatingPoint, Policy, Rung
from testbed.scenario import Client as ClientSetup
from testbed.simulate.channel import Channel
from testbed.simulate.clock import Clock
from testbed.simulate.server import Job, Server


class SimulatedClient(Client):
    """A client of the simulator.

    Args:
        env: The simulation.
        name: Name of this client; also names its random streams.
        setup: Device, radio, ladder and options, from the scenario.
        policy: Its own instance.
        seed: Of the run.
        deadline_ns: After capture.
        duration_ns: The camera stops then.
        end_ns: The run stops then.
        uplink: Towards the server.
        downlink: Back.
        server: Decodes.
        hosts: What a machine adds, if it was measured.
        live: What a real network took at the points at which one was run; it takes that here too.
    """

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
        uplink: Channel,
        downlink: Channel,
        server: Server,
        hosts: HostTimes = UNMEASURED,
        live: Mapping[OperatingPoint, Taken] | None = None,
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
            rtt_ns=uplink.delay_ns + downlink.delay_ns,
            hosts=hosts,
        )
        self._uplink = uplink
        self._downlink = downlink
        self._server = server
        self._to_link_ns = self._hosts.uplink_wait_ns + self._hosts.access_ns
        self._last_sent_ns = 0
        self._live = live or {}
        if live:  # as in the emulator: it takes what it takes
            self._body = None
        self._arrive = server.arrive if setup.spec.battery is None else self._arrive_if_sent

    def _backlog_bytes(self, now_ns: int) -> int:
        return self._uplink.backlog_bytes(now_ns, self.name)

    def _encode(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        taken = self._live.get(rung.point)
        if taken is None:
            super()._encode(frame, rung, now)
            return
        rung = taken.rung(rung, frame.frame)
        self._book(frame, min(now + rung.encode_ns, self._end_ns))
        self._env.after(rung.encode_ns + self._hosts.encode_ns, self._encoded, (frame, rung))

    def _payload_bytes(self, frame: FrameRecord, rung: Rung) -> int:
        if rung.point in self._live:
            return rung.payload_bytes
        return super()._payload_bytes(frame, rung)

    def _upload(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        if self._to_link_ns:
            self._env.after(self._to_link_ns, self._handed, (frame, rung))
        else:
            self._send(frame, rung, now)

    def _handed(self, handed: tuple[FrameRecord, Rung]) -> None:
        if not self._off:
            self._send(*handed, self._env.now)

    def _send(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        deadline_ns = frame.captured_ns + self._deadline_ns

        def sent(delivery: Delivery) -> None:
            start_ns, sent_ns, wire_bytes, arrived_ns, loss = delivery
            if access_ns := self._hosts.access_ns:  # unless it waited, it began before the link
                start_ns = max(start_ns - access_ns, min(start_ns, self._last_sent_ns))
                self._last_sent_ns = sent_ns
            if self._holds and self._let_go(frame):
                return
            if wire_bytes:
                frame.send_start_ns = start_ns
                frame.wire_bytes = (
                    wire_bytes
                    if sent_ns <= self._end_ns
                    else round(wire_bytes * self._share_of_run(start_ns, sent_ns))
                )
                frame.radio_j += self._on_air(start_ns, sent_ns, wire_bytes)
            if arrived_ns is None:
                self._fail(frame, FATE_OF[loss], max(sent_ns, now))
                return
            frame.sent_ns = sent_ns
            job = Job(frame, deadline_ns, rung.server_mac, self, rung.decode_ns)
            there_ns = arrived_ns + self._hosts.transfer_ns
            self._env.after(there_ns - self._env.now, self._arrive, job)

        size_bytes = frame.payload_bytes + self._hosts.frame_bytes
        self._uplink.send(now, self.name, size_bytes, sent, deadline_ns)
        if frame.sent_ns is None and frame.fate is Fate.UNFINISHED:
            self._hold(frame, now)

    def _arrive_if_sent(self, job: Job) -> None:
        """Hand a payload to the server unless the client stopped before it was sent."""
        if job.frame.sent_ns is not None:
            self._server.arrive(job)

    def decoded(self, job: Job) -> None:
        """Take the answer from the server to the downlink, when the radio listens."""
        if self._off:
            return
        reaches_ns = self._env.now + self._downlink.delay_ns
        ready_ns = self.radio.hear(reaches_ns)
        if ready_ns > reaches_ns:
            self._env.after(ready_ns - reaches_ns, self._heard, job)
        else:
            self._reply(job)

    def _heard(self, job: Job) -> None:
        if not self._off:
            self._reply(job)

    def _reply(self, job: Job) -> None:
        frame = job.frame
        env = self._env
        delay_ns = self._downlink.delay_ns
        settled = False

        def sent(delivery: Delivery) -> None:
            nonlocal settled
            settled = True
            start_ns, sent_ns, wire_bytes, arrived_ns, loss = delivery
            if self._holds and self._let_go(frame):
                return
            if arrived_ns is None:
                self._fail(frame, FATE_OF[loss], sent_ns + delay_ns)
                return
            frame.radio_j += self._on_air(
                start_ns + delay_ns, sent_ns + delay_ns, down_bytes=wire_bytes
            )
            env.after(arrived_ns + self._hosts.downlink_ns - env.now, self._answered, frame)

        self._downlink.send(env.now, self.name, self._answer_bytes, sent, job.deadline_ns)
        if not settled:
            self._hold(frame, env.now + delay_ns)

    def _answered(self, frame: FrameRecord) -> None:
        if not self._off:
            self._uplink.answered(self._env.now, self.name, self._answer_bytes)
        super()._answered(frame)

    def refused(self, job: Job, fate: Fate) -> None:
        """Learn, one propagation delay later, that the server will not answer."""
        if self._off:
            return
        self._fail(job.frame, fate, self._env.now + self._downlink.delay_ns)
