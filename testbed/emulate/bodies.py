"""The bodies of the messages, each a tuple with `pack` and `unpack`; layouts beside each struct.

Instants are nanoseconds of a clock that never jumps (CLOCK_MONOTONIC): the server's in whatever a
server reads or writes. Where both ends share a kernel the two clocks are one, which the `clock` in
`Hello` and `Welcome` tells; elsewhere a client learns the difference from `Welcome` and `Pong`.
"""

from __future__ import annotations

import math
import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from testbed.emulate.protocol import Fault, Type, WireError
from testbed.model import Fate, Mode, OperatingPoint

if TYPE_CHECKING:
    from testbed.detectors.detections import Detections

NONCE_BYTES = 16
NO_DEADLINE = 2**63 - 1
NEVER = 2**64 - 1
CODECS = ("raw", "zstd", "range", "range-adaptive", "jpeg", "webp", "png")
"""Coders by number: those of `testbed.detectors.entropy` in their order, then those of pictures.

A name may end in a quality, such as `jpeg-75`, which is a number of its own.
"""
MODES = (Mode.SPLIT, Mode.OFFLOAD)

MOST_NAME_BYTES = 100
MOST_TEXT_BYTES = 200
MOST_ANSWER_BYTES = 64 * 1024
MOST_BOXES = 1000

_HELLO = struct.Struct("<16s16s16sBB")  # nonce, run, clock, lengths of the two names that follow
_CHALLENGE = struct.Struct("<16s")  # nonce
_WELCOME = struct.Struct("<I16sqqIB")  # session, clock, received, sent, most payload, stand-in
_FRAME = struct.Struct("<I5BdqHI")  # frame, kind, mode, bits, codec, its quality, width, deadline,
#                                     most boxes, least bytes of the answer
_ANSWER = struct.Struct("<I3B3HqQQ")  # frame, status, stand-in, parts of a pixel, boxes, batch,
#                                       ahead, arrived, and from there to the batch and to its end
_BOX = struct.Struct("<6H")  # left, top, right, bottom in parts of a pixel, score, label
_CANCEL = struct.Struct("<IBB")  # frame, whether all before it too, why
_PING = struct.Struct("<Q")  # anything
_PONG = struct.Struct("<Qqq")  # the same, received, sent
_FAREWELL = struct.Struct("<B")  # place of the fault in its list; text follows

FRAME_BYTES = _FRAME.size
ANSWER_BYTES = _ANSWER.size

CLIENT_MOST = {
    Type.HELLO: _HELLO.size + 2 * MOST_NAME_BYTES,
    Type.PROOF: 0,
    Type.CANCEL: _CANCEL.size,
    Type.PING: _PING.size,
    Type.FAREWELL: _FAREWELL.size + MOST_TEXT_BYTES,
}
"""The longest bodies that clients send; of a `FRAME` the server says how long it may be."""

SERVER_MOST = {
    Type.CHALLENGE: _CHALLENGE.size,
    Type.WELCOME: _WELCOME.size,
    Type.ANSWER: MOST_ANSWER_BYTES,
    Type.PONG: _PONG.size,
    Type.FAREWELL: _FAREWELL.size + MOST_TEXT_BYTES,
}
"""The longest bodies that servers send."""


class Kind(IntEnum):
    """What the bytes of a payload are."""

    STAND_IN = 0  # of the published size, without a meaning
    BOTTLENECK = 1  # what `testbed.detectors.payload` writes
    PICTURE = 2  # a compressed picture


class Status(IntEnum):
    """What became of a frame at the server."""

    DECODED = 0
    QUEUE_FULL = 1  # more frames waited than may
    EXPIRED = 2  # its deadline had passed when its turn came
    SUPERSEDED = 3  # its client had cancelled it for a newer one
    CANCELLED = 4  # its client had cancelled it because its deadline had passed
    UNDECODABLE = 5  # the payload is none of this detector's
    FAILED = 6  # the decoder broke; the server's fault


FATE_OF = {
    Status.QUEUE_FULL: Fate.DROPPED_QUEUE,
    Status.EXPIRED: Fate.DROPPED_DEADLINE,
    Status.SUPERSEDED: Fate.DROPPED_QUEUE,
    Status.CANCELLED: Fate.DROPPED_DEADLINE,
    Status.UNDECODABLE: Fate.LOST,
    Status.FAILED: Fate.LOST,
}
"""The fate of a frame that was not decoded; the same as in the simulator where it knows them."""


def _fields(
    layout: struct.Struct, body: bytes, what: str, *, more: bool = False
) -> tuple[Any, ...]:
    if len(body) < layout.size or (len(body) > layout.size and not more):
        least = "at least " if more else ""
        raise WireError(
            Fault.MALFORMED, f"a {what} of {len(body)} bytes; it takes {least}{layout.size}"
        )
    return layout.unpack_from(body)


def _text(raw: bytes, what: str) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text or not all(c.isalnum() or c in "-_./" for c in text):
        raise WireError(Fault.MALFORMED, f"{what} is made of letters, digits, '-', '_', '.', '/'")
    return text


def _codec(name: str) -> tuple[int, int]:
    """Return number and quality of a codec. Raise a `ValueError` for one without a number."""
    base, _, quality = name.rpartition("-")
    if base in CODECS and quality.isdecimal() and 1 <= int(quality) <= 255:
        return CODECS.index(base), int(quality)
    if name not in CODECS:
        raise ValueError(f"codec '{name}' has no number; those that do: {', '.join(CODECS)}")
    return CODECS.index(name), 0


class Hello(NamedTuple):
    """Who opens a connection.

    Args:
        client: Its name.
        detector: What made its payloads.
        run: 16 bytes that all connections of one run share; a frame is taken once in a run.
        clock: 16 bytes that tell clocks apart (`testbed.emulate.keys.clock`).
        nonce: 16 random bytes.
    """

    client: str
    detector: str
    run: bytes
    clock: bytes
    nonce: bytes

    def pack(self) -> bytes:
        """Return the body. Raise a `ValueError` for names that are too long or not ASCII."""
        names = self.client.encode("ascii"), self.detector.encode("ascii")
        if not all(1 <= len(name) <= MOST_NAME_BYTES for name in names):
            raise ValueError(f"a name has 1 to {MOST_NAME_BYTES} characters")
        lengths = map(len, names)
        return _HELLO.pack(self.nonce, self.run, self.clock, *lengths) + b"".join(names)

    @classmethod
    def unpack(cls, body: bytes) -> Hello:
        """Read a body. Raise a `WireError` for one that is none."""
        nonce, run, clock, first, second = _fields(_HELLO, body, "HELLO", more=True)
        names = body[_HELLO.size :]
        if len(names) != first + second or max(first, second) > MOST_NAME_BYTES:
            raise WireError(Fault.MALFORMED, "a HELLO whose names are not as long as it says")
        client, detector = _text(names[:first], "a name"), _text(names[first:], "a detector")
        return cls(client, detector, run, clock, nonce)


class Challenge(NamedTuple):
    """The server's random bytes, for both ends to make a key of."""

    nonce: bytes

    def pack(self) -> bytes:
        """Return the body."""
        return _CHALLENGE.pack(self.nonce)

    @classmethod
    def unpack(cls, body: bytes) -> Challenge:
        """Read a body. Raise a `WireError` for one that is none."""
        _fields(_CHALLENGE, body, "CHALLENGE")
        return cls(body)


class Welcome(NamedTuple):
    """What a server accepts, and what its clock says.

    Args:
        session: Number of the connection in the server's log.
        clock: As in `Hello`.
        received_ns: When the `HELLO` came.
        sent_ns: When this went.
        most_payload_bytes: Of a frame.
        stand_in: Whether it waits as long as decoding would take instead of decoding.
    """

    session: int
    clock: bytes
    received_ns: int
    sent_ns: int
    most_payload_bytes: int
    stand_in: bool

    def pack(self) -> bytes:
        """Return the body."""
        return _WELCOME.pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> Welcome:
        """Read a body. Raise a `WireError` for one that is none."""
        *rest, stand_in = _fields(_WELCOME, body, "WELCOME")
        return cls(*rest, bool(stand_in))  # type: ignore[call-arg]


class Request(NamedTuple):
    """One frame for the server: the fixed part of a `FRAME`; the payload follows it.

    Args:
        frame: Its number at its client.
        point: Its operating point, of mode `split` or `offload`.
        kind: What the payload is.
        deadline_ns: By the server's clock; None if it does not matter.
        most_boxes: More are not answered; the best are kept.
        answer_bytes: The answer's size on the connection at least, its header included.
    """

    frame: int
    point: OperatingPoint
    kind: Kind
    deadline_ns: int | None = None
    most_boxes: int = 100
    answer_bytes: int = 0

    def pack(self) -> bytes:
        """Return the fixed part. Raise a `ValueError` for what it cannot hold."""
        point = self.point
        if point.mode not in MODES:
            raise ValueError(f"a frame of mode {point.mode} is not sent")
        codec, quality = _codec(point.codec)
        if self.most_boxes > MOST_BOXES or self.answer_bytes > MOST_ANSWER_BYTES:
            most = f"{MOST_BOXES} boxes and {MOST_ANSWER_BYTES} bytes"
            raise ValueError(f"an answer has {most} at most")
        until = NO_DEADLINE if self.deadline_ns is None else self.deadline_ns
        codes = (self.kind, MODES.index(point.mode), point.bits, codec, quality)
        return _FRAME.pack(
            self.frame, *codes, point.width, until, self.most_boxes, self.answer_bytes
        )

    @classmethod
    def unpack(cls, body: bytes) -> tuple[Request, memoryview]:
        """Read a body; return it and its payload. Raise a `WireError` for one that is none."""
        frame, kind, mode, bits, codec, quality, width, until, boxes, size = _fields(
            _FRAME, body, "FRAME", more=True
        )
        if (
            kind > max(Kind)
            or mode >= len(MODES)
            or codec >= len(CODECS)
            or bits > 32
            or not (math.isfinite(width) and 0 < width <= 1)
            or boxes > MOST_BOXES
            or size > MOST_ANSWER_BYTES
        ):
            raise WireError(Fault.MALFORMED, "a FRAME with an operating point that there is not")
        name = f"{CODECS[codec]}-{quality}" if quality else CODECS[codec]
        point = OperatingPoint(width, bits, name, MODES[mode])
        deadline_ns = None if until == NO_DEADLINE else until
        request = cls(frame, point, Kind(kind), deadline_ns, boxes, size)
        return request, memoryview(body)[FRAME_BYTES:]


class Answer(NamedTuple):
    """What a server says about a frame.

    Args:
        frame: Its number at its client.
        status: What became of it.
        stand_in: Whether the server waited instead of decoding.
        arrived_ns: When the server had all of it, by the server's clock.
        batch_start_ns: From then to the start of its batch; None if it was in none.
        decoded_ns: From arrival to the end of its batch, or to the refusal.
        batch: Frames in its batch.
        ahead: Frames that waited when it came.
        parts: Of a pixel, which edges of boxes count.
        boxes: The rest of the body; `detections` reads them.
    """

    frame: int
    status: Status
    stand_in: bool
    arrived_ns: int
    batch_start_ns: int | None
    decoded_ns: int
    batch: int = 0
    ahead: int = 0
    parts: int = 1
    boxes: bytes = b""

    def pack(self, least_bytes: int = 0) -> bytes:
        """Return the body, with zeros up to `least_bytes`."""
        start = NEVER if self.batch_start_ns is None else self.batch_start_ns
        body = _ANSWER.pack(
            self.frame, self.status, self.stand_in, self.parts, len(self.boxes) // _BOX.size,
            min(self.batch, 65_535), min(self.ahead, 65_535), self.arrived_ns, start,
            self.decoded_ns,
        )  # fmt: skip
        return (body + self.boxes).ljust(least_bytes, b"\0")

    @classmethod
    def unpack(cls, body: bytes) -> Answer:
        """Read a body. Raise a `WireError` for one that is none."""
        frame, status, stand_in, parts, count, batch, ahead, arrived, start, decoded = _fields(
            _ANSWER, body, "ANSWER", more=True
        )
        end = ANSWER_BYTES + count * _BOX.size
        if status > max(Status) or parts < 1 or len(body) < end:
            raise WireError(Fault.MALFORMED, f"an ANSWER of {len(body)} bytes with {count} boxes")
        return cls(
            frame, Status(status), bool(stand_in), arrived, None if start == NEVER else start,
            decoded, batch, ahead, parts, body[ANSWER_BYTES:end],
        )  # fmt: skip

    def detections(self) -> Detections:
        """Return the boxes, to a sixteenth of a pixel; scores are in 65535ths."""
        import numpy as np

        from testbed.detectors.answers import SCORE_LEVELS
        from testbed.detectors.detections import Detections

        raw = np.frombuffer(self.boxes, "<u2").reshape(-1, 6)
        return Detections(
            (raw[:, :4] / self.parts).astype(np.float32),
            (raw[:, 4] / SCORE_LEVELS).astype(np.float32),
            raw[:, 5].astype(np.int64),
        )


def pack_boxes(found: Detections, most: int) -> tuple[int, bytes]:
    """Return the parts of a pixel that edges count, and the best `most` boxes, 12 bytes each.

    Edges are whole sixteenths of a pixel, as everywhere an answer is written down
    (`testbed.detectors.answers`); in pictures beyond 4095 pixels, eighths, quarters and so on. What
    lies left of or above the picture is cut off. Masks are not sent. Raise a `ValueError` for
    labels or edges above 65535.
    """
    import numpy as np

    from testbed.detectors.answers import PIXEL_PARTS, SCORE_LEVELS

    count = min(len(found), most)
    edges = np.clip(found.boxes[:count].astype(np.float64), 0, None)
    furthest = float(edges.max(initial=0.0))
    if furthest > 65_535 or int(found.labels[:count].max(initial=0)) > 65_535:
        raise ValueError("an edge or a label above 65535 does not fit an answer")
    parts = PIXEL_PARTS
    while np.rint(furthest * parts) > 65_535:
        parts //= 2
    raw = np.empty((count, 6), "<u2")
    raw[:, :4] = np.rint(edges * parts)
    raw[:, 4] = np.rint(found.scores[:count].astype(np.float64) * SCORE_LEVELS)
    raw[:, 5] = found.labels[:count]
    return parts, raw.tobytes()


class Cancel(NamedTuple):
    """Frames that are of no more use; those being decoded already are answered all the same.

    Args:
        frame: The newest of them.
        older: Whether all before it as well.
        expired: Whether because of the deadline; otherwise because of a newer one.
    """

    frame: int
    older: bool = False
    expired: bool = False

    def pack(self) -> bytes:
        """Return the body."""
        return _CANCEL.pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> Cancel:
        """Read a body. Raise a `WireError` for one that is none."""
        frame, older, expired = _fields(_CANCEL, body, "CANCEL")
        return cls(frame, bool(older), bool(expired))


class Ping(NamedTuple):
    """A question for the time."""

    token: int

    def pack(self) -> bytes:
        """Return the body."""
        return _PING.pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> Ping:
        """Read a body. Raise a `WireError` for one that is none."""
        return cls(*_fields(_PING, body, "PING"))


class Pong(NamedTuple):
    """The time when a `Ping` came and when this went, by the server's clock."""

    token: int
    received_ns: int
    sent_ns: int

    def pack(self) -> bytes:
        """Return the body."""
        return _PONG.pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> Pong:
        """Read a body. Raise a `WireError` for one that is none."""
        return cls(*_fields(_PONG, body, "PONG"))


class Farewell(NamedTuple):
    """Why a connection ends."""

    fault: Fault
    text: str

    def pack(self) -> bytes:
        """Return the body; what is not ASCII becomes `?`, what is too long is cut."""
        text = self.text.encode("ascii", "replace")[:MOST_TEXT_BYTES]
        return _FAREWELL.pack(list(Fault).index(self.fault)) + text

    @classmethod
    def unpack(cls, body: bytes) -> Farewell:
        """Read a body. Raise a `WireError` for one that is none."""
        (place,) = _fields(_FAREWELL, body, "FAREWELL", more=True)
        text = body[_FAREWELL.size :].decode("ascii", "replace")
        if place >= len(Fault):
            raise WireError(Fault.MALFORMED, f"a FAREWELL for a reason {place} that there is not")
        return cls(list(Fault)[place], "".join(c if c.isprintable() else "?" for c in text))
