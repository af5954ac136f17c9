"""The hosts of an emulated network: namespaces, interfaces and settings. Standard library only.

Each client and the server has one interface, and a route through it to all the others. What is at
the other end of these interfaces is the business of a backend:

- `tun`: the relay reads and writes the packets of TUN interfaces;
- `packet`: each interface is a veth, and the relay has a raw socket at its peer;
- `pacing`: nothing; all hosts are this one, with addresses of its loopback interface;
- `tc`: clients as with `tun`; the relay hands their packets, after the propagation delay, to a
  router, whose kernel shapes what leaves it for the server and for the clients.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from testbed.emulate import interfaces, kernel, netlink
from testbed.emulate.interfaces import CLIENTS, EVERYBODY, SERVER_ADDRESS

RELAY = "relay"
_QUEUE_PACKETS = 20_000
"""May wait for the relay to read them, so that the kernel never drops one."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a process finds on its host.

    Args:
        namespace: Descriptor of its network namespace; None for the caller's own.
        ends: Descriptors that the relay gets, in the order of the hosts.
    """

    namespace: int | None
    ends: tuple[int, ...] = ()


@dataclass
class Hosts:
    """The namespaces of one network.

    Args:
        namespaces: One for each client in order, and one for the server.
        others: Of the relay, and of the router if there is one.
        addresses: Of clients and server.
        ends: What the relay reads and writes: one descriptor for each client, one for the server
            or the router before it.
        extra: Descriptors that the relay gets after these.
        shaped: Indices of the interfaces of the router, by name.
        settings: What the kernel said when asked for its settings.
    """

    namespaces: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    shaped: dict[str, int] = field(default_factory=dict)
    settings: dict[str, str | None] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return what the caller should know."""
        return {
            "addresses": self.addresses,
            "settings": self.settings,
            "shaped": self.shaped,
        }

    def of(self, host: int | str) -> Own:
        """Return what a process on a host gets: the number of the host, or `relay`."""
        if not self.namespaces:
            return Own(None)
        if host == RELAY:
            return Own(self.others[0], (*self.ends, *self.extra))
        return Own(self.namespaces[int(host)])

    def packets_dropped(self) -> int:
        """Return the packets that the interfaces of all hosts have dropped."""
        dropped = 0
        for namespace in [*self.namespaces, *self.others]:
            kernel.enter(namespace)
            dropped += interfaces.packets_dropped()
        return dropped

    def queue_drops(self) -> int:
        """Return the packets that had no room in the queues of the router."""
        if not self.shaped:
            return 0
        from testbed.emulate import shaping

        kernel.enter(self.others[1])
        return shaping.queue_drops(list(self.shaped))


def make(plan: dict[str, Any]) -> Hosts:
    """Make the hosts of a plan. Raise an `OSError` that says what the kernel refused."""
    made = Hosts()
    if plan["backend"] == "pacing":
        made.addresses = [f"127.18.0.{number + 1}" for number in range(plan["clients"])]
        made.addresses.append("127.19.0.1")
        made.settings = {
            name: kernel.sysctl(name)
            for name in (*plan["sysctls"], "net.ipv4.tcp_congestion_control")
        }
        return made
    made.others.append(_namespace(plan))  # the relay's
    routed = plan["backend"] == "tc"
    if routed:
        made.others.append(_namespace(plan))
    for number in range(plan["clients"] + 1):
        server = number == plan["clients"]
        address = SERVER_ADDRESS if server else interfaces.client_address(number)
        made.addresses.append(address)
        made.namespaces.append(_namespace(plan))
        if server and routed:
            netlink.add_veth("eth0", "server", made.others[1])
            _connect("eth0", address, plan, ethernet=True)
        elif plan["backend"] == "packet":
            peer = f"host{number}"
            netlink.add_veth("eth0", peer, made.others[0])
            _connect("eth0", address, plan, ethernet=True)
            kernel.enter(made.others[0])
            interfaces.bare_ethernet(peer)
            interfaces.bring_up(peer)
            made.ends.append(interfaces.open_packets(peer))
        else:
            made.ends.append(interfaces.open_tun("tun0"))
            netlink.set_queue("tun0", _QUEUE_PACKETS)
            _connect("tun0", address, plan)
    if routed:
        _make_router(made, plan)
    kernel.enter(made.namespaces[0])
    made.settings = {name: kernel.sysctl(name) for name in plan["sysctls"]}
    made.settings["congestion_control"] = plan["congestion_control"]
    made.settings["initial_window"] = str(plan["initial_window"])
    made.settings["kernel"] = os.uname().release
    return made


def _namespace(plan: dict[str, Any]) -> int:
    """Move this process into a new namespace, settled, and return its descriptor."""
    namespace = kernel.network_namespace()
    interfaces.bring_up("lo")
    kernel.set_sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    kernel.set_sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    for name, value in plan["sysctls"].items():
        kernel.set_sysctl(name, value)
    return namespace


def _connect(name: str, address: str, plan: dict[str, Any], *, ethernet: bool = False) -> None:
    """Give an interface its address, and TCP over it its settings."""
    if ethernet:
        interfaces.bare_ethernet(name)
    interfaces.give_address(name, address)
    interfaces.bring_up(name)
    control = plan["congestion_control"]
    try:
        netlink.set_route(EVERYBODY, name, address, control, plan["initial_window"])
    except OSError as error:
        raise OSError(
            error.errno,
            f"route with congestion control '{control}': {os.strerror(error.errno or 0)}; "
            "/proc/sys/net/ipv4/tcp_available_congestion_control lists what the kernel has",
        ) from None


def _make_router(made: Hosts, plan: dict[str, Any]) -> None:
    """Join the clients, through the relay, and the server."""
    from testbed.emulate import shaping

    kernel.enter(made.others[1])
    kernel.set_sysctl("net.ipv4.ip_forward", 1)
    made.ends.append(interfaces.open_tun("clients"))
    netlink.set_queue("clients", _QUEUE_PACKETS)
    interfaces.bare_ethernet("server")
    for name, destination in (("clients", CLIENTS), ("server", (SERVER_ADDRESS, 32))):
        interfaces.bring_up(name)
        netlink.set_route(destination, name)
    limits = {"server": plan["uplink_queue"], "clients": plan["downlink_queue"]}
    made.shaped = shaping.set_up(limits)
    made.extra.append(netlink.connect().detach())
