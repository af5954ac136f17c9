"""Links that lose what a test tells them to."""

from __future__ import annotations

from testbed.links.fifo import FifoLink


class Losing(FifoLink):
    """A link that loses the packets whose numbers, counted from 0, `loses` says yes to."""

    __slots__ = ("loses", "sent")

    may_drop = True

    def __init__(self, capacity, delay_ns, loses):
        super().__init__(capacity, delay_ns)
        self.loses = loses
        self.sent = -1

    def send(self, arrival_ns, size_bytes):
        self.sent += 1
        return super().send(arrival_ns, size_bytes)

    def arrive(self, release_ns):
        return None if self.loses(self.sent) else super().arrive(release_ns)


def play(connection, sends):
    """Send (time, bytes) payloads over a connection to the end; return their deliveries."""
    out = {}
    for index, (at_ns, size) in enumerate(sends):
        while (next_ns := connection.next_ns) is not None and next_ns <= at_ns:
            connection.advance(next_ns)
        connection.send(at_ns, size, lambda delivery, i=index: out.setdefault(i, delivery))
    for _ in range(1_000_000):
        if len(out) == len(sends):
            return [out[i] for i in range(len(sends))]
        assert connection.next_ns is not None, "a payload is under way and nothing will happen"
        connection.advance(connection.next_ns)
    raise AssertionError("a million steps did not deliver everything")
