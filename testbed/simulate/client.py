"""A client: camera, policy, encoder, radio, and what it makes of the answers."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from testbed.devices.ledger import Ledger
from testbed.devices.radio import Radio
from testbed.links.transport import Delivery
from testbed.model import (
    NS_PER_S,
    Fate,
    FrameRecord,
    Mode,
    Observation,
    Outcome,
    Policy,
    Rung,
)
from testbed.scenario import Client as ClientSetup
from testbed.simulate.channel import Channel
from testbed.simulate.clock import Call, Clock
from testbed.simulate.server import Job, Server
from testbed.streams import stream


class Client:
    """One camera with one encoder and one radio, under one policy.

    Frames wait in a queue for the encoder. When it is free the policy decides about the oldest:
    skip it, or encode it at an operating point. Every frame ends in exactly one fate.

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
    ) -> None:
        self.name = name
        self.frames: list[FrameRecord] = []
        self._radio = Radio(setup.radio)
        self.ledger = Ledger(setup.device.idle_w, self._radio)
        self._env = env
        self._ladder = setup.ladder
        # Policies return points of the ladder, nearly always the very objects, which is cheaper
        # to find out than to hash them.
        self._by_identity = {id(rung.point): rung for rung in setup.ladder}
        self._policy = policy
        self._deadline_ns = deadline_ns
        self._end_ns = end_ns
        self._uplink = uplink
        self._downlink = downlink
        self._arrive = server.arrive
        self._rtt_ns = uplink.delay_ns + downlink.delay_ns

        spec = setup.spec
        self._queue_limit = spec.queue.limit
        self._drop_newest = spec.queue.drop == "newest"
        self._drop_expired = spec.drop_expired
        self._answer_bytes = spec.answer_bytes
        self._compute_w = setup.device.compute_w

        self._waiting: deque[FrameRecord] = deque()
        self._outstanding: dict[int, FrameRecord] = {}
        self._encoding = False
        self._newest_answer_ns: int | None = None  # capture time of the newest answered frame

        fps = spec.source.fps
        self._period_ns = round(NS_PER_S / fps)
        phase_ns = spec.source.phase_ns
        if phase_ns is None:
            phase_ns = int(stream(seed, name, "camera").integers(self._period_ns))
        # From the number of the frame, not by adding periods: rates such as 30/s do not drift.
        number = np.arange(int(duration_ns * fps / NS_PER_S) + 1)
        captures = phase_ns + np.rint(number * NS_PER_S / fps).astype(np.int64)
        self._captures: list[int] = captures[captures < duration_ns].tolist()
        self._jitter = _jitter(
            setup.device.jitter_cv, stream(seed, name, "encode"), len(self._captures)
        )
        policy.reset(stream(seed, name, "policy"))
        self._wants_feedback = type(policy).feedback is not Policy.feedback
        if self._captures:
            env.after(self._captures[0], self._capture)

    def _capture(self, _: Call) -> None:
        env = self._env
        now = env.now
        number = len(self.frames)
        frame = FrameRecord(number, now)
        if self._newest_answer_ns is not None:
            frame.stale_ns = now - self._newest_answer_ns
        self.frames.append(frame)
        if number + 1 < len(self._captures):
            env.after(self._captures[number + 1] - now, self._capture)
        waiting = self._waiting
        waiting.append(frame)
        if not self._encoding:
            self._next(now)
        elif len(waiting) > self._queue_limit:
            dropped = waiting.pop() if self._drop_newest else waiting.popleft()
            self._end(dropped, Fate.DROPPED_QUEUE, now)

    def _next(self, now: int) -> None:
        """Let the policy decide about waiting frames until one keeps the encoder busy."""
        waiting = self._waiting
        while waiting:
            frame = waiting.popleft()
            deadline_ns = frame.captured_ns + self._deadline_ns
            if self._drop_expired and now > deadline_ns:
                self._end(frame, Fate.DROPPED_DEADLINE, now)
                continue
            point = self._policy.choose(self._observe(frame, now, deadline_ns), self._ladder)
            rung = self._by_identity.get(id(point)) or self._ladder.at(point)
            frame.point = point
            if point.mode is Mode.SKIP:
                self._end(frame, Fate.SKIPPED, now)
                continue
            self._encoding = True
            frame.encode_start_ns = now
            spent_ns = int(rung.encode_ns * self._jitter[frame.frame]) + 1
            done_ns = now + spent_ns if now + spent_ns < self._end_ns else self._end_ns
            frame.encode_j = self.ledger.compute(now, done_ns, self._compute_w)
            self._env.after(spent_ns, self._encoded, (frame, rung))
            return

    def _observe(self, frame: FrameRecord, now: int, deadline_ns: int) -> Observation:
        outstanding = self._outstanding
        return Observation(
            now,
            frame.frame,
            frame.captured_ns,
            deadline_ns,
            self._period_ns,
            self._uplink.backlog_bytes(now, self.name) if outstanding else 0,
            len(self._waiting),
            len(outstanding),
            next(iter(outstanding.values())).captured_ns if outstanding else None,
            self._rtt_ns,
        )

    def _encoded(self, event: Call) -> None:
        now = self._env.now
        value: Any = event.value
        frame: FrameRecord = value[0]
        rung: Rung = value[1]
        frame.encode_end_ns = now
        self._encoding = False
        if rung.point.mode is Mode.LOCAL:
            frame.answered_ns = now
            self._answer(frame, Fate.LOCAL, now)
        else:
            frame.payload_bytes = rung.payload_bytes
            self._outstanding[frame.frame] = frame
            ready_ns = self._radio.wake(now)
            if ready_ns > now:
                self._env.after(ready_ns - now, self._promoted, value)
            else:
                self._upload(frame, rung, now)
        self._next(now)

    def _promoted(self, event: Call) -> None:
        frame, rung = event.value
        self._upload(frame, rung, self._env.now)

    def _upload(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        def sent(delivery: Delivery) -> None:
            frame.send_start_ns = delivery.start_ns
            frame.sent_ns = delivery.sent_ns
            frame.wire_bytes = delivery.wire_bytes
            frame.radio_j += self._on_air(delivery.start_ns, delivery.sent_ns, delivery.wire_bytes)
            job = Job(frame, frame.captured_ns + self._deadline_ns, rung.server_mac, self)
            arrival_ns = delivery.sent_ns + self._uplink.delay_ns
            self._env.after(arrival_ns - self._env.now, self._arrive, job)

        if not self._uplink.send(now, self.name, rung.payload_bytes, sent):
            del self._outstanding[frame.frame]
            self._end(frame, Fate.DROPPED_QUEUE, now)

    def _on_air(self, start_ns: int, end_ns: int, up_bytes: int = 0, down_bytes: int = 0) -> float:
        """Book a transfer, the part of it that lies within the run; return its joules."""
        if end_ns > self._end_ns:
            if start_ns >= self._end_ns:
                return 0.0
            share = (self._end_ns - start_ns) / (end_ns - start_ns)
            end_ns = self._end_ns
            up_bytes, down_bytes = round(up_bytes * share), round(down_bytes * share)
        return self._radio.use(start_ns, end_ns, up_bytes, down_bytes)

    def decoded(self, job: Job) -> None:
        """Take the answer from the server to the downlink."""
        frame = job.frame
        now = self._env.now
        delay_ns = self._downlink.delay_ns

        def sent(delivery: Delivery) -> None:
            start_ns, end_ns = delivery.start_ns + delay_ns, delivery.sent_ns + delay_ns
            frame.radio_j += self._on_air(start_ns, end_ns, down_bytes=delivery.wire_bytes)
            self._env.after(end_ns - self._env.now, self._answered, frame)

        if not self._downlink.send(now, self.name, self._answer_bytes, sent):
            self.refused(job, Fate.DROPPED_QUEUE)

    def _answered(self, event: Call) -> None:
        now = self._env.now
        frame: Any = event.value
        frame.answered_ns = now
        del self._outstanding[frame.frame]
        in_time = now - frame.captured_ns <= self._deadline_ns
        self._answer(frame, Fate.ON_TIME if in_time else Fate.LATE, now)

    def refused(self, job: Job, fate: Fate) -> None:
        """Learn, one propagation delay later, that the server will not answer."""
        job.frame.fate = fate
        self._env.after(self._downlink.delay_ns, self._told, (job.frame, fate))

    def _told(self, event: Call) -> None:
        value: Any = event.value
        frame, fate = value
        del self._outstanding[frame.frame]
        self._end(frame, fate, self._env.now)

    def _answer(self, frame: FrameRecord, fate: Fate, now: int) -> None:
        if self._newest_answer_ns is None or frame.captured_ns > self._newest_answer_ns:
            self._newest_answer_ns = frame.captured_ns
        self._end(frame, fate, now)

    def _end(self, frame: FrameRecord, fate: Fate, now: int) -> None:
        """Settle the frame's fate and tell the policy."""
        frame.fate = fate
        if frame.point is None or not self._wants_feedback:
            return  # dropped before the policy decided anything about it, or it does not listen
        start_ns, sent_ns, answered_ns = frame.send_start_ns, frame.sent_ns, frame.answered_ns
        self._policy.feedback(
            Outcome(
                now,
                frame.frame,
                frame.point,
                fate,
                frame.payload_bytes,
                sent_ns - start_ns if sent_ns is not None and start_ns is not None else None,
                answered_ns - frame.captured_ns if answered_ns is not None else None,
            )
        )


def _jitter(cv: float, rng: np.random.Generator, count: int) -> list[float]:
    """Draw `count` lognormal factors of mean 1 and coefficient of variation `cv`."""
    variance = math.log1p(cv * cv)
    factors: list[float] = rng.lognormal(-variance / 2, math.sqrt(variance), count).tolist()
    return factors
