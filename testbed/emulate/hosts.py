"""The hosts of an emulated network: namespaces, interfaces and settings. Standard library only."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from testbed.emulate import interfaces, kernel, routes

SERVER = "server"
RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Own:
    """What a process finds on its host.

    Args:
        namespace: Descriptor of its network namespace; None for the caller's own.
        interfaces: Descriptors that the relay gets, in the order of the hosts.
    """

    namespace: int | None
    interfaces: tuple[int, ...] = ()


@dataclass
class Hosts:
    """The namespaces of one network; the last is the server's.

    Args:
        namespaces: One for each client in order, and one for the server.
        relay: The namespace of the relay.
        addresses: Of the same hosts.
        ends: What the relay reads and writes: one descriptor for each host.
        settings: What the kernel said when asked for its settings.
    """

    namespaces: list[int] = field(default_factory=list)
    relay: int | None = None
    addresses: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    settings: dict[str, str | None] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return what the caller should know."""
        return {"addresses": self.addresses, "settings": self.settings}

    def descriptors(self, host: int | str) -> Own:
        """Return what a process on a host gets: the number of the host, or `relay`."""
        if host == RELAY:
            return Own(self.relay, tuple(self.ends))
        return Own(self.namespaces[int(host)] if self.namespaces else None)

    def packets_dropped(self) -> int:
        """Return the packets that the interfaces of all hosts have dropped."""
        dropped = 0
        for namespace in self.namespaces:
            kernel.enter(namespace)
            dropped += interfaces.packets_dropped()
        return dropped


def make(plan: dict[str, Any]) -> Hosts:
    """Make the hosts of a plan. Raise an `OSError` that says what the kernel refused."""
    made = Hosts()
    for number in range(plan["clients"] + 1):
        server = number == plan["clients"]
        address = interfaces.SERVER_ADDRESS if server else interfaces.client_address(number)
        made.namespaces.append(kernel.network_namespace())
        made.addresses.append(address)
        _prepare(plan["sysctls"])
        made.ends.append(interfaces.open_tun("tun0"))
        interfaces.set_size("tun0")
        interfaces.give_address("tun0", address)
        interfaces.bring_up("tun0")
        _set_route("tun0", address, plan)
    made.settings = {name: kernel.sysctl(name) for name in plan["sysctls"]}
    made.settings["congestion_control"] = plan["congestion_control"]
    made.settings["initial_window"] = str(plan["initial_window"])
    made.settings["kernel"] = os.uname().release
    made.relay = kernel.network_namespace()
    return made


def _prepare(sysctls: dict[str, str]) -> None:
    """Bring up the loopback of the namespace of this process, and set what was asked for."""
    interfaces.bring_up("lo")
    kernel.set_sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    for name, value in sysctls.items():
        kernel.set_sysctl(name, value)


def _set_route(name: str, address: str, plan: dict[str, Any]) -> None:
    control = plan["congestion_control"]
    try:
        routes.set_route(name, address, control, plan["initial_window"])
    except OSError as error:
        raise OSError(
            error.errno,
            f"route with congestion control '{control}': {error.strerror}; "
            "/proc/sys/net/ipv4/tcp_available_congestion_control lists what the kernel has",
        ) from None
