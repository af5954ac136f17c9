"""TCP a packet at a time: a sender and a receiver of `testbed.links.tcp` joined by a link."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from testbed.links.fifo import FifoLink
from testbed.links.tcp.answers import Answers
from testbed.links.tcp.congestion import CongestionControl
from testbed.links.tcp.output import MSS_BYTES
from testbed.links.tcp.receiver import Receiver
from testbed.links.tcp.rtt import rings_ns
from testbed.links.tcp.scoreboard import Ack
from testbed.links.tcp.sender import Sender
from testbed.links.transport import Delivery, Done
from testbed.model import LinkModel

HEADER_BYTES = 52
SYN_BYTES = 60
_SYN_TIMEOUT_NS = 1_000_000_000
_SYN_EVENLY = 4  # timeouts before they get longer (`tcp_syn_linear_timeouts`, since Linux 6.5)
_NEVER = 1 << 62
_NO_HEADER = (-1, 0)  # until when the link is busy with it, and until when without it


def send_header(link: LinkModel, now_ns: int) -> None:
    """Send a segment without data, an acknowledgement for one; nobody waits for it."""
    release_ns = link.send(now_ns, HEADER_BYTES)
    if release_ns is not None:
        link.arrive(release_ns)


@dataclass(slots=True)
class _Message:
    end: int  # its last segment
    payload_bytes: int
    done: Done
    first: int = 0
    shared_bytes: int = 0  # of it that ride in a segment begun by the message before
    start_ns: int | None = None
    wire_bytes: int = 0
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that went through the window as a whole.

    Args:
        payload_bytes: Of the message.
        wire_bytes: With the headers of its segments.
        sent_ns: When it was handed to the link.
        reach: Of the link after that.
        delay_ns: From the link to the receiver.
        grown: By how much the window has grown for it.
    """

    payload_bytes: int
    wire_bytes: int
    sent_ns: int
    reach: int
    delay_ns: int
    grown: int


@dataclass(frozen=True)
class Settings:
    """What all connections of one transport have in common.

    Args:
        control: Makes a congestion control.
        initial_window: Segments.
        idle_restart: Whether the window falls back after idle time.
        host_ns: From the application to the link, and from the link to the application.
    """

    control: Callable[[int], CongestionControl]
    initial_window: int
    idle_restart: bool
    host_ns: int


class PacketFlow:
    """One TCP connection, from its handshake or from long before, over one link.

    Segments of 1448 bytes travel with 52 bytes of headers. Acknowledgements take `back_ns` and are
    never lost. A message has arrived when the last byte of it and of all before it has.

    Args:
        link: Towards the receiver.
        back_ns: From the receiver back to the sender.
        settings: Of the transport.
        opened_ns: When the application asks for the connection; None for one that was there
            before time zero.
    """

    def __init__(
        self, link: LinkModel, back_ns: int, settings: Settings, opened_ns: int | None = None
    ) -> None:
        self._link = link
        self._back_ns = back_ns
        self._host_ns = settings.host_ns
        self._sender = Sender(
            settings.control(3 * settings.host_ns),
            settings.initial_window,
            settings.idle_restart,
            self._transmit,
        )
        self._receiver = Receiver(link.delay_ns + back_ns)
        self._behind_header = _NO_HEADER
        self._answers = Answers(link.delay_ns + back_ns)
        self._inbox: deque[tuple[int, _Message]] = deque()
        self._arrivals: deque[tuple[int, int, int]] = deque()  # at, segment, sent at
        self._acks: deque[tuple[int, Ack]] = deque()
        self._sizes: list[int] = []  # payload bytes of each segment ever handed over
        self._ends: set[int] = set()  # segments that end a message
        self._messages: deque[_Message] = deque()
        self._reached: dict[int, int] = {}  # first arrival of segments beyond `_solid`
        self._solid = 0  # first segment that is not known to arrive
        self._solid_ns = 0  # when everything before it will have arrived
        self._finished: list[tuple[Done, Delivery]] = []
        self._handshake_ns: int | None = None  # when the answer to our SYN arrives, or its timeout
        self._syn_ns = 0
        self._syn_wait_ns = _SYN_TIMEOUT_NS
        self._syns = 0
        if opened_ns is None:
            self._open = True
            self._sender.connected(0, link.delay_ns + back_ns)
        else:
            self._open = False
            self._send_syn(opened_ns + self._host_ns)

    def greeted(self) -> None:
        """Let both ends have exchanged a few bytes before the first message."""
        self._receiver.greeted()
        self._sender.greeted(self._link.delay_ns + self._back_ns)

    # -- the contract of a connection ----------------------------------------------------------

    @property
    def next_ns(self) -> int | None:
        """When something happens next; None if nothing will."""
        at_ns = self._next()
        return None if at_ns >= _NEVER else at_ns

    @property
    def free_ns(self) -> int:
        """When all payloads that were handed to the link have left it.

        The acknowledgement of an answer does not count: where a link has opportunities, the next
        payload would not leave any sooner without it.
        """
        free_ns = self._link.free_ns
        busy_ns, without_ns = self._behind_header
        return without_ns if free_ns == busy_ns else free_ns

    @property
    def quiet(self) -> bool:
        """Whether everything handed over has been acknowledged."""
        return self._sender.board.out == 0 and not self._messages and not self._inbox

    def passes(self, now_ns: int, segments: int, beside: int) -> int | None:
        """Let a message pass by, as if it had been sent at once; None if it would not be.

        It is not if something waits to be sent, if it does not fit into the window beside what is
        in flight, or if the window would grow by their being in flight together.

        Args:
            now_ns: The present.
            segments: Of the message.
            beside: Segments of messages that have passed by and are not acknowledged yet.

        Returns:
            By how much the window has grown for it.
        """
        sender = self._sender
        if self._inbox or sender.available > sender.board.following:
            return None
        beside += sender.board.out
        out, window = beside + segments, sender.window
        if out > window.cwnd:
            return None
        if beside and (out == window.cwnd or (window.in_slow_start and window.cwnd < 2 * out)):
            return None
        grown = sender.used(now_ns, segments, out)
        self._answers.spoke(now_ns)
        self._behind_header = _NO_HEADER
        self._receiver.heard(now_ns)
        return grown

    def adopt(self, passed: Passed) -> None:
        """Take over a message that has passed by and is not acknowledged yet."""
        before = len(self._sizes)
        self._cut(passed.payload_bytes)
        segments = self._sizes[before:]
        link, behind_bytes = self._link, passed.wire_bytes
        assert isinstance(link, FifoLink)
        for number, size in enumerate(segments, start=before):
            behind_bytes -= size + HEADER_BYTES
            left_ns = link.left_ns(passed.reach, behind_bytes)
            self._arrivals.append((left_ns + passed.delay_ns, number, passed.sent_ns))
        self._ends.add(len(self._sizes) - 1)
        self._solid = len(self._sizes)
        self._solid_ns = self._arrivals[-1][0]
        self._sender.adopt(passed.sent_ns, len(segments), passed.grown)

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Hand a message over; TCP delivers it whatever its deadline."""
        self._run(now_ns)
        self._inbox.append((now_ns + self._host_ns, _Message(0, payload_bytes, done)))
        self._run(now_ns)
        self._report()

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Let an answer arrive."""
        self._run(now_ns)
        for _ in range(self._answers.heard(now_ns, size_bytes)):
            self._acknowledge_answer(now_ns)
        self._report()

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens by `now_ns`."""
        self._run(now_ns)
        self._report()

    def backlog_bytes(self, now_ns: int) -> int:
        """Return payload bytes not sent for the first time, and what waits in the link."""
        waiting = sum(message.payload_bytes for _, message in self._inbox)
        return (
            waiting
            + sum(self._sizes[self._sender.board.following :])
            + self._link.backlog_bytes(now_ns)
        )

    # -- the clockwork -------------------------------------------------------------------------

    def _next(self) -> int:
        if not self._open:
            return _NEVER if self._handshake_ns is None else self._handshake_ns
        at_ns = _NEVER
        if self._inbox:
            at_ns = self._inbox[0][0]
        if self._arrivals and self._arrivals[0][0] < at_ns:
            at_ns = self._arrivals[0][0]
        if self._acks and self._acks[0][0] < at_ns:
            at_ns = self._acks[0][0]
        timer_ns = self._sender.timer_ns
        if timer_ns is not None and timer_ns < at_ns:
            at_ns = timer_ns
        timer_ns = self._receiver.timer_ns
        if timer_ns is not None and timer_ns < at_ns:
            at_ns = timer_ns
        timer_ns = self._answers.timer_ns
        if timer_ns is not None and timer_ns < at_ns:
            at_ns = timer_ns
        return at_ns

    def _run(self, until_ns: int) -> None:
        while (at_ns := self._next()) <= until_ns:
            self._step(at_ns)

    def _step(self, at_ns: int) -> None:
        """Let the one thing happen that is due first; arrivals before what they might cancel."""
        if not self._open:
            self._handshake(at_ns)
        elif self._arrivals and self._arrivals[0][0] == at_ns:
            _, number, sent_ns = self._arrivals.popleft()
            ends = number in self._ends
            self._ends.discard(number)
            more = bool(self._arrivals) and self._arrivals[0][0] == at_ns
            receiver = self._receiver
            ack = receiver.arrive(at_ns, number, sent_ns, ends=ends, more=more)
            self._answer(at_ns, ack)
        elif self._acks and self._acks[0][0] == at_ns:
            self._sender.acknowledge(at_ns, self._acks.popleft()[1])
        elif self._inbox and self._inbox[0][0] == at_ns:
            self._accept(at_ns, self._inbox.popleft()[1])
        elif self._receiver.timer_ns == at_ns:
            self._answer(at_ns, self._receiver.ring())
        elif self._answers.timer_ns == at_ns:
            self._answers.ring()
            self._acknowledge_answer(at_ns)
        else:
            self._sender.ring(at_ns)

    def _answer(self, now_ns: int, ack: Ack | None) -> None:
        if ack is not None:
            self._acks.append((now_ns + self._back_ns, ack))

    def _acknowledge_answer(self, now_ns: int) -> None:
        free_ns = self.free_ns
        send_header(self._link, now_ns)
        self._behind_header = (self._link.free_ns, free_ns)

    def _send_syn(self, now_ns: int) -> None:
        self._syn_ns = now_ns
        release_ns = self._link.send(now_ns, SYN_BYTES)
        arrival_ns = None if release_ns is None else self._link.arrive(release_ns)
        self._syns += 1
        timeout_ns = rings_ns(now_ns, self._syn_wait_ns)
        if arrival_ns is not None and arrival_ns + self._back_ns < timeout_ns:
            self._handshake_ns = arrival_ns + self._back_ns
            self._syn_wait_ns = 0
        else:
            self._handshake_ns = timeout_ns
            if self._syns > _SYN_EVENLY:
                self._syn_wait_ns *= 2

    def _handshake(self, now_ns: int) -> None:
        if self._syn_wait_ns:
            self._send_syn(now_ns)
            return
        self._open = True
        self._sender.connected(now_ns, now_ns - self._syn_ns)
        send_header(self._link, now_ns)
        wake_ns = now_ns + self._host_ns  # the application learns that it may write
        self._inbox = deque((max(at_ns, wake_ns), message) for at_ns, message in self._inbox)

    def _accept(self, now_ns: int, message: _Message) -> None:
        """Cut a message into segments and hand them to the sender."""
        left = message.payload_bytes
        sizes, before = self._sizes, len(self._sizes)
        message.first = before
        if before > self._sender.board.following and sizes[-1] < MSS_BYTES:
            # The kernel fills up a segment that has not left yet.
            filled = min(MSS_BYTES - sizes[-1], left)
            sizes[-1] += filled
            left -= filled
            message.shared_bytes = filled
            message.first = before - 1
        self._cut(left)
        message.end = len(sizes) - 1
        self._ends.add(message.end)
        self._messages.append(message)
        self._sender.push(now_ns, len(sizes) - before)

    def _cut(self, payload_bytes: int) -> None:
        """Note the sizes of new segments with so much in them."""
        full, rest = divmod(payload_bytes, MSS_BYTES)
        self._sizes += [MSS_BYTES] * full
        if rest:
            self._sizes.append(rest)

    def _transmit(self, now_ns: int, number: int) -> None:
        link = self._link
        self._answers.spoke(now_ns)
        size = self._sizes[number] + HEADER_BYTES
        free_ns = self.free_ns
        self._behind_header = _NO_HEADER
        release_ns = link.send(now_ns, size)
        if release_ns is None:
            return
        self._account(number, size, max(now_ns, free_ns), release_ns)
        arrival_ns = link.arrive(release_ns)
        if arrival_ns is None:
            return
        self._arrivals.append((arrival_ns, number, now_ns))
        if number >= self._solid and number not in self._reached:
            self._reached[number] = arrival_ns
            self._settle()

    def _account(self, number: int, size: int, start_ns: int, release_ns: int) -> None:
        """Book a segment that crosses the link to the messages that it carries."""
        owner = None
        for message in self._messages:
            if message.first > number:
                break
            if number > message.end:
                continue
            if message.start_ns is None:
                message.start_ns = start_ns
            message.sent_ns = release_ns
            if number == message.first and message.shared_bytes:
                message.wire_bytes += message.shared_bytes
                size -= message.shared_bytes
            else:
                owner = message
        if owner is not None:
            owner.wire_bytes += size

    def _settle(self) -> None:
        """Find out which messages are now certain to arrive, and when."""
        while (arrival_ns := self._reached.pop(self._solid, None)) is not None:
            self._solid_ns = max(self._solid_ns, arrival_ns)
            self._solid += 1
        while self._messages and self._messages[0].end < self._solid:
            message = self._messages.popleft()
            assert message.start_ns is not None
            arrived_ns = self._solid_ns + self._host_ns
            delivery = Delivery(message.start_ns, message.sent_ns, message.wire_bytes, arrived_ns)
            self._finished.append((message.done, delivery))

    def _report(self) -> None:
        while self._finished:
            finished, self._finished = self._finished, []
            for done, delivery in finished:
                done(delivery)
