"""The client's end of a connection: frames out, answers in, for a loop around `select`.

```python
line = connect(("10.0.0.2", 7070), client="camera", detector="tiny-d0-bw")
line.send(Request(0, point, Kind.BOTTLENECK, deadline_ns=line.theirs(until_ns)), payload)
while True:
    readable, writable, _ = select([line], [line] if line.wants_write else [], [], timeout_s)
    for handed in line.flush() if writable else ():
        ...  # handed.frame, handed.began_ns, handed.ended_ns
    for answer in line.receive() if readable else ():
        ...  # answer.frame, line.ours(answer.arrived_ns), answer.detections()
```

With TLS call `receive` after every `flush` as well as when readable. Nothing here waits once the
connection is open, and nothing is repeated: who loses a connection opens another.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from testbed.emulate import address as addresses
from testbed.emulate import certificates, keys, pacing
from testbed.emulate.bodies import (
    FRAME_BYTES,
    NONCE_BYTES,
    SERVER_MOST,
    Answer,
    Cancel,
    Challenge,
    Farewell,
    Hello,
    Ping,
    Pong,
    Request,
    Welcome,
)
from testbed.emulate.fragments import Terms
from testbed.emulate.protocol import (
    HEADER_BYTES,
    Bytes,
    Fault,
    Key,
    Message,
    Parser,
    Type,
    WireError,
    pack,
)
from testbed.errors import EnvironmentLacks

CHUNK_BYTES = 64 * 1024
_SIOCOUTQ, _SIOCOUTQNSD = 0x5411, 0x894B  # linux/sockios.h: not acknowledged; not even sent


class Unreachable(EnvironmentLacks):
    """There is no server at that address, or it does not say a word."""


class Handed(NamedTuple):
    """A frame that the kernel has taken.

    Args:
        frame: Its number.
        began_ns: Just before its first byte was handed over.
        ended_ns: Just after its last byte was.
        wire_bytes: The message's size, its header included.
    """

    frame: int
    began_ns: int
    ended_ns: int
    wire_bytes: int


class _Waiting(NamedTuple):
    type: Type
    parts: tuple[Bytes, ...]
    frame: int | None  # None: a message of the protocol itself


FRAMING_BYTES = HEADER_BYTES + FRAME_BYTES
"""What the protocol sends before each payload."""


def framing_bytes(client: str, detector: str, *, opening: bool) -> int:
    """Return what the protocol sends before a payload.

    Args:
        client: Name of the client.
        detector: What it says it is.
        opening: Whether the payload is the first of its connection, which opens with a `HELLO`.
    """
    nothing = bytes(NONCE_BYTES)
    hello = Hello(client, detector, nothing, nothing, nothing)
    return FRAMING_BYTES + (HEADER_BYTES + len(hello.pack()) if opening else 0)


def connect(
    address: addresses.Address,
    *,
    client: str,
    detector: str,
    run: bytes | None = None,
    token: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    timeout_s: float = 5.0,
    wait: bool = True,
    prepare: Callable[[socket.socket], None] | None = None,
) -> Connection:
    """Open a connection to a server.

    Args:
        address: Host and port.
        client: Name of the client; one connection serves one client.
        detector: What makes its payloads; the server refuses one that it has not.
        run: 16 bytes that all connections of a run share, so that a frame is taken once; random
            ones, for a run of this connection alone, if left out.
        token: The shared secret; a server that does not know it is refused.
        tls: For a connection under TLS: who is trusted, and what certificate is shown.
        server_name: What the server's certificate must say; the host if left out.
        timeout_s: For everything up to the server's welcome.
        wait: Whether to wait for that welcome. A server without a token takes frames before it,
            which saves a round trip; `receive` reads the welcome then. With a token or TLS it is
            waited for all the same.
        prepare: Is given the socket before it connects, for options such as TCP_CONGESTION.

    Raises:
        Unreachable: Nobody answers there.
        WireError: Somebody answers, but not a server that takes this client.
    """
    started = time.monotonic()
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        family, kind, number, _, place = found[0]
        sock = socket.socket(family, kind, number)
    except OSError as error:
        raise Unreachable(f"{addresses.text(address)}: {error.strerror or error}") from None
    try:
        sock.settimeout(timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pacing.join(sock, pacing.UPLINK)
        if prepare is not None:
            prepare(sock)
        sock.connect(place)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=server_name or address[0])
        hello = Hello(client, detector, run or keys.nonce(), keys.clock(), keys.nonce())
        line = Connection(sock, hello, token)
        while line.welcome is None and (wait or token is not None or tls is not None):
            left_s = started + timeout_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no welcome in time")
            line.wait(left_s)
        sock.setblocking(False)
    except (OSError, EOFError) as error:
        sock.close()
        if isinstance(error, ssl.SSLError):
            what = certificates.why(error)
        else:
            what = getattr(error, "strerror", None) or str(error)
        raise Unreachable(f"{addresses.text(address)}: {what}") from None
    except BaseException:
        sock.close()
        raise
    return line


class Connection:
    """An open connection; `connect` makes one.

    Args:
        sock: Connected, TLS done.
        hello: What the connection opens with.
        token: The shared secret, if there is one.

    Attributes:
        welcome: What the server said; None until it has.
        offset_ns: The server's clock minus ours: 0 where they are one, otherwise an estimate, from
            the exchange with the shortest round trip so far; None until there was one.
        error_ns: How far the estimate can be off: half that round trip.
        rtt_ns: The shortest round trip of an exchange of the protocol's own so far.
    """

    def __init__(self, sock: socket.socket, hello: Hello, token: bytes | None) -> None:
        self.welcome: Welcome | None = None
        self.offset_ns: int | None = None
        self.error_ns = 0
        self.rtt_ns: int | None = None
        self._sock = sock
        self._hello = hello
        self._token = token
        expects = (Type.CHALLENGE if token else Type.WELCOME, Type.FAREWELL)
        self._parser = Parser(_only(*expects, *(() if token else (Type.CHALLENGE,))))
        self._key: Key | None = None
        self._sequence = 0
        self._outbox: deque[_Waiting] = deque()
        self._going = memoryview(b"")  # what is left of the bytes that are on their way
        self._frame: tuple[int, int, int] | None = None  # on its way: number, bytes, since when
        body = hello.pack()
        self._opening = Message(Type.HELLO, body, pack(Type.HELLO, 0, body))
        self._hello_ns: int | None = None
        self._queue(Type.HELLO, body)

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether `flush` has something to do."""
        return bool(self._going or self._outbox)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that have not left this machine's TCP: queued here, or in the kernel unsent."""
        here = sum(len(part) for waiting in self._outbox for part in waiting.parts)
        return here + len(self._going) + self._kernel_bytes(_SIOCOUTQNSD)

    @property
    def unacknowledged_bytes(self) -> int:
        """Bytes in the kernel that the server's TCP has not acknowledged, unsent ones included."""
        return self._kernel_bytes(_SIOCOUTQ)

    @property
    def backlog_bytes(self) -> int:
        """Bytes handed over that the server's TCP has not acknowledged."""
        here = sum(len(part) for waiting in self._outbox for part in waiting.parts)
        return here + len(self._going) + self.unacknowledged_bytes

    def _kernel_bytes(self, request: int) -> int:
        with suppress(OSError):
            return int(struct.unpack("i", fcntl.ioctl(self._sock.fileno(), request, b"\0" * 4))[0])
        return 0

    def theirs(self, our_ns: int) -> int:
        """Return an instant of our clock by the server's clock; unchanged until that is known."""
        return our_ns + (self.offset_ns or 0)

    def ours(self, their_ns: int) -> int:
        """Return an instant of the server's clock by ours; unchanged until that is known."""
        return their_ns - (self.offset_ns or 0)

    def send(self, request: Request, payload: Bytes) -> None:
        """Queue a frame; `flush` hands it to the kernel.

        Raise a `ValueError` for a payload that is longer than the server takes.
        """
        most = self.welcome.most_payload_bytes if self.welcome else len(payload)
        if len(payload) > most:
            raise ValueError(f"a payload of {len(payload)} bytes; the server takes {most}")
        self._outbox.append(_Waiting(Type.FRAME, (request.pack(), payload), request.frame))

    def withdraw(self, frame: int) -> bool:
        """Take back a queued frame of which no byte has been handed over; say whether it was."""
        for waiting in self._outbox:
            if waiting.frame == frame:
                self._outbox.remove(waiting)
                return True
        return False

    def cancel(self, frame: int, *, older: bool = False, expired: bool = False) -> None:
        """Queue word that a frame (and all before it) need not be decoded any more."""
        self._queue(Type.CANCEL, Cancel(frame, older, expired).pack())

    def ping(self) -> None:
        """Queue a question for the server's clock; `receive` makes use of the answer."""
        self._queue(Type.PING, Ping(time.monotonic_ns()).pack())

    def agree(self, terms: Terms, timeout_s: float = 10.0) -> None:
        """Say that frames come over UDP, and wait until the server has heard it.

        Raises:
            WireError: It does not take datagrams.
            TimeoutError: It said nothing.
        """
        self._queue(Type.DATAGRAMS, terms.pack())
        self.ping()  # answered in order, so that its answer means that the terms have been read
        try:
            self.wait(timeout_s)
        finally:
            self._sock.setblocking(False)

    def beside(self, kind: socket.SocketKind) -> socket.socket:
        """Return a socket of another kind between the same addresses, to the same port."""
        sock = socket.socket(self._sock.family, kind)
        sock.bind((self._sock.getsockname()[0], 0))
        sock.connect(self._sock.getpeername())
        return sock

    def flush(self) -> list[Handed]:
        """Hand the kernel what it takes; return the frames of which it now has the last byte."""
        done: list[Handed] = []
        while self.wants_write:
            if not self._going:
                self._begin()
            try:
                count = self._sock.send(self._going)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except (BrokenPipeError, ConnectionResetError):
                self._last_words()
                raise
            self._going = self._going[count:]
            if not self._going and self._frame is not None:
                number, size, began_ns = self._frame
                self._frame = None
                done.append(Handed(number, began_ns, time.monotonic_ns(), size))
        return done

    def receive(self) -> list[Answer]:
        """Return the answers that have come.

        Raises:
            EOFError: The server has gone without a word.
            WireError: It said why it goes, or made no sense.
        """
        answers: list[Answer] = []
        while True:
            try:
                chunk = self._sock.recv(CHUNK_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return answers
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                if answers:
                    return answers  # the next call says it
                raise EOFError("the server has closed the connection")
            self._parser.feed(chunk)
            while (message := self._parser.take()) is not None:
                if message.type is Type.ANSWER:
                    answers.append(Answer.unpack(message.body))
                else:
                    self._heed(message)
            if self._sock.gettimeout() != 0:  # opening: one look at a time
                return answers

    def wait(self, timeout_s: float) -> None:
        """Flush everything and read once, waiting `timeout_s` at most for either."""
        self._sock.settimeout(timeout_s)
        self.flush()
        self.receive()
        self.flush()

    def close(self) -> None:
        """Close it, saying so if that is possible at once."""
        if not self._going:
            with suppress(OSError, ValueError):
                self._outbox.clear()
                self._queue(Type.FAREWELL, Farewell(Fault.REFUSED, "done").pack())
                self.flush()
        self._sock.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _queue(self, kind: Type, *parts: Bytes) -> None:
        self._outbox.append(_Waiting(kind, parts, None))

    def _begin(self) -> None:
        """Turn what waits into bytes, up to and with the first frame."""
        chunks: list[Bytes] = []
        while self._outbox:
            waiting = self._outbox.popleft()
            if waiting.type is Type.HELLO:
                self._hello_ns = time.monotonic_ns()
            chunks.append(pack(waiting.type, self._sequence, *waiting.parts, key=self._key))
            chunks += waiting.parts
            self._sequence += 1
            if waiting.frame is not None:
                size = len(chunks[-3]) + sum(map(len, waiting.parts))
                self._frame = waiting.frame, size, time.monotonic_ns()
                break
        self._going = memoryview(b"".join(chunks))

    def _heed(self, message: Message) -> None:
        now_ns = time.monotonic_ns()
        if message.type is Type.FAREWELL:
            raise WireError(*Farewell.unpack(message.body))
        if message.type is Type.CHALLENGE:
            Challenge.unpack(message.body)
            if self._token is None:
                raise WireError(Fault.REFUSED, "the server wants a token")
            self._key, self._parser.key = keys.derive(self._token, self._opening, message)
            self._parser.most = _only(Type.WELCOME, Type.FAREWELL)
            self._queue(Type.PROOF)
        elif message.type is Type.WELCOME:
            self.welcome = Welcome.unpack(message.body)
            self._parser.most = _only(Type.ANSWER, Type.PONG, Type.FAREWELL)
            if self.welcome.clock == self._hello.clock:
                self.offset_ns = 0
            assert self._hello_ns is not None
            self._timed(self._hello_ns, self.welcome.received_ns, self.welcome.sent_ns, now_ns)
        else:
            pong = Pong.unpack(message.body)
            self._timed(pong.token, pong.received_ns, pong.sent_ns, now_ns)

    def _timed(self, asked_ns: int, received_ns: int, sent_ns: int, now_ns: int) -> None:
        """Learn from one exchange, as NTP does (RFC 5905, section 8)."""
        rtt_ns = (now_ns - asked_ns) - (sent_ns - received_ns)
        if rtt_ns < 0 or (self.rtt_ns is not None and rtt_ns >= self.rtt_ns):
            return
        self.rtt_ns = rtt_ns
        assert self.welcome is not None
        if self.welcome.clock != self._hello.clock:
            self.offset_ns = ((received_ns - asked_ns) + (sent_ns - now_ns)) // 2
            self.error_ns = -(-rtt_ns // 2)

    def _last_words(self) -> None:
        """Raise what the server said before it closed the connection on us, if it said anything."""
        with suppress(OSError, EOFError):
            self.receive()


def _only(*types: Type) -> Mapping[Type, int]:
    return {kind: SERVER_MOST[kind] for kind in types}
