"""What crosses the network between a client and a server: messages with a header of 36 bytes.

Little-endian, no pickle, every size limited before anything of that size is kept. Header:

| bytes | field |
|--:|---|
| 4 | `STW1` |
| 1 | version of this protocol |
| 1 | type of the message, a `Type` |
| 2 | zero |
| 4 | sequence number, counted from 0 in each direction of a connection |
| 4 | length of the body |
| 16 | check of those 16 and the body: CRC-32 and twelve zeros, or with a token HMAC-SHA256 |
| 4 | CRC-32 of the 32 bytes before, so that a damaged length is found before it is believed |

Where each thing of a frame stands: client, run and detector in the `HELLO` that opens a connection;
frame, operating point and deadline in the fixed part of a `FRAME`; width, bits, shape, scales and
zero points of a live bottleneck in the payload's own header (`testbed.detectors.payload`), which
begins where the fixed part ends. Bodies are in `testbed.emulate.bodies`, the handshake in
`testbed.emulate.keys`.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import NamedTuple

from testbed.errors import TestbedError

MAGIC = b"STW1"
VERSION = 1
HEADER = struct.Struct("<4sBBHII16sI")
HEADER_BYTES = HEADER.size
CHECK_BYTES = 16
_CHECKED = 16  # bytes of the header that the check covers, beside the body
_PIECE_BYTES = 64 * 1024
_CRC = struct.Struct("<I")

Bytes = bytes | bytearray | memoryview


class Type(IntEnum):
    """What a message is. Clients send the odd ones, servers the even ones, both a `FAREWELL`."""

    HELLO = 1  # who I am, which run, which detector
    CHALLENGE = 2  # prove that you know the token
    PROOF = 3  # an empty message whose check does
    WELCOME = 4  # what I accept, and what my clock says
    FRAME = 5  # an encoded frame
    ANSWER = 6  # what is in it, or why it was not decoded
    CANCEL = 7  # frames that need not be decoded any more
    PONG = 8
    PING = 9
    FAREWELL = 10  # why I close the connection
    DATAGRAMS = 11  # my frames come over UDP, from this port


class Fault(StrEnum):
    """What is wrong with what a peer sent, or failed to send."""

    GARBLED = "garbled"  # no message at all, or a damaged one
    VERSION = "version"  # another version of this protocol
    OVERSIZED = "oversized"  # announces more than is allowed
    MALFORMED = "malformed"  # a body that is not what its type says
    UNEXPECTED = "unexpected"  # a type or sequence number whose turn it is not
    FORGED = "forged"  # a check that only a token could have made, and did not
    REPLAYED = "replayed"  # a frame that has been here before
    SLOW = "slow"  # takes too long to finish a message, or to take an answer
    TRUNCATED = "truncated"  # gone in the middle of a message
    FULL = "full"  # no room for one more
    REFUSED = "refused"  # somebody or something that is not served here


class WireError(TestbedError):
    """The other end broke the protocol, or said why it goes.

    Args:
        fault: The rule that was broken.
        message: What exactly is wrong.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Message(NamedTuple):
    """One message, checked.

    Args:
        type: What it is.
        body: Without the header.
        raw: The header, of which the handshake keeps a record.
    """

    type: Type
    body: bytes
    raw: bytes


class Key(NamedTuple):
    """What both ends have agreed on, for one direction of one connection."""

    secret: bytes


def check(head: Bytes, parts: tuple[Bytes, ...], key: Key | None) -> bytes:
    """Return the check of a message whose body consists of `parts`, 16 bytes."""
    if key is None:
        value = zlib.crc32(head)
        for part in parts:
            value = zlib.crc32(part, value)
        return _CRC.pack(value).ljust(CHECK_BYTES, b"\0")
    digest = hmac.new(key.secret, head, "sha256")
    for part in parts:
        digest.update(part)
    return digest.digest()[:CHECK_BYTES]


def pack(kind: Type, sequence: int, *parts: Bytes, key: Key | None = None) -> bytes:
    """Return the header of a message whose body consists of `parts`, which follow it unchanged."""
    length = sum(len(part) for part in parts)
    fields = (MAGIC, VERSION, kind, 0, sequence, length)
    head = HEADER.pack(*fields, b"", 0)[:_CHECKED]
    covered = head + check(head, parts, key)
    return covered + _CRC.pack(zlib.crc32(covered))


class _Body:
    """A body that fills up, in pieces of a fixed size.

    One buffer that grows would leave holes of all sizes in memory, ten times what it holds.
    """

    def __init__(self, length: int) -> None:
        self.held = 0
        self._length = length
        self._pieces: list[bytearray] = []

    def fill(self, data: memoryview) -> int:
        """Take what belongs to the body; return how much that was."""
        taken = min(len(data), self._length - self.held)
        done = 0
        while done < taken:
            at = self.held % _PIECE_BYTES
            if at == 0:
                self._pieces.append(bytearray(min(_PIECE_BYTES, self._length - self.held)))
            piece = self._pieces[-1]
            count = min(len(piece) - at, taken - done)
            piece[at : at + count] = data[done : done + count]
            self.held += count
            done += count
        return taken

    def whole(self) -> bytes | None:
        """Return the body if it is complete."""
        return b"".join(self._pieces) if self.held == self._length else None


class Parser:
    """Messages out of a stream of bytes, however it is cut.

    It keeps no more than one message, which `most` limits by its type, and what the caller fed it
    at once. Whatever breaks a rule raises a `WireError`; the stream has no further meaning then,
    and neither has the parser.

    Args:
        most: The types that may come now, with the longest body of each. Who owns the parser may
            change it between two messages.
        key: Of the checks that come; None for plain checksums. May be changed likewise.
    """

    def __init__(self, most: Mapping[Type, int], key: Key | None = None) -> None:
        self.most = most
        self.key = key
        self._sequence = 0
        self._fed = memoryview(b"")
        self._raw = bytearray()  # the header
        self._head: tuple[Type, bytes] | None = None  # type and check of what comes
        self._body = _Body(0)

    @property
    def held_bytes(self) -> int:
        """Bytes of the message that is not whole yet, and of what was fed and not yet looked at."""
        return len(self._raw) + self._body.held + len(self._fed)

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. Call `take` until it returns None before feeding more."""
        assert not self._fed, "take what is there first"
        self._fed = memoryview(data)

    def take(self) -> Message | None:
        """Return the next whole message, or None if it needs more bytes."""
        if self._head is None:
            count = HEADER_BYTES - len(self._raw)
            self._raw += self._fed[:count]
            self._fed = self._fed[count:]
            if len(self._raw) < HEADER_BYTES:
                return None
            kind, length, expected = self._read_header(bytes(self._raw))
            self._head, self._body = (kind, expected), _Body(length)
        self._fed = self._fed[self._body.fill(self._fed) :]
        body = self._body.whole()
        if body is None:
            return None
        kind, expected = self._head
        raw = bytes(self._raw)
        if not hmac.compare_digest(check(raw[:_CHECKED], (body,), self.key), expected):
            if self.key is None:
                raise WireError(Fault.GARBLED, f"the checksum of a {kind.name} does not hold")
            raise WireError(Fault.FORGED, f"a {kind.name} was not made with this token")
        self._head, self._body = None, _Body(0)
        self._raw.clear()
        self._sequence += 1
        return Message(kind, body, raw)

    def _read_header(self, raw: bytes) -> tuple[Type, int, bytes]:
        magic, version, kind, zero, sequence, length, expected, crc = HEADER.unpack(raw)
        if magic != MAGIC:
            raise WireError(Fault.GARBLED, f"a message begins with {MAGIC!r}, not {magic!r}")
        if version != VERSION:
            message = f"speaks version {version} of the protocol; this end speaks {VERSION}"
            raise WireError(Fault.VERSION, message)
        if zlib.crc32(raw[:-4]) != crc:
            raise WireError(Fault.GARBLED, "the checksum of a header does not hold")
        if zero or kind not in self.most:
            names = ", ".join(known.name for known in self.most)
            message = f"a message of type {kind}, flags {zero}, where one of {names} may come"
            raise WireError(Fault.UNEXPECTED, message)
        if length > self.most[Type(kind)]:
            message = f"a {Type(kind).name} of {length} bytes; {self.most[Type(kind)]} are allowed"
            raise WireError(Fault.OVERSIZED, message)
        if sequence != self._sequence:
            message = f"message {sequence} where number {self._sequence} is due"
            raise WireError(Fault.UNEXPECTED, message)
        return Type(kind), length, expected
