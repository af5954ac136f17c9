"""Runs a scenario: every policy on every seed, each in a world of its own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from testbed.clients.gather import client_names, gather
from testbed.errors import TestbedError
from testbed.links import links, transports
from testbed.links.capacity import mbps_per_bin
from testbed.links.cell import ProcessorSharing, SharedCell
from testbed.links.link import Link, Path
from testbed.links.proportional_fair import ProportionalFair
from testbed.links.round_robin import RoundRobin
from testbed.links.transport import Transport
from testbed.model import NS_PER_MS
from testbed.parts import make
from testbed.policies import policies
from testbed.records import RunRows
from testbed.scenario import LinkSpec, Scenario
from testbed.simulate.channel import Cell, Channel, OwnLinks
from testbed.simulate.client import SimulatedClient
from testbed.simulate.clock import Clock
from testbed.simulate.server import Server
from testbed.streams import stream

if TYPE_CHECKING:
    import numpy as np

PLOT_BIN_NS = 250 * NS_PER_MS
CELL = "cell"
"""Owner of a link that all clients share; names its random stream."""


def simulate(scenario: Scenario, policy: str, seed: int) -> RunRows:
    """Run one policy on one seed and return everything that happened.

    Cameras capture for `duration_s`; the run goes on for one deadline more, so that every frame
    has the same chance of an answer. The same arguments give the same rows on any machine.
    """
    env = Clock()
    spec = scenario.spec
    names = list(client_names(scenario))
    transport = make(transports, spec.network.transport)
    end_ns = spec.duration_ns + spec.deadline_ns
    clients_named = [name for name, _ in names]
    uplink, downlink = spec.network.uplink, spec.network.downlink
    up = _channel(env, uplink, transport, clients_named, "uplink", seed, downlink.delay_ns)
    down = _channel(env, downlink, transport, clients_named, "downlink", seed, uplink.delay_ns)
    server = Server(
        env,
        # The work of a batch takes few values: as many as there are combinations of rungs.
        lru_cache(maxsize=1 << 16)(scenario.server.decode_ns),
        workers=spec.server.workers,
        batch_max=spec.server.batch.max,
        batch_wait_ns=spec.server.batch.wait_ns,
        queue_limit=spec.server.queue.limit,
        drop_expired=spec.server.drop_expired,
        measured=bool(scenario.server.sheet.points),
    )
    clients = [
        SimulatedClient(
            env,
            name,
            scenario.clients[group],
            make(policies, spec.policies[policy]),
            seed=seed,
            deadline_ns=spec.deadline_ns,
            duration_ns=spec.duration_ns,
            end_ns=end_ns,
            uplink=up,
            downlink=down,
            server=server,
        )
        for name, group in names
    ]
    with _collector_off():
        env.run_until(end_ns)
        return gather(policy, seed, end_ns, clients, up.byte_counts())


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep the garbage collector from scanning a run's rows over and over: they are no garbage.

    Events free themselves by reference count. It took a third of the time of a long run.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _channel(
    env: Clock,
    spec: LinkSpec,
    transport: Transport,
    clients: list[str],
    direction: str,
    seed: int,
    back_ns: int,
) -> Channel:
    """Build one direction of the network."""
    part: Link = make(links, spec)
    delay_ns, limit = spec.delay_ns, spec.queue_bytes

    def draws(owner: str) -> np.random.Generator:
        return stream(seed, owner, direction)

    if spec.sharing == "none":
        own = {name: part.open(draws(name), delay_ns, limit) for name in clients}
        return OwnLinks(env, own, transport, back_ns)
    if spec.sharing == "fifo" or len(clients) == 1:  # alone in a cell nobody shares
        link = part.open(draws(CELL), delay_ns, limit)
        return OwnLinks(env, dict.fromkeys(clients, link), transport, back_ns)
    shared = part.medium(draws(CELL))
    media = {name: part.medium(draws(name)) for name in clients}
    if shared.wake is not None or shared.queue is not None:
        raise TestbedError(
            f"network.{direction}: sleep and queue management are of one sender's link; "
            "use them with sharing: none or sharing: fifo"
        )
    cell: SharedCell
    if spec.sharing == "proportional-fair":
        cell = ProportionalFair({name: each.capacity for name, each in media.items()}, limit)
    elif spec.sharing == "round-robin":
        cell = RoundRobin(shared.capacity, limit)
    else:
        cell = ProcessorSharing(shared.capacity, limit, shared.efficiency)
    paths = {name: Path(each, delay_ns) for name, each in media.items()}
    return Cell(env, cell, paths, transport)


def offered_mbps(scenario: Scenario, seed: int) -> dict[str, list[float]]:
    """Return what the uplinks of a run offer in each bin of `PLOT_BIN_NS`, by client or cell."""
    spec = scenario.spec
    uplink = spec.network.uplink
    part: Link = make(links, uplink)
    own = uplink.sharing in ("none", "proportional-fair")
    names = [name for name, _ in client_names(scenario)]
    owners = names if own and (len(names) > 1 or uplink.sharing == "none") else [CELL]
    return {
        owner: mbps_per_bin(
            part.medium(stream(seed, owner, "uplink")).capacity, spec.duration_ns, PLOT_BIN_NS
        )
        for owner in owners
    }
