"""A client: camera, policy, encoder, radio, and what it makes of the answers.

Both engines drive this very class; what differs between them is who keeps the time and what
happens to a payload between the radio and the answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from testbed.clients.body import body_of
from testbed.clients.film import film_of
from testbed.devices.hosts import UNMEASURED, HostTimes
from testbed.devices.ledger import Ledger
from testbed.devices.radio import Radio
from testbed.links.transport import Loss
from testbed.model import (
    NS_PER_S,
    Fate,
    FrameRecord,
    Mode,
    Observation,
    OperatingPoint,
    Outcome,
    Policy,
    Rung,
)
from testbed.scenario import Client as ClientSetup
from testbed.streams import jitter, stream

FATE_OF: dict[Loss | None, Fate] = {
    Loss.QUEUE: Fate.DROPPED_QUEUE,
    Loss.MEDIUM: Fate.LOST,
    Loss.DEADLINE: Fate.DROPPED_DEADLINE,
    Loss.SUPERSEDED: Fate.DROPPED_QUEUE,
}
"""What becomes of a frame whose payload or answer did not get through."""


class Undecided(Exception):
    """A policy leaves a decision to whoever drives the clock, who makes it with `decide`.

    Deciding is the last thing that happens at an event, so that a run which is stopped by this goes
    on as if it had not been.
    """


class Clock(Protocol):
    """Time in whole nanoseconds since the run began, virtual or of the wall."""

    now: int

    def after(self, delay_ns: int, function: Callable[[Any], object], value: Any = None) -> None:
        """Call `function` with `value`, `delay_ns` from now."""


class Client(ABC):
    """One camera with one encoder and one radio, under one policy.

    Frames wait in a queue for the encoder. When it is free the policy decides about the oldest:
    skip it, or encode it at an operating point. Every frame ends in exactly one fate.

    An engine says how a payload gets to the server and what comes back, in `_upload`.

    Args:
        env: Keeps the time.
        name: Name of this client; also names its random streams.
        setup: Device, radio, ladder and options, from the scenario.
        policy: Its own instance.
        seed: Of the run.
        deadline_ns: After capture.
        duration_ns: The camera stops then.
        end_ns: The run stops then.
        rtt_ns: Round trip without any queue.
        hosts: What a machine adds to what is simulated; nothing where a machine is there.
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
        rtt_ns: int,
        hosts: HostTimes = UNMEASURED,
    ) -> None:
        self.name = name
        self.frames: list[FrameRecord] = []
        self.radio = Radio(setup.radio)
        self.ledger = Ledger(setup.device.idle_w, self.radio, setup.device.waiting_w)
        self._env = env
        self._ladder = setup.ladder
        # Policies return points of the ladder, nearly always the very objects, which is cheaper
        # to find out than to hash them.
        self._by_identity = {id(rung.point): rung for rung in setup.ladder}
        self._policy = policy
        self._deadline_ns = deadline_ns
        self._end_ns = end_ns
        self._rtt_ns = rtt_ns
        self._hosts = hosts

        spec = setup.spec
        self._queue_limit = spec.queue.limit
        self._drop_newest = spec.queue.drop == "newest"
        self._drop_expired = spec.drop_expired
        self._answer_bytes = spec.answer_bytes
        self._compute_w = setup.device.compute_w
        self._off = False  # for good, once the battery is empty

        self._waiting: deque[FrameRecord] = deque()
        self._outstanding: dict[int, FrameRecord] = {}
        self._encoding = False
        self._undecided: FrameRecord | None = None
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

        def draw(cv: float) -> list[float]:
            return jitter(stream(seed, name, "encode"), cv, len(self._captures))

        self._jitter = draw(setup.device.jitter_cv)
        self._film = film_of(setup, seed, name, len(self._captures))
        self._body = body_of(setup, self.ledger, end_ns, draw)
        self._holds: dict[int, int] = {}  # frames on the air until nobody knows when: since when
        policy.reset(stream(seed, name, "policy"))
        self._wants_feedback = type(policy).feedback is not Policy.feedback
        if spec.battery is not None:
            env.after(0, self._check)
        if self._captures:
            env.after(self._captures[0] + hosts.queue_ns, self._capture)

    @abstractmethod
    def _backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes handed to the uplink that have not left the device."""

    @abstractmethod
    def _upload(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        """Send a frame, which is encoded, now that the radio is awake."""

    def _capture(self, _: None = None) -> None:
        env = self._env
        now = env.now
        number = len(self.frames)
        captured_ns = self._captures[number]  # the camera's own time, however late we learn of it
        frame = FrameRecord(number, captured_ns)
        if self._film is not None:
            frame.dataset_frame = self._film.seen[number]
        if self._newest_answer_ns is not None:
            frame.stale_ns = captured_ns - self._newest_answer_ns
        self.frames.append(frame)
        if number + 1 < len(self._captures):
            next_ns = self._captures[number + 1] + self._hosts.queue_ns
            env.after(next_ns - now, self._capture)
        if self._body is not None:
            self._body.captured(now, frame)
            if self._off:
                return
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
            seen = self._observe(frame, now, deadline_ns)
            if self._body is not None:
                self._body.seen(now, seen)
            try:
                point = self._policy.choose(seen, self._ladder)
            except Undecided:
                self._undecided = frame
                raise
            if self._begin(frame, point, now):
                return

    def decide(self, point: OperatingPoint) -> None:
        """Take a point for the frame about which the policy was `Undecided`, at that instant."""
        frame, self._undecided = self._undecided, None
        assert frame is not None, "no decision is due"
        now = self._env.now
        if not self._begin(frame, point, now):
            self._next(now)

    def _begin(self, frame: FrameRecord, point: OperatingPoint, now: int) -> bool:
        """Process a frame as was decided; return whether that keeps the encoder busy."""
        rung = self._by_identity.get(id(point)) or self._ladder.at(point)
        frame.point = point
        if point.mode is Mode.SKIP:
            self._end(frame, Fate.SKIPPED, now)
            return False
        self._encoding = True
        frame.encode_start_ns = now
        self._encode(frame, rung, now)
        return True

    def _encode(self, frame: FrameRecord, rung: Rung, now: int) -> None:
        """Book an encoding that begins now, and see to it that its end is heard of."""
        if self._body is not None:
            spent_ns = self._body.encode(now, frame, rung)
        else:
            spent_ns = int(rung.encode_ns * self._jitter[frame.frame]) + 1
            self._book(frame, now + spent_ns if now + spent_ns < self._end_ns else self._end_ns)
        self._env.after(spent_ns + self._hosts.encode_ns, self._encoded, (frame, rung))

    def _book(self, frame: FrameRecord, end_ns: int) -> None:
        """Book what an encoding without a body takes of energy, until it ends or the run does."""
        assert frame.encode_start_ns is not None
        frame.encode_j = self.ledger.compute(frame.encode_start_ns, end_ns, self._compute_w)

    def _payload_bytes(self, frame: FrameRecord, rung: Rung) -> int:
        if self._film is not None and frame.dataset_frame is not None:
            return self._film.payload_bytes(rung, frame.dataset_frame)
        return rung.payload_bytes

    def _observe(self, frame: FrameRecord, now: int, deadline_ns: int) -> Observation:
        outstanding = self._outstanding
        return Observation(
            now,
            frame.frame,
            frame.captured_ns,
            deadline_ns,
            self._period_ns,
            self._backlog_bytes(now) if outstanding else 0,
            len(self._waiting),
            len(outstanding),
            next(iter(outstanding.values())).captured_ns if outstanding else None,
            self._rtt_ns,
        )

    def _encoded(self, encoded: tuple[FrameRecord, Rung]) -> None:
        now = self._env.now
        frame, rung = encoded
        if self._body is not None:
            if self._off:
                return
            self._body.rests(now)
        frame.encode_end_ns = now
        self._encoding = False
        if rung.point.mode is Mode.LOCAL:
            frame.answered_ns = now
            self._answer(frame, Fate.LOCAL, now)
        else:
            frame.payload_bytes = self._payload_bytes(frame, rung)
            self._outstanding[frame.frame] = frame
            ready_ns = self.radio.wake(now)
            if ready_ns > now:
                self._env.after(ready_ns - now, self._promoted, encoded)
            else:
                self._upload(frame, rung, now)
        self._next(now)

    def _promoted(self, encoded: tuple[FrameRecord, Rung]) -> None:
        if not self._off:
            self._upload(*encoded, self._env.now)

    def _hold(self, frame: FrameRecord, start_ns: int) -> None:
        """Keep the radio awake for a transfer whose end is not known yet."""
        self._holds[frame.frame] = start_ns
        self.radio.hold(start_ns)

    def _let_go(self, frame: FrameRecord) -> bool:
        """End a hold, if there is one; return whether the client has stopped in the meantime."""
        start_ns = self._holds.pop(frame.frame, None)
        if start_ns is not None and not self._off:
            self.radio.release(start_ns)
        return self._off

    def _on_air(self, start_ns: int, end_ns: int, up_bytes: int = 0, down_bytes: int = 0) -> float:
        """Book a transfer, the part of it that lies within the run; return its joules."""
        if end_ns > self._end_ns:
            if start_ns >= self._end_ns:
                return 0.0
            share = self._share_of_run(start_ns, end_ns)
            end_ns = self._end_ns
            up_bytes, down_bytes = round(up_bytes * share), round(down_bytes * share)
        return self.radio.use(start_ns, end_ns, up_bytes, down_bytes)

    def _share_of_run(self, start_ns: int, end_ns: int) -> float:
        """Return the share of a stretch that goes beyond the end of the run that lies within it."""
        if start_ns >= self._end_ns:  # payloads that leave together may take no time at all
            return 0.0
        return (self._end_ns - start_ns) / (end_ns - start_ns)

    def _answered(self, frame: FrameRecord) -> None:
        """Take an answer of the server's that is here now."""
        if self._outstanding.pop(frame.frame, None) is None:
            return  # the client has stopped
        now = self._env.now
        frame.answered_ns = now
        in_time = now - frame.captured_ns <= self._deadline_ns
        self._answer(frame, Fate.ON_TIME if in_time else Fate.LATE, now)

    def _fail(self, frame: FrameRecord, fate: Fate, told_ns: int) -> None:
        """Settle the fate of a frame without an answer; its client learns it at `told_ns`."""
        frame.fate = fate
        if told_ns <= self._env.now:
            del self._outstanding[frame.frame]
            self._end(frame, fate, told_ns)
        else:
            self._env.after(told_ns - self._env.now, self._told, (frame, fate))

    def _told(self, told: tuple[FrameRecord, Fate]) -> None:
        frame, fate = told
        if self._outstanding.pop(frame.frame, None) is not None:
            self._end(frame, fate, self._env.now)

    @property
    def stopped(self) -> bool:
        """Whether the battery has run empty."""
        return self._off

    def _check(self, _: None) -> None:
        """See whether the battery is empty, and if not, when it can be at the earliest."""
        lasts_ns = None if self._body is None else self._body.lasts_ns(self._env.now)
        if lasts_ns == 0:
            self._stop(self._env.now)
        elif lasts_ns is not None:
            self._env.after(lasts_ns, self._check)

    def _stop(self, now: int) -> None:
        """Switch off for good: what is under way gets nowhere, and later frames are captured only.

        Bytes that have been handed to a shared cell still take their share of it.
        """
        self._off = True
        if self._body is not None:
            self._body.stop(now)
        self._waiting.clear()
        ahead_j = self.ledger.stop(now)
        if ahead_j:
            encoding = next(f for f in reversed(self.frames) if f.encode_start_ns is not None)
            encoding.encode_j -= ahead_j
        for frame in self._outstanding.values():
            frame.fate = Fate.UNFINISHED
            _cut_off(frame, now)
        self._outstanding.clear()

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


def _cut_off(frame: FrameRecord, now: int) -> None:
    """Take back what a frame's upload was to do after `now`."""
    start_ns, sent_ns = frame.send_start_ns, frame.sent_ns
    if start_ns is None or sent_ns is None or sent_ns <= now:
        return
    share = max(0, now - start_ns) / (sent_ns - start_ns)
    frame.sent_ns = None
    frame.radio_j *= share
    frame.wire_bytes = int(frame.wire_bytes * share)
    if start_ns >= now:
        frame.send_start_ns = None
