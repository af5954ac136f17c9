"""TCP with a connection of its own for every payload: each a `PacketFlow`, over the same link."""

from __future__ import annotations

from testbed.links.tcp.packets import PacketFlow, Settings, send_header
from testbed.links.transport import Done
from testbed.model import LinkModel


class PerFrame:
    """A connection of its own for every payload.

    Args:
        link: Towards the receiver.
        back_ns: From the receiver back to the sender.
        settings: Of the transport.
    """

    def __init__(self, link: LinkModel, back_ns: int, settings: Settings) -> None:
        self._link = link
        self._back_ns = back_ns
        self._settings = settings
        self._flows: list[PacketFlow] = []

    @property
    def next_ns(self) -> int | None:
        """When something happens next in any of the connections; None if nothing will."""
        return min((at for flow in self._flows if (at := flow.next_ns) is not None), default=None)

    def send(
        self, now_ns: int, payload_bytes: int, done: Done, deadline_ns: int | None = None
    ) -> None:
        """Open a connection and hand the payload over."""
        self.advance(now_ns)
        flow = PacketFlow(self._link, self._back_ns, self._settings, now_ns)
        self._flows.append(flow)
        flow.send(now_ns, payload_bytes, done, deadline_ns)

    def answered(self, now_ns: int, size_bytes: int) -> None:
        """Let an answer arrive; the client acknowledges it and closes the connection."""
        self.advance(now_ns)
        for _ in ("acknowledgement", "FIN"):
            send_header(self._link, now_ns)

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens by `now_ns`, in the order of time."""
        while True:
            due = [(at, i) for i, f in enumerate(self._flows) if (at := f.next_ns) is not None]
            if not due or (first := min(due))[0] > now_ns:
                break
            flow = self._flows[first[1]]
            flow.advance(first[0])
            if flow.quiet:
                self._flows.remove(flow)

    def backlog_bytes(self, now_ns: int) -> int:
        """Return payload bytes not sent for the first time, and what waits in the link."""
        shared = self._link.backlog_bytes(now_ns)
        return shared + sum(flow.backlog_bytes(now_ns) - shared for flow in self._flows)
