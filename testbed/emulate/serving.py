"""The server as a process: a listening socket, a queue, batches, answers, and peers of any kind.

One thread waits in `select` for sockets and alarms; decoding happens elsewhere or not at all
(`testbed.emulate.decoding`). Nothing that a peer sends or leaves out stops it: whoever breaks a
rule is told, closed and logged, everybody costs bounded memory, and what is waited for has an end.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from testbed.emulate import kernel, pacing
from testbed.emulate.batcher import Batcher, Job
from testbed.emulate.bodies import Answer, Cancel, Request, Status
from testbed.emulate.decoding import Decoder, Finished, Result
from testbed.emulate.fragments import Terms
from testbed.emulate.journal import Journal
from testbed.emulate.protocol import HEADER_BYTES, Fault, Message, Type, WireError
from testbed.emulate.serving_datagrams import Datagrams
from testbed.emulate.serving_peer import Limits, Peer, State
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.scenario.schema import ServerSpec

SWEEP_NS = 100 * NS_PER_MS
"""How often connections are looked at for being late; how much later than stated they close."""

_SELECTABLE = 1024  # FD_SETSIZE: what `select` cannot watch is not accepted
_WINDOW = 4096  # frames of a run among which each is taken once; older ones are taken no more


@dataclass(frozen=True)
class Rules:
    """How frames wait for a worker, as the `server` part of a scenario says it.

    Args:
        batch_max: Most frames decoded together.
        batch_wait_ns: How long a frame waits for others while a worker is free.
        queue_limit: Most frames waiting.
        drop_expired: Whether a frame whose deadline has passed is given up undecoded.
    """

    batch_max: int = 1
    batch_wait_ns: int = 0
    queue_limit: int = 64
    drop_expired: bool = False

    @classmethod
    def of(cls, spec: ServerSpec) -> Rules:
        """Return what a scenario says."""
        return cls(spec.batch.max, spec.batch.wait_ns, spec.queue.limit, spec.drop_expired)


@dataclass(frozen=True)
class _Ticket:
    """A frame and where its answer goes."""

    peer: Peer
    request: Request
    size: int


class Server:
    """Serves until it is stopped.

    Args:
        listener: Bound and listening.
        decoder: Does the work.
        rules: Of the queue.
        limits: On what peers may cost.
        token: The shared secret; without one everybody is served.
        tls: Certificates; without them connections are plain.
        say: Takes a line for the log.
        datagrams: Bound, for frames over UDP; without one there are none.

    Attributes:
        counts: Frames by what became of them at the server.
        journal: Faults of peers, by kind.
    """

    def __init__(
        self,
        listener: socket.socket,
        decoder: Decoder,
        rules: Rules,
        *,
        limits: Limits | None = None,
        token: bytes | None = None,
        tls: ssl.SSLContext | None = None,
        say: Callable[[str], None] = lambda _: None,
        datagrams: socket.socket | None = None,
    ) -> None:
        self.counts: Counter[Status] = Counter()
        self.journal = Journal(say)
        self._limits = limits or Limits()
        self._listener = listener
        self._datagrams: Datagrams | None = None
        if datagrams is not None:
            self._datagrams = Datagrams(datagrams, self._limits, self.journal)
        self._decoder = decoder
        self._token = token
        self._tls = tls
        self._batcher = Batcher(
            workers=decoder.workers,
            batch_max=rules.batch_max,
            batch_wait_ns=rules.batch_wait_ns,
            queue_limit=rules.queue_limit,
            drop_expired=rules.drop_expired,
            given_up=lambda job, now_ns: self._reply(job, now_ns, Result(Status.EXPIRED)),
        )
        self._under_way: dict[int, list[Job]] = {}  # by worker
        self._peers: dict[int, Peer] = {}  # by descriptor, oldest first
        self._runs: OrderedDict[tuple[str, bytes], tuple[int, int]] = OrderedDict()
        self._session = 0
        self._queued_bytes = 0
        self._swept_ns = 0
        self._deaf_ns = 0  # until when nobody is accepted
        self._stopping = False
        self._woken, self._wake = socket.socketpair()
        listener.setblocking(False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port, *_ = self._listener.getsockname()
        return host, port

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._peers)

    def stop(self) -> None:
        """Make `run` return; may be called from anywhere."""
        self._stopping = True
        with suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Serve until `stop`, and close everything on every way out."""
        with suppress(OSError):
            kernel.exact_timers()
        try:
            while not self._stopping:
                self._turn()
        finally:
            now_ns = time.monotonic_ns()
            for peer in list(self._peers.values()):
                if peer.state is not State.LEAVING:
                    peer.dismiss(Fault.REFUSED, "the server is stopped", now_ns)
                self._drop(peer)
            for sock in (self._listener, self._woken, self._wake):
                sock.close()
            if self._datagrams is not None:
                self._datagrams.close()
            self._decoder.close()

    def _turn(self) -> None:
        """Wait for something to happen, and do what follows from it."""
        reading = [fd for fd, peer in self._peers.items() if peer.wants_read]
        writing = [fd for fd, peer in self._peers.items() if peer.wants_write]
        watched = [self._woken.fileno(), *self._decoder.descriptors()]
        if self._deaf_ns <= time.monotonic_ns():
            watched.append(self._listener.fileno())
        if self._datagrams is not None:
            watched.append(self._datagrams.fileno())
        readable, writable, _ = select.select([*watched, *reading], writing, [], self._patience_s())
        now_ns = time.monotonic_ns()
        for finished in self._decoder.finished(now_ns):
            self._finish(finished)
        for fd in writable:
            if (peer := self._peers.get(fd)) and not peer.flush(now_ns):
                self._drop(peer)
        for fd in readable:
            if peer := self._peers.get(fd):
                self._read(peer)
        if self._datagrams is not None:
            self._read_datagrams(self._datagrams, readable)
        if self._listener.fileno() in readable:
            self._accept(time.monotonic_ns())
        self._start()
        now_ns = time.monotonic_ns()
        if now_ns - self._swept_ns >= SWEEP_NS:
            self._sweep(now_ns)

    def _patience_s(self) -> float | None:
        """Return how long there is nothing to do for sure; None for ever."""
        at_ns = [self._batcher.next_ns, self._decoder.next_ns]
        if self._datagrams is not None:
            at_ns.append(self._datagrams.next_ns)
        if self._peers or self._deaf_ns > self._swept_ns:
            at_ns.append(self._swept_ns + SWEEP_NS)
        soonest = min((at for at in at_ns if at is not None), default=None)
        return None if soonest is None else max(0, soonest - time.monotonic_ns()) / NS_PER_S

    def _accept(self, now_ns: int) -> None:
        try:
            sock, (host, *_) = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self.journal.fault(now_ns, "server", Fault.FULL, f"accept: {error.strerror}")
                self._evict_stranger(now_ns, at_least=1)
                self._deaf_ns = now_ns + SWEEP_NS  # who waits would only be refused again
            return
        if len(self._peers) >= self._limits.connections or sock.fileno() >= _SELECTABLE:
            sock.close()
            most = self._limits.connections
            self.journal.fault(now_ns, host, Fault.FULL, f"more than {most} connections")
            return
        self._evict_stranger(now_ns, at_least=self._limits.strangers)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pacing.join(sock, pacing.DOWNLINK)
        if self._tls is not None:
            try:
                sock.getpeername()  # raises for one that is reset, which wrapping would leave open
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError:  # it has gone already
                sock.close()
                return
        self._session += 1
        self._peers[sock.fileno()] = Peer(
            sock, host, self._session, now_ns,
            limits=self._limits, token=self._token,
            stand_in=self._decoder.stand_in, refuses=self._decoder.refuses,
        )  # fmt: skip

    def _evict_stranger(self, now_ns: int, at_least: int) -> None:
        """Close the oldest connection without a handshake if there are so many of them."""
        strangers = [p for p in self._peers.values() if p.state not in (State.OPEN, State.ENDING)]
        if len(strangers) >= at_least:
            oldest = strangers[0]
            most = self._limits.strangers
            message = f"the oldest of {most} connections without a handshake"
            self.journal.fault(now_ns, oldest.host, Fault.FULL, message)
            self._drop(oldest)

    def _read(self, peer: Peer) -> None:
        now_ns = time.monotonic_ns()
        try:
            messages = peer.read(now_ns)
            for message in messages or ():
                if message.type is Type.FAREWELL:
                    messages = None
                    break
                if peer.state is not State.LEAVING:
                    self._heed(peer, message, now_ns)
        except WireError as error:
            self._dismiss(peer, error.fault, str(error), now_ns)
            return
        if messages is None or (peer.wants_write and not peer.flush(now_ns)):
            self._drop(peer)
            return
        if peer.partial_bytes:
            self._bound_partial(now_ns)

    def _bound_partial(self, now_ns: int) -> None:
        """Close who holds an unfinished message for longest, should all of them be too much."""
        unfinished = [p for p in self._peers.values() if p.partial_ns is not None]
        if sum(p.partial_bytes for p in unfinished) > self._limits.partial_bytes:
            oldest = min(unfinished, key=lambda p: p.partial_ns or 0)
            message = "holds the oldest of too many unfinished messages"
            self._dismiss(oldest, Fault.FULL, message, now_ns)

    def _heed(self, peer: Peer, message: Message, now_ns: int) -> None:
        if message.type is Type.FRAME:
            self._take(peer, *Request.unpack(message.body), now_ns)
        elif message.type is Type.CANCEL:
            self._cancel(peer, Cancel.unpack(message.body), now_ns)
        elif message.type is Type.DATAGRAMS:
            if self._datagrams is None:
                raise WireError(Fault.REFUSED, "no datagrams are taken here")
            self._datagrams.open(peer, Terms.unpack(message.body))
        else:
            peer.pong(message.body, now_ns, time.monotonic_ns())

    def _read_datagrams(self, datagrams: Datagrams, readable: list[int]) -> None:
        """Take the frames that datagrams have made whole, and forget those that none will."""
        if datagrams.fileno() in readable:
            for whole in datagrams.read(now_ns := time.monotonic_ns()):
                try:
                    self._take(whole.peer, whole.request, memoryview(whole.payload), now_ns)
                except WireError as error:
                    self.journal.fault(now_ns, whole.peer.host, error.fault, str(error))
        datagrams.sweep(time.monotonic_ns())

    def _take(self, peer: Peer, request: Request, payload: memoryview, now_ns: int) -> None:
        """Queue a frame, or say at once why not."""
        assert peer.hello is not None
        if not self._first_time(peer.hello.client, peer.hello.run, request.frame):
            message = f"frame {request.frame} of {peer.hello.client} has been here before"
            raise WireError(Fault.REPLAYED, message)
        job = Job(_Ticket(peer, request, len(payload)), now_ns, request.deadline_ns)
        peer.owed += 1
        self._queued_bytes += len(payload)
        job.work = self._decoder.admit(peer.hello.detector, request, payload)
        if job.work is None:
            self._reply(job, now_ns, Result(Status.UNDECODABLE))
        elif self._queued_bytes > self._limits.queued_bytes or not self._batcher.arrive(job):
            self._reply(job, now_ns, Result(Status.QUEUE_FULL))
        else:
            self._start()  # at once: what follows in the same read must find this one gone

    def _first_time(self, client: str, run: bytes, frame: int) -> bool:
        """Note a frame of a run; return whether it is new, and not older than those remembered."""
        newest, seen = self._runs.pop((client, run), (-1, 0))
        self._runs[client, run] = newest, seen
        if len(self._runs) > self._limits.runs:
            self._runs.popitem(last=False)
        behind = newest - frame
        if behind >= _WINDOW or (behind >= 0 and seen >> behind & 1):
            return False
        if behind < 0:
            newest, seen, behind = frame, (seen << min(-behind, _WINDOW)) % (1 << _WINDOW), 0
        self._runs[client, run] = newest, seen | 1 << behind
        return True

    def _cancel(self, peer: Peer, cancel: Cancel, now_ns: int) -> None:
        def wanted(job: Job) -> bool:
            frame: int = job.owner.request.frame
            mine = job.owner.peer is peer
            return mine and (frame == cancel.frame or (cancel.older and frame < cancel.frame))

        status = Status.CANCELLED if cancel.expired else Status.SUPERSEDED
        for job in self._batcher.withdraw(wanted):
            self._reply(job, now_ns, Result(status))

    def _start(self) -> None:
        """Begin every batch that can begin now."""
        while (begun := self._batcher.start(time.monotonic_ns())) is not None:
            worker, batch = begun
            self._under_way[worker] = batch
            start_ns = batch[0].batch_start_ns
            assert start_ns is not None
            self._decoder.begin(worker, batch, start_ns)

    def _finish(self, finished: Finished) -> None:
        batch = self._under_way.pop(finished.worker, [])
        if finished.free:
            self._batcher.finish(finished.worker)
        self._start()  # before anything is sent: a free worker should not wait for that
        for job, result in zip(batch, finished.results, strict=True):
            self._reply(job, finished.ended_ns, result, len(batch))

    def _reply(self, job: Job, at_ns: int, result: Result, batch: int = 0) -> None:
        """Answer a frame."""
        ticket: _Ticket = job.owner
        peer, request = ticket.peer, ticket.request
        self.counts[result.status] += 1
        self._queued_bytes -= ticket.size
        job.work = None
        peer.owed -= 1
        if peer.state not in (State.OPEN, State.ENDING):
            return
        peer.since_ns = max(peer.since_ns, at_ns)  # it has had nothing to say until now
        datagrams = self._datagrams
        if datagrams is not None and not datagrams.speaks(peer):
            datagrams = None
        if datagrams is not None and datagrams.gives_up(peer, request.deadline_ns, at_ns):
            result = Result(Status.EXPIRED)
        start_ns = job.batch_start_ns
        answer = Answer(
            request.frame, result.status, self._decoder.stand_in, job.arrived_ns,
            None if start_ns is None else start_ns - job.arrived_ns,
            at_ns - job.arrived_ns, batch, job.ahead, result.parts, result.boxes,
        )  # fmt: skip
        # A refusal is as short as it can be: who is refused much must not be sent much.
        decoded = result.status is Status.DECODED
        if datagrams is not None:
            datagrams.answer(peer, request.frame, answer.pack(decoded * request.answer_bytes))
            return
        peer.send(Type.ANSWER, answer.pack(request.answer_bytes - HEADER_BYTES if decoded else 0))
        if not peer.flush(time.monotonic_ns()):
            self._drop(peer)

    def _sweep(self, now_ns: int) -> None:
        """Close connections whose time has run out."""
        self._swept_ns = now_ns
        for peer in list(self._peers.values()):
            due = peer.due()
            if due is None or due[0] > now_ns:
                continue
            if peer.state is State.LEAVING:
                self._drop(peer)
            else:
                self._dismiss(peer, Fault.SLOW, due[1], now_ns)

    def _dismiss(self, peer: Peer, fault: Fault, message: str, now_ns: int) -> None:
        """Close a connection for something its peer did, and say so to both sides."""
        self.journal.fault(now_ns, peer.host, fault, message)
        peer.dismiss(fault, message, now_ns)
        self._forget(peer)

    def _drop(self, peer: Peer) -> None:
        """Close a connection without a word."""
        self._peers.pop(peer.sock.fileno(), None)
        peer.state = State.LEAVING
        peer.sock.close()
        self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        """Give up the frames of a peer that wait."""
        if self._datagrams is not None:
            self._datagrams.forget(peer)
        for job in self._batcher.withdraw(lambda job: job.owner.peer is peer):
            self._queued_bytes -= job.owner.size
