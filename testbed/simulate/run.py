"""Runs a scenario: every policy on every seed, each in a world of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from testbed.clients.gather import client_names, gather
from testbed.devices.hosts import Taken
from testbed.links import links, transports
from testbed.links.capacity import mbps_per_bin
from testbed.links.link import Link
from testbed.links.tcp.transport import Greeted, Tcp
from testbed.links.transport import Transport
from testbed.model import NS_PER_MS, OperatingPoint, Policy
from testbed.parts import make
from testbed.policies import policies
from testbed.records import RunRows
from testbed.scenario import LinkSpec, Scenario
from testbed.scenario.channels import CELL, OpenLinks, open_channel
from testbed.simulate.channel import Cell, Channel, OwnLinks
from testbed.simulate.client import SimulatedClient
from testbed.simulate.clock import Clock
from testbed.simulate.server import Server
from testbed.streams import stream

PLOT_BIN_NS = 250 * NS_PER_MS


def simulate(scenario: Scenario, policy: str, seed: int) -> RunRows:
    """Run one policy on one seed and return everything that happened.

    Cameras capture for `duration_s`; the run goes on for one deadline more, so that every frame
    has the same chance of an answer. The same arguments give the same rows on any machine.
    """
    live = {
        client: taken
        for (its_policy, its_seed, client), taken in scenario.live.items()
        if (its_policy, its_seed) == (policy, seed)
    }
    world = World(scenario, seed, lambda: make(policies, scenario.spec.policies[policy]), live)
    with _collector_off():
        world.run()
        return world.rows(policy)


class World:
    """Everything that one run of a scenario on one seed consists of.

    Args:
        scenario: What runs.
        seed: Of every random stream.
        policy: Makes the policy of a client; called once for each.
        live: What a real network took in the same run, by the client's name.

    Attributes:
        clients: In the order of the scenario.
        end_ns: The run stops then.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        policy: Callable[[], Policy],
        live: Mapping[str, Mapping[OperatingPoint, Taken]] | None = None,
    ) -> None:
        live = live or {}
        self._env = env = Clock()
        self._seed = seed
        spec = scenario.spec
        names = list(client_names(scenario))
        transport = make(transports, spec.network.transport)
        self.end_ns = spec.duration_ns + spec.deadline_ns
        clients_named = [name for name, _ in names]
        uplink, downlink = spec.network.uplink, spec.network.downlink
        back_ns = downlink.delay_ns + scenario.hosts.round_ns
        if scenario.hosts.greeted and isinstance(transport, Tcp):
            transport = Greeted.of(transport)
        up = _channel(env, uplink, transport, clients_named, "uplink", seed, back_ns)
        answers = transport.of_answers
        down = _channel(env, downlink, answers, clients_named, "downlink", seed, uplink.delay_ns)
        self._up = up
        server = Server(
            env,
            # The work of a batch takes few values: as many as there are combinations of rungs.
            lru_cache(maxsize=1 << 16)(scenario.server.decode_ns),
            workers=spec.server.workers,
            batch_max=spec.server.batch.max,
            batch_wait_ns=spec.server.batch.wait_ns,
            queue_limit=spec.server.queue.limit,
            drop_expired=spec.server.drop_expired,
            measured=bool(scenario.server.sheet.points or live),
            hosts=scenario.hosts,
        )
        self.clients = [
            SimulatedClient(
                env,
                name,
                scenario.clients[group],
                policy(),
                seed=seed,
                deadline_ns=spec.deadline_ns,
                duration_ns=spec.duration_ns,
                end_ns=self.end_ns,
                uplink=up,
                downlink=down,
                server=server,
                hosts=scenario.hosts,
                live=live.get(name),
            )
            for name, group in names
        ]

    def run(self) -> None:
        """Run to the end, or until a policy is `Undecided`; call it again after the decision."""
        self._env.run_until(self.end_ns)

    def rows(self, policy: str) -> RunRows:
        """Return everything that happened in a run that has ended, under the policy's name."""
        return gather(policy, self._seed, self.end_ns, self.clients, self._up.byte_counts())


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
    channel = open_channel(spec, clients, direction, seed)
    if isinstance(channel, OpenLinks):
        return OwnLinks(env, channel.links, transport, back_ns)
    return Cell(env, channel.cell, channel.paths, transport)


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
