"""The server's end of one connection: its handshake, what it has not finished, what it is owed."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from testbed.emulate import certificates, keys
from testbed.emulate.bodies import (
    CLIENT_MOST,
    FRAME_BYTES,
    Challenge,
    Farewell,
    Hello,
    Ping,
    Pong,
    Welcome,
)
from testbed.emulate.fragments import MOST_TERMS_BYTES
from testbed.emulate.protocol import Bytes, Fault, Key, Message, Parser, Type, WireError, pack
from testbed.model import NS_PER_S

CHUNK_BYTES = 64 * 1024
BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True)
class Limits:
    """What a server spends on its peers at most.

    Args:
        payload_bytes: Of one frame.
        connections: At a time.
        strangers: Of those, how many that have not finished their handshake; one more, and the
            oldest of them gives way.
        partial_bytes: Of all unfinished messages together; when that is reached the connection
            whose message is unfinished for longest is closed.
        queued_bytes: Of all payloads that wait or are being decoded; a frame beyond is refused.
        outbox_bytes: Of answers that a peer does not take.
        handshake_s: From accepting a connection to the end of its handshake.
        message_s: From the first byte of a message to its last.
        idle_s: Between two messages.
        stall_s: For a peer to take some of what it is sent.
        linger_s: For a peer to read why its connection is closed.
        runs: Whose frames are remembered, so that none is taken twice.
    """

    payload_bytes: int = 4_000_000
    connections: int = 256
    strangers: int = 64
    partial_bytes: int = 64 << 20
    queued_bytes: int = 256 << 20
    outbox_bytes: int = 1 << 20
    handshake_s: float = 5.0
    message_s: float = 30.0
    idle_s: float = 300.0
    stall_s: float = 10.0
    linger_s: float = 1.0
    runs: int = 1024

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name} must be above 0, not {value}")


class State(Enum):
    """How far a connection has come."""

    TLS = auto()
    HELLO = auto()
    PROOF = auto()
    OPEN = auto()
    ENDING = auto()  # it has closed its side; what it is owed is still sent
    LEAVING = auto()  # told to go; what it still sends is thrown away


class Peer:
    """One connection.

    Args:
        sock: Accepted, not blocking; TLS not begun.
        host: Its address, for the log.
        session: Its number.
        now_ns: The present.
        limits: Of the server.
        token: The shared secret, if there is one.
        stand_in: What the `WELCOME` says about the decoder.
        refuses: Says why a detector is not served; empty if it is.
    """

    def __init__(
        self,
        sock: socket.socket,
        host: str,
        session: int,
        now_ns: int,
        *,
        limits: Limits,
        token: bytes | None,
        stand_in: bool,
        refuses: Callable[[str], str],
    ) -> None:
        self.sock = sock
        self.host = host
        self.session = session
        self.state = State.TLS if isinstance(sock, ssl.SSLSocket) else State.HELLO
        self.hello: Hello | None = None
        self.owed = 0  # frames that it has no answer to yet
        self.since_ns = now_ns  # of this state, or of the last sign of life
        self.partial_ns: int | None = None  # since when a message is unfinished
        self.stalled_ns: int | None = None  # since when it does not take what it is sent
        self._limits = limits
        self._token = token
        self._stand_in = stand_in
        self._refuses = refuses
        self._parser = Parser({kind: CLIENT_MOST[kind] for kind in (Type.HELLO, Type.FAREWELL)})
        self._opening: Message | None = None
        self._hello_ns = now_ns
        self._key: Key | None = None
        self._sequence = 0
        self._outbox = bytearray()
        self._greets = False  # a `WELCOME` is due before anything else

    @property
    def partial_bytes(self) -> int:
        """Bytes held of a message that is not whole."""
        return self._parser.held_bytes

    @property
    def wants_write(self) -> bool:
        """Whether `flush` has something to do."""
        return bool(self._outbox)

    @property
    def wants_read(self) -> bool:
        """Whether more may come: not from a peer that does not take what it is owed."""
        return self.state is not State.ENDING and len(self._outbox) < self._limits.outbox_bytes

    def due(self) -> tuple[int, str] | None:
        """Return when this connection is closed if nothing happens, and what for."""
        limits = self._limits
        if self.state is State.LEAVING:
            return self.since_ns + _ns(limits.linger_s), ""
        if self.state in (State.TLS, State.HELLO, State.PROOF):
            what = f"no handshake within {limits.handshake_s:g} s"
            return self.since_ns + _ns(limits.handshake_s), what
        found = []
        if self.stalled_ns is not None:
            what = f"took nothing of its answers for {limits.stall_s:g} s"
            found.append((self.stalled_ns + _ns(limits.stall_s), what))
        if self.partial_ns is not None:
            what = f"a message took longer than {limits.message_s:g} s"
            found.append((self.partial_ns + _ns(limits.message_s), what))
        elif self.state is State.OPEN and not self.owed:
            what = f"said nothing for {limits.idle_s:g} s"
            found.append((self.since_ns + _ns(limits.idle_s), what))
        return min(found, default=None)

    def read(self, now_ns: int) -> list[Message] | None:
        """Return what has come, the handshake aside; None if nothing ever will any more.

        Raise a `WireError` if it breaks a rule.
        """
        if self.state is State.LEAVING:
            with suppress(*BUSY):
                return [] if self._discard() else None
            return []
        try:
            if self.state is State.TLS:
                assert isinstance(self.sock, ssl.SSLSocket)
                self.sock.do_handshake()
                self.state = State.HELLO
            chunk = self.sock.recv(CHUNK_BYTES)
            if isinstance(self.sock, ssl.SSLSocket):
                chunk += self.sock.recv(more) if (more := self.sock.pending()) else b""
        except BUSY:
            return []
        except ssl.SSLError as error:
            raise WireError(Fault.GARBLED, certificates.why(error)) from None
        except OSError as error:
            if self.partial_bytes:
                raise WireError(Fault.TRUNCATED, f"{error.strerror} within a message") from None
            return None
        if not chunk:
            if self.partial_bytes:
                held = self.partial_bytes
                raise WireError(Fault.TRUNCATED, f"gone after {held} bytes of a message")
            if not self.owed and not self._outbox:
                return None
            self.state = State.ENDING
            return []
        if self.state is State.HELLO and not self.partial_bytes and chunk[:2] == b"\x16\x03":
            raise WireError(Fault.GARBLED, "speaks TLS, which this server was not told to")
        self._parser.feed(chunk)
        messages: list[Message] = []
        while (message := self._parser.take()) is not None:
            self.partial_ns = None
            if self.state is State.OPEN:
                self.since_ns = now_ns
                messages.append(message)
                if message.type is Type.FAREWELL:
                    break
            elif message.type is Type.FAREWELL:
                return None
            else:
                self._shake(message, now_ns)
        if not self.partial_bytes:
            self.partial_ns = None
        elif self.partial_ns is None:
            self.partial_ns = now_ns
        return messages

    def _discard(self) -> bool:
        """Throw away what has come; return False if nothing more will. Raise what `BUSY` lists."""
        try:
            return bool(self.sock.recv(CHUNK_BYTES))
        except BUSY:
            raise
        except OSError:
            return False

    def _shake(self, message: Message, now_ns: int) -> None:
        """Go on with the handshake."""
        if message.type is Type.HELLO:
            self.hello = Hello.unpack(message.body)
            self._opening, self._hello_ns = message, now_ns
            if self._token is None:
                self._welcome(now_ns)
                return
            body = Challenge(keys.nonce()).pack()
            header = pack(Type.CHALLENGE, 0, body)
            self.send(Type.CHALLENGE, body)
            challenge = Message(Type.CHALLENGE, body, header)
            self._parser.key, self._key = keys.derive(self._token, message, challenge)
            self._parser.most = {Type.PROOF: 0}
            self.state = State.PROOF
        else:
            self._welcome(now_ns)

    def _welcome(self, now_ns: int) -> None:
        assert self.hello is not None
        if reason := self._refuses(self.hello.detector):
            raise WireError(Fault.REFUSED, reason)
        most = self._limits.payload_bytes
        self._parser.most = {
            Type.FRAME: FRAME_BYTES + most,
            Type.DATAGRAMS: MOST_TERMS_BYTES,
            **{kind: CLIENT_MOST[kind] for kind in (Type.CANCEL, Type.PING, Type.FAREWELL)},
        }
        self.state, self.since_ns = State.OPEN, now_ns
        self._greets = True
        if not self._parser.held_bytes:
            self._greet(now_ns)
        # Else it did not wait, and hears it with the first answer: who answers a sender in the
        # middle of its payload has TCP take the connection for a dialogue and acknowledge less.

    def _greet(self, now_ns: int) -> None:
        self._greets = False
        most = self._limits.payload_bytes
        welcome = Welcome(self.session, keys.clock(), self._hello_ns, now_ns, most, self._stand_in)
        self.send(Type.WELCOME, welcome.pack())

    def pong(self, body: bytes, received_ns: int, now_ns: int) -> None:
        """Answer a ping."""
        self.send(Type.PONG, Pong(Ping.unpack(body).token, received_ns, now_ns).pack())

    def send(self, kind: Type, body: Bytes) -> None:
        """Queue a message; `flush` sends it."""
        if self._greets:
            self._greet(time.monotonic_ns())
        self._outbox += pack(kind, self._sequence, body, key=self._key)
        self._outbox += body
        self._sequence += 1

    def flush(self, now_ns: int) -> bool:
        """Send what the kernel takes. Return False if the peer is gone."""
        try:
            while self._outbox:
                with memoryview(self._outbox) as view:
                    sent = self.sock.send(view[:CHUNK_BYTES])
                del self._outbox[:sent]
                self.stalled_ns = None
        except BUSY:
            if self.stalled_ns is None:
                self.stalled_ns = now_ns
        except OSError:
            return False
        return self.state is not State.ENDING or bool(self.owed or self._outbox)

    def dismiss(self, fault: Fault, message: str, now_ns: int) -> None:
        """Say why the connection ends; the peer has a moment to read it."""
        self._parser = Parser({})
        self.partial_ns = None
        if self.state is not State.TLS and self.stalled_ns is None:
            self.send(Type.FAREWELL, Farewell(fault, message).pack())
            self.flush(now_ns)
        self._outbox.clear()
        self.state, self.since_ns = State.LEAVING, now_ns
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
