"""The process of one client: it gets a plan, connects, waits for time zero, and runs.

What it says to the engine and what it hears from it are messages over a socket pair whose
descriptor is its first argument (`testbed.emulate.messages`). Its rows go into a folder of the
engine's as Parquet.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.emulate import kernel
from testbed.emulate.messages import Ended, Messages
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from testbed.clients.client import Client


def main() -> None:
    """Run one client for the engine that started this process."""
    control = Messages(socket.socket(fileno=int(sys.argv[1])))
    try:
        plan, _ = control.receive()
        try:
            control.send({"op": "done", **run(plan, control)})
        except (TestbedError, OSError, EOFError) as error:
            control.send({"op": "failed", "reason": str(error), "kind": type(error).__name__})
    except Ended:
        sys.exit(1)  # nobody is left to tell


def run(plan: dict[str, Any], control: Messages) -> dict[str, Any]:
    """Run a client as a plan says, and return what the engine should know of it.

    Args:
        plan: `scenario` (a file), `policy`, `seed`, `client`, `server` (host and port), `run` (16
            bytes in hex), `detector` (what it tells the server), `network` (what encodes; None
            for a stand-in), `rows` (a folder), `trust` (the fields of a `Trust`).
        control: From and to the engine.
    """
    from testbed.clients.gather import client_names
    from testbed.emulate import connection, tcp_info
    from testbed.emulate.certificates import Trust
    from testbed.emulate.client import EmulatedClient, StandIn
    from testbed.emulate.clock import WallClock
    from testbed.emulate.datagram_client import DatagramClient
    from testbed.emulate.datagram_uplink import DatagramUplink, own_link
    from testbed.emulate.decoding_live import Network
    from testbed.emulate.encoding import LiveEncoder
    from testbed.emulate.settings import TcpSettings
    from testbed.emulate.uplinks import LongLived, PerFrame
    from testbed.links import transports
    from testbed.links.datagram import Datagram
    from testbed.parts import make
    from testbed.policies import policies
    from testbed.scenario import load

    kernel.exact_timers()
    scenario = load(plan["scenario"])
    spec = scenario.spec
    name, seed = plan["client"], plan["seed"]
    group = dict(client_names(scenario))[name]
    end_ns = spec.duration_ns + spec.deadline_ns
    host, port = plan["server"]
    open_line = partial(
        connection.connect,
        (host, port),
        client=name,
        detector=plan["detector"],
        run=bytes.fromhex(plan["run"]),
        prepare=partial(tcp_info.control, TcpSettings.of(spec.network).congestion_control),
        **Trust(**plan["trust"]).open(),
    )
    first = open_line()
    assert first.welcome is not None
    control_used = tcp_info.congestion_control(first.fileno())
    clock = WallClock()
    live = None
    if plan["network"] is not None:
        live = LiveEncoder(clock, Network(**plan["network"]), seed, name)
    transport = make(transports, spec.network.transport)
    delays_ns = (spec.network.uplink.delay_ns, spec.network.downlink.delay_ns)
    kind = DatagramClient if isinstance(transport, Datagram) else EmulatedClient
    client = kind(
        clock,
        name,
        scenario.clients[group],
        make(policies, spec.policies[plan["policy"]]),
        seed=seed,
        deadline_ns=spec.deadline_ns,
        duration_ns=spec.duration_ns,
        end_ns=end_ns,
        delays_ns=delays_ns,
        transport=transport,
        stand_in=StandIn(),
        live=live,
    )
    uplink: LongLived | PerFrame | DatagramUplink
    if isinstance(client, DatagramClient):
        assert isinstance(transport, Datagram)
        link = own_link(spec.network.uplink, name, seed)
        points = client.points()
        uplink = DatagramUplink(clock, client.told, first, link, delays_ns, transport, points)
        client.datagrams = uplink
    elif spec.network.transport.model_dump().get("connection") == "per_frame":
        first.close()
        framing_bytes = connection.framing_bytes(name, plan["detector"], opening=True)
        uplink = client.uplink = PerFrame(
            clock, client.answered, first.offset_ns or 0, open_line, framing_bytes
        )
    else:
        uplink = client.uplink = LongLived(clock, client.answered, first)
    with (
        quiet()
    ):  # from before all clients are told to start, which two cores cannot all do at once
        control.send({"op": "ready"})
        started, _ = control.receive()
        clock.begin(started["zero_ns"])
        clock.run_until(end_ns)
    client.finish()
    uplink.close()
    if live is not None:
        live.close()
    return {
        **write_rows(plan, end_ns, client),
        "late_ns": quantiles(clock.late_ns),
        "clock_error_ns": first.error_ns,
        "stand_in": first.welcome.stand_in,
        "pid": os.getpid(),
        "congestion_control": control_used,
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector from stopping a run for milliseconds."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def write_rows(plan: dict[str, Any], end_ns: int, client: Client) -> dict[str, Any]:
    """Write what a client recorded; return where, and its counts."""
    import pyarrow.parquet as pq

    from testbed.clients.gather import gather

    rows = gather(plan["policy"], plan["seed"], end_ns, [client], (0, 0))
    folder = Path(plan["rows"])
    pq.write_table(rows.frames, folder / f"{client.name}.frames.parquet")
    pq.write_table(rows.energy, folder / f"{client.name}.energy.parquet")
    return {"radios": {name: list(counts) for name, counts in rows.radios.items()}}


def quantiles(late_ns: list[int]) -> dict[str, int]:
    """Return how late the calls of a loop were: half of them, 99 %, 99.9 % and all.

    Of fewer than a thousand calls 99.9 % are all of them.
    """
    ordered = sorted(late_ns)
    last = len(ordered) - 1
    return (
        {}
        if last < 0
        else {
            "p50_ns": ordered[last // 2],
            "p99_ns": ordered[last * 99 // 100],
            "p999_ns": ordered[-(-last * 999 // 1000)],
            "max_ns": ordered[last],
        }
    )


if __name__ == "__main__":
    main()
