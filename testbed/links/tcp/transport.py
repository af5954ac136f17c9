"""The TCP transport part."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

from pydantic import Field

from testbed.links.fifo import FifoLink
from testbed.links.tcp.congestion import CONTROLS
from testbed.links.tcp.output import MSS_BYTES
from testbed.links.tcp.packets import HEADER_BYTES, PacketFlow, Settings
from testbed.links.tcp.per_frame import PerFrame
from testbed.links.tcp.rounds import AutoFlow, RoundFlow
from testbed.links.transport import Connection
from testbed.model import NS_PER_MS, LinkModel


@dataclass(frozen=True)
class Tcp:
    """TCP as Linux does it: headers, slow start, idle restart, recovery from losses."""

    connection: Annotated[
        Literal["long", "per_frame"],
        Field(description="One connection for all payloads, or a new one for each."),
    ] = "long"
    initial_window: Annotated[
        int, Field(ge=1, le=1000, description="Segments a new connection may send at once.")
    ] = 10
    idle_restart: Annotated[
        bool,
        Field(
            description="Whether the window falls back after a retransmission timeout of idle "
            "time (`tcp_slow_start_after_idle`, on in Linux)."
        ),
    ] = True
    congestion_control: Annotated[
        Literal["cubic", "reno"], Field(description="How the window grows and falls.")
    ] = "cubic"
    host_ms: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="From the application to the link, and from the link to the application "
            "at the other end, ms each.",
        ),
    ] = 0.15
    model: Annotated[
        Literal["auto", "rounds", "packets"],
        Field(
            description="`packets`, every segment and acknowledgement; `rounds`, a few look-ups "
            "per payload, only for links without loss or queue limit; `auto`, packets wherever "
            "they make a difference."
        ),
    ] = "auto"

    def wire_bytes(self, payload_bytes: int) -> int:
        """Return the bytes on the wire for a payload that is sent once: 52 per 1448 on top."""
        return payload_bytes + HEADER_BYTES * -(-payload_bytes // MSS_BYTES)

    @property
    def of_answers(self) -> Tcp:
        """How answers cross the other direction: over the connection that brought their frame."""
        return replace(self, connection="long")

    def connect(self, link: LinkModel, back_ns: int) -> Connection:
        """Return a connection. Raise a `ValueError` for the round model on a link that drops."""
        settings = Settings(
            CONTROLS[self.congestion_control],
            self.initial_window,
            self.idle_restart,
            round(self.host_ms * NS_PER_MS),
        )
        if self.model == "rounds":
            if link.may_drop:
                raise ValueError("model 'rounds' cannot lose packets; use 'auto' or 'packets'")
            return RoundFlow(link, back_ns, settings, per_frame=self.connection == "per_frame")
        if self.connection == "per_frame":
            return PerFrame(link, back_ns, settings)
        if self.model == "auto" and isinstance(link, FifoLink) and not link.may_drop:
            return AutoFlow(link, back_ns, settings)
        return PacketFlow(link, back_ns, settings)


@dataclass(frozen=True)
class Greeted(Tcp):
    """TCP to a server that welcomes its clients before the first payload of a long connection.

    The kernel takes that for a dialogue and acknowledges every second segment only; and HyStart
    knows the round trip of a path without a queue.
    """

    def connect(self, link: LinkModel, back_ns: int) -> Connection:
        """Return a connection, as `Tcp` does."""
        connection = super().connect(link, back_ns)
        if isinstance(connection, PacketFlow | AutoFlow):
            connection.greeted()
        return connection

    @classmethod
    def of(cls, transport: Tcp) -> Greeted:
        """Return the same transport, greeted."""
        return cls(**{field.name: getattr(transport, field.name) for field in fields(transport)})
