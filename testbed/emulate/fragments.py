"""Frames and answers in UDP datagrams: the terms, the header of a fragment, putting together.

A fragment has a header of 12 bytes, as long as RTP's, so that with those of IP and UDP a packet has
the 40 that the simulator's datagrams have; a transport with longer headers is padded. What does not
change from frame to frame is agreed on over TCP before the run (`Terms`): the operating points,
which a fragment names by their number, and how long all fragments but the last of a frame are.

Little-endian:

| bytes | field |
|--:|---|
| 1 | 16, the version, plus a `Part` |
| 1 | number of the operating point; 0 in what a server sends |
| 2 | number of the fragment, from 0; the highest bit is set in the last one |
| 4 | number of the frame at its client |
| 4 | deadline in microseconds of the server's clock, modulo 2³²; 0 in what a server sends |
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from testbed.emulate.bodies import FRAME_BYTES, Request
from testbed.emulate.protocol import Bytes, Fault, WireError

NS_PER_US = 1000
HEAD = struct.Struct("<BBHII")
HEAD_BYTES = HEAD.size
IP_UDP_BYTES = 28
LEAST_HEADER_BYTES = IP_UDP_BYTES + HEAD_BYTES
"""Of a packet: what IP, UDP and a fragment take."""

MOST_POINTS = 255
LEAST_PACKET_BYTES = 64
"""Of payload; with less, headers and numbers of fragments would be most of it."""

_VERSION = 16
_LAST = 0x8000
_MOST_FRAGMENTS = 0x8000
_PIECE_COST = 128  # bytes that Python takes for a piece beside its own, counted as held
_WRAP = 1 << 32

_TERMS = struct.Struct("<HHHQBB")  # port, payload of a packet, padding, grace, cancel, points


class Part(IntEnum):
    """What a datagram is."""

    FRAME = 1  # a fragment of a payload
    ANSWER = 2  # a fragment of an answer
    RECEIVED = 3  # all of a frame is there
    INCOMPLETE = 4  # the rest of a frame did not come, and what did is forgotten


class Terms(NamedTuple):
    """What a client and a server agree on before datagrams go between them.

    Args:
        port: From which the client sends, and where it is answered.
        packet_bytes: Payload of a packet; the last of a frame may have less.
        padding_bytes: Zeros behind the header of a fragment.
        grace_ns: How long after its deadline the server waits for the rest of a frame.
        cancel: Whether an answer is given up that has not left by its deadline.
        points: What frames may be; number and deadline are left open.
    """

    port: int
    packet_bytes: int
    padding_bytes: int
    grace_ns: int
    cancel: bool
    points: tuple[Request, ...]

    def pack(self) -> bytes:
        """Return the body. Raise a `ValueError` for more points than fit."""
        count = len(self.points)
        if count > MOST_POINTS:
            raise ValueError(f"{count} operating points; datagrams name {MOST_POINTS} at most")
        head = _TERMS.pack(*self[:4], self.cancel, count)
        return head + b"".join(point.pack() for point in self.points)

    @classmethod
    def unpack(cls, body: bytes) -> Terms:
        """Read a body. Raise a `WireError` for one that is none."""
        if len(body) < _TERMS.size:
            raise WireError(Fault.MALFORMED, f"DATAGRAMS of {len(body)} bytes")
        port, packet, padding, grace_ns, cancel, count = _TERMS.unpack_from(body)
        rest = body[_TERMS.size :]
        if len(rest) != count * FRAME_BYTES or not (port and count):
            raise WireError(Fault.MALFORMED, f"DATAGRAMS of {len(body)} bytes, {count} points")
        if packet < LEAST_PACKET_BYTES:
            message = f"packets of {packet} bytes; {LEAST_PACKET_BYTES} is the least"
            raise WireError(Fault.MALFORMED, message)
        points = tuple(
            Request.unpack(rest[at : at + FRAME_BYTES])[0]
            for at in range(0, len(rest), FRAME_BYTES)
        )
        return cls(port, packet, padding, grace_ns, bool(cancel), points)


MOST_TERMS_BYTES = _TERMS.size + MOST_POINTS * FRAME_BYTES


class Head(NamedTuple):
    """The header of a datagram.

    Args:
        part: What it is.
        frame: Number of the frame.
        number: Of the fragment.
        last: Whether it is the last of its frame.
        point: Number of the operating point.
        deadline_us: Modulo 2³².
    """

    part: Part
    frame: int
    number: int = 0
    last: bool = True
    point: int = 0
    deadline_us: int = 0

    def pack(self) -> bytes:
        """Return the header."""
        index = self.number | (_LAST if self.last else 0)
        kind = _VERSION + self.part
        return HEAD.pack(kind, self.point, index, self.frame, self.deadline_us)

    @classmethod
    def unpack(cls, data: bytes) -> Head:
        """Read the header of a datagram. Raise a `WireError` if there is none."""
        if len(data) < HEAD_BYTES:
            raise WireError(Fault.MALFORMED, f"a datagram of {len(data)} bytes")
        kind, point, index, frame, deadline_us = HEAD.unpack_from(data)
        try:
            part = Part(kind - _VERSION)
        except ValueError:
            raise WireError(Fault.GARBLED, f"a datagram of kind {kind}") from None
        return cls(part, frame, index & ~_LAST, bool(index & _LAST), point, deadline_us)


def deadline_us(deadline_ns: int) -> int:
    """Return a deadline as a header has it."""
    return deadline_ns // NS_PER_US % _WRAP


def deadline_ns(wrapped_us: int, now_ns: int) -> int:
    """Return the instant nearest to `now_ns` that a header's deadline may mean."""
    now_us = now_ns // NS_PER_US
    ahead_us = (wrapped_us - now_us + _WRAP // 2) % _WRAP - _WRAP // 2
    return (now_us + ahead_us) * NS_PER_US


def fragments(head: Head, payload: Bytes, packet_bytes: int, padding_bytes: int) -> Iterator[bytes]:
    """Yield the datagrams of a payload in order.

    Raises:
        ValueError: There are more of them than have numbers.
    """
    count = max(1, -(-len(payload) // packet_bytes))
    if count > _MOST_FRAGMENTS:
        raise ValueError(f"{count} packets; a payload goes into {_MOST_FRAGMENTS} at most")
    padding = bytes(padding_bytes)
    for index in range(count):
        its = head._replace(number=index, last=index == count - 1)
        start = index * packet_bytes
        yield its.pack() + padding + payload[start : start + packet_bytes]


@dataclass(slots=True)
class Partial:
    """What has come of a frame.

    Args:
        until_ns: It is forgotten then.
        point: Number of its operating point.
    """

    until_ns: int
    point: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    last: int | None = None
    cost_bytes: int = 0


class Reassembly:
    """Payloads of one sender out of fragments in any order.

    Args:
        packet_bytes: Length of all fragments but the last.
        padding_bytes: Behind the header of each.
        most_bytes: Of a payload.
    """

    def __init__(self, packet_bytes: int, padding_bytes: int, most_bytes: int) -> None:
        self.held_bytes = 0
        self._packet_bytes = packet_bytes
        self._skip = HEAD_BYTES + padding_bytes
        self._most_bytes = most_bytes
        self._partials: OrderedDict[int, Partial] = OrderedDict()

    @property
    def oldest_ns(self) -> int | None:
        """When the first partial payload is forgotten; None if there is none."""
        return min((partial.until_ns for partial in self._partials.values()), default=None)

    def take(self, head: Head, data: bytes, until_ns: int) -> bytes | None:
        """Take a fragment; return the payload if it was all that was missing.

        Raises:
            WireError: It fits no payload; what has come of the frame before is kept.
        """
        piece = data[self._skip :]
        self._check(head, piece)
        partial = self._partials.get(head.frame)
        if partial is None:
            partial = Partial(until_ns, head.point)
        elif partial.point != head.point:
            raise WireError(Fault.MALFORMED, f"frame {head.frame} changes its operating point")
        if head.last and partial.last not in (None, head.number):
            raise WireError(Fault.MALFORMED, f"frame {head.frame} ends twice")
        end = head.number if head.last else partial.last
        if end is not None and (head.number > end or any(index > end for index in partial.pieces)):
            raise WireError(Fault.MALFORMED, f"frame {head.frame} goes on after its end")
        partial.last = end
        self._partials[head.frame] = partial
        if head.number not in partial.pieces:
            partial.pieces[head.number] = piece
            cost = len(piece) + _PIECE_COST
            partial.cost_bytes += cost
            self.held_bytes += cost
        if end is None or len(partial.pieces) <= end:
            return None
        self.drop(head.frame)
        return b"".join(partial.pieces[index] for index in range(end + 1))

    def _check(self, head: Head, piece: bytes) -> None:
        full = self._packet_bytes
        if len(piece) > full or (len(piece) < full and not head.last):
            message = f"a fragment of {len(piece)} bytes, where {full} were agreed on"
            raise WireError(Fault.MALFORMED, message)
        if head.number * full + len(piece) > self._most_bytes:
            message = f"a fragment beyond the {self._most_bytes} bytes that a payload may have"
            raise WireError(Fault.OVERSIZED, message)

    def drop(self, frame: int) -> None:
        """Forget what has come of a frame."""
        self.held_bytes -= self._partials.pop(frame).cost_bytes

    def overdue(self, now_ns: int) -> list[int]:
        """Forget the payloads whose time is over; return their frames."""
        frames = [frame for frame, its in self._partials.items() if its.until_ns <= now_ns]
        for frame in frames:
            self.drop(frame)
        return frames

    def drop_oldest(self) -> int:
        """Forget the payload that began first; return its frame."""
        frame = next(iter(self._partials))
        self.drop(frame)
        return frame
