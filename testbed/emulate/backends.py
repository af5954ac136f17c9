"""What can shape the packets of an emulated network."""

from __future__ import annotations

from testbed.errors import EnvironmentLacks, UnknownName

BACKENDS = {
    "tun": "a relay at TUN interfaces: any link, any sharing",
    "packet": "a relay at raw sockets on veth: the same where TUN is closed",
    "tc": "HTB in the kernel for the rate, the relay for delay and loss",
    "pacing": "the rate alone, on the loopback interface: no delay, loss or queue",
}

AUTOMATIC = ("tun", "packet")
"""Those that do everything a scenario may ask for, the best first."""


def choose(asked: str, *, user_namespace: bool | None = None) -> str:
    """Return the backend to use: the one asked for, or the first that works here if `auto`.

    Args:
        asked: A name, or `auto`, which tries by measuring.
        user_namespace: As in `testbed.emulate.network.network`.

    Raises:
        UnknownName: There is no such backend.
        EnvironmentLacks: None works here.
    """
    if asked in BACKENDS:
        return asked
    if asked != "auto":
        raise UnknownName("backend", asked, ("auto", *BACKENDS))
    from testbed.emulate.probe import probe  # which makes networks itself

    tried = []
    for name in AUTOMATIC:
        found = probe(name, user_namespace=user_namespace)
        if found.works:
            return name
        tried.append(f"{name}: {found.detail}")
    raise EnvironmentLacks(
        f"no network can be emulated here; {'; '.join(tried)}; root, or a kernel that allows user "
        "namespaces, is needed"
    )
