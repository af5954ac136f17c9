"""What the kernels of the hosts are set to, so that TCP is what the scenario says it is."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

from testbed.scenario import NetworkSpec


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Settings of TCP on both ends. Sockets need not set anything but `TCP_NODELAY`.

    Args:
        congestion_control: Explicit, because the default of a kernel may be anything.
        idle_restart: Whether the window falls back after idle time.
        initial_window: Segments that a new connection may send at once.
        buffer_bytes: Size of socket buffers; None for what the kernel finds best.
    """

    congestion_control: str = "cubic"
    idle_restart: bool = True
    initial_window: int = 10
    buffer_bytes: int | None = None

    @classmethod
    def of(cls, network: NetworkSpec) -> Self:
        """Return what a scenario asks for; defaults where its transport is not TCP."""
        said = network.transport.model_dump()
        if said["kind"] != "tcp":
            return cls()
        return cls(said["congestion_control"], said["idle_restart"], said["initial_window"])

    @property
    def sysctls(self) -> dict[str, str]:
        """The settings of a network namespace, by name."""
        settings = {
            "net.ipv4.tcp_slow_start_after_idle": str(int(self.idle_restart)),
            "net.ipv4.tcp_no_metrics_save": "1",  # no connection learns from an earlier one
        }
        if self.buffer_bytes is not None:
            size = self.buffer_bytes
            settings["net.ipv4.tcp_rmem"] = f"4096 {size} {size}"
            settings["net.ipv4.tcp_wmem"] = f"4096 {size} {size}"
        return settings


def congestion_control(end: socket.socket) -> str:
    """Return the congestion control of a connected TCP socket, as the kernel says."""
    name = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.split(b"\0")[0].decode()
