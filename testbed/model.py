"""The nouns that every part of the testbed shares. Standard library only.

Times are integer nanoseconds since the run began (`_ns`); sizes are bytes; energy is joules above
idle unless a name says otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    import numpy as np

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Mode(StrEnum):
    """Where a frame is processed."""

    __hash__ = str.__hash__  # the hash of an enum is a function in Python, and points are hashed

    SPLIT = "split"  # encoder on the device, bottleneck over the link, decoder on the server
    LOCAL = "local"  # the whole detector on the device
    OFFLOAD = "offload"  # a compressed picture over the link, the whole detector on the server
    SKIP = "skip"  # nothing at all: the frame is not processed


class Fate(StrEnum):
    """How the life of a captured frame ended. Every frame has exactly one."""

    __hash__ = str.__hash__

    ON_TIME = "on_time"  # answered by the server within the deadline
    LATE = "late"  # answered by the server after the deadline
    SKIPPED = "skipped"  # the policy chose not to process it
    DROPPED_QUEUE = "dropped_queue"  # a full queue (device, link or server) refused it
    DROPPED_DEADLINE = "dropped_deadline"  # given up because its deadline had passed
    LOST = "lost"  # lost on the link
    LOCAL = "local"  # answered by the device itself, whenever that was
    UNFINISHED = "unfinished"  # still under way when the run ended


@dataclass(frozen=True, slots=True, order=True)
class OperatingPoint:
    """What the encoder is asked to do with one frame.

    Args:
        width: α, the share of channels in use, in (0, 1]; 0 for `skip`.
        bits: Bits per bottleneck value; 0 where there is no bottleneck.
        codec: Entropy coder of the payload, `raw` being plain packing; of `offload` the codec of
            the picture, with its quality.
        mode: Where the frame is processed.
    """

    width: float
    bits: int = 8
    codec: str = "raw"
    mode: Mode = Mode.SPLIT

    def __str__(self) -> str:
        if self.mode is Mode.SPLIT:
            coded = "" if self.codec == "raw" else f" {self.codec}"
            return f"α={self.width:g} {self.bits} bit{coded}"
        return f"{self.mode} {self.codec}" if self.mode is Mode.OFFLOAD else str(self.mode)


SKIP = OperatingPoint(width=0.0, bits=0, mode=Mode.SKIP)
LOCAL = OperatingPoint(width=1.0, bits=0, mode=Mode.LOCAL)


@dataclass(frozen=True, slots=True)
class Rung:
    """One operating point with its mean cost on the devices of the scenario.

    Args:
        point: The operating point.
        payload_bytes: What crosses the uplink.
        accuracy: mAP@[.50:.95] in [0, 1] when every frame is processed at this point without delay.
        device_mac: Multiply-accumulates on the device.
        server_mac: Multiply-accumulates on the server.
        encode_ns: Time on the device.
        encode_j: Energy of the device above idle.
        decode_ns: Time on the server in a batch of one.
    """

    point: OperatingPoint
    payload_bytes: int
    accuracy: float
    device_mac: int = 0
    server_mac: int = 0
    encode_ns: int = 0
    encode_j: float = 0.0
    decode_ns: int = 0


@dataclass(frozen=True)
class Ladder(Sequence[Rung]):
    """The operating points a client may choose from, cheapest payload first.

    Iterating, indexing and `len` give rungs. `ladder.at(point)` finds one.
    """

    rungs: tuple[Rung, ...]
    _by_point: dict[OperatingPoint, Rung] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.rungs, key=lambda r: (r.payload_bytes, r.accuracy, r.point)))
        object.__setattr__(self, "rungs", ordered)
        object.__setattr__(self, "_by_point", {rung.point: rung for rung in ordered})
        if len(self._by_point) != len(ordered):
            raise ValueError("an operating point stands twice on the ladder")
        if not ordered:
            raise ValueError("a ladder needs at least one operating point")

    def __len__(self) -> int:
        return len(self.rungs)

    @overload
    def __getitem__(self, index: int) -> Rung: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Rung, ...]: ...

    def __getitem__(self, index: int | slice) -> Rung | tuple[Rung, ...]:
        return self.rungs[index]

    def __iter__(self) -> Iterator[Rung]:
        return iter(self.rungs)

    def at(self, point: OperatingPoint) -> Rung:
        """Return the rung of `point`. Raise a `KeyError` if it is not on the ladder."""
        return self._by_point[point]

    def dominator(self, rung: Rung) -> Rung | None:
        """Return a rung that is no worse in payload, device work and accuracy, and better in one.

        None if `rung` is on the Pareto front. Of several, the most accurate.
        """
        cost = (rung.payload_bytes, rung.device_mac, -rung.accuracy)
        better = [
            other
            for other in self.rungs
            if (theirs := (other.payload_bytes, other.device_mac, -other.accuracy)) != cost
            and all(a <= b for a, b in zip(theirs, cost, strict=True))
        ]
        return max(better, key=lambda r: r.accuracy, default=None)

    @property
    def pareto(self) -> Ladder:
        """The ladder without its dominated rungs."""
        return Ladder(tuple(rung for rung in self.rungs if self.dominator(rung) is None))


@dataclass(slots=True)
class Observation:
    """What a device can know at the instant it picks an operating point. Nothing of the future.

    Args:
        now_ns: The present.
        frame: Number of the frame to decide about.
        captured_ns: When it was captured.
        deadline_ns: The instant after which its answer is late.
        period_ns: Time between two captures.
        backlog_bytes: Bytes handed to the uplink that have not left the device.
        queued_frames: Frames captured and waiting for the encoder, this one not counted.
        outstanding: Frames sent or being sent whose answer has not come.
        oldest_outstanding_ns: When the oldest of them was captured; None if there is none.
        rtt_ns: Round trip without any queue, as a handshake measures it.
        battery: State of charge in [0, 1]; None for a device on mains.
        temperature_c: Of the processor; None where it is not modelled.
    """

    now_ns: int
    frame: int
    captured_ns: int
    deadline_ns: int
    period_ns: int
    backlog_bytes: int = 0
    queued_frames: int = 0
    outstanding: int = 0
    oldest_outstanding_ns: int | None = None
    rtt_ns: int = 0
    battery: float | None = None
    temperature_c: float | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a frame, told to the policy when the device learns of it.

    Args:
        now_ns: When the device learns it.
        frame: Number of the frame.
        point: The operating point it had.
        fate: Its fate.
        payload_bytes: What was handed to the uplink.
        busy_ns: Time the uplink spent on the payload, from its first byte to its last; a sender
            knows it from acknowledgements. None if the payload did not get through.
        latency_ns: Capture to answer; None without an answer.
    """

    now_ns: int
    frame: int
    point: OperatingPoint
    fate: Fate
    payload_bytes: int
    busy_ns: int | None
    latency_ns: int | None


class Policy(ABC):
    """Who picks the operating point of each frame.

    A policy is a dataclass whose fields are its options; `choose` and `feedback` are its two verbs.
    State belongs in `reset`, which runs once before every run, never in the fields.
    """

    def check(self, ladder: Ladder) -> None:
        """Raise a `ValueError` if the options make no sense on this ladder."""

    def reset(self, rng: np.random.Generator) -> None:
        """Forget everything. `rng` is the run's own random stream for this policy and client."""

    @abstractmethod
    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        """Return an operating point of the ladder."""

    def feedback(self, outcome: Outcome) -> None:
        """Learn what became of an earlier frame."""


class LinkModel(Protocol):
    """One direction of a channel, as a function of its state and of what arrives.

    The simulator calls it with whole payloads or packets in virtual time, the emulator with the
    packets of a real kernel in wall-clock time. Calls come in order of `arrival_ns`.
    """

    @property
    def delay_ns(self) -> int:
        """Propagation delay, the least if it varies; never part of the time the link is busy."""

    @property
    def free_ns(self) -> int:
        """When the last byte accepted so far leaves the link."""

    @property
    def may_drop(self) -> bool:
        """Whether it may refuse or lose a packet at all."""

    def send(self, arrival_ns: int, size_bytes: int) -> int | None:
        """Return when the last byte leaves the link, or None if the queue refuses the packet."""

    def arrive(self, release_ns: int) -> int | None:
        """Return when what leaves at `release_ns` is at the other end; None if it is lost.

        Called at most once for each packet, in the order of their release. Order is kept.
        """

    def backlog_bytes(self, now_ns: int) -> int:
        """Return the bytes accepted and not yet released at `now_ns`."""


@dataclass(slots=True)
class FrameRecord:
    """The life of one frame; the only thing engines produce. None: the frame never got there."""

    frame: int
    captured_ns: int
    encode_start_ns: int | None = None
    encode_end_ns: int | None = None
    send_start_ns: int | None = None  # its first byte is the next to leave
    sent_ns: int | None = None  # its last byte left the uplink
    arrived_ns: int | None = None  # sent + propagation: all of it at the server
    batch_start_ns: int | None = None
    decoded_ns: int | None = None
    answered_ns: int | None = None  # the answer is at the client
    point: OperatingPoint | None = None  # None: dropped before the policy saw it
    payload_bytes: int = 0
    wire_bytes: int = 0  # payload and headers that crossed the uplink
    encode_j: float = 0.0
    radio_j: float = 0.0
    fate: Fate = Fate.UNFINISHED
    stale_ns: int | None = None  # age of the newest answer at the client when this was captured
    battery_j: float | None = None  # left when it was captured
    temperature_c: float | None = None
    dataset_frame: int | None = None  # what the camera saw, where the detector is a recording
