"""What a machine takes, measured on it before a validation and under the conditions of its runs.

A rehearsal is an emulated run of each operating point by itself: the processes, priorities, cadence
and payloads of the validation, on links of a constant rate about which there is nothing to know.
What it takes longer than simulated, stage by stage, is the machine's: `HostTimes`. With a live
network the times of encoder and decoder are those of the rehearsal as well. Nothing of this comes
from the runs that are then compared.

But the cores of a virtual machine compute now faster and now slower, by a third within seconds, so
that a minute later the times of a rehearsal are those of another machine. `retimed` has them from
every other frame of the runs instead: a frame that is compared takes what the frame before it took.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from ruamel.yaml import YAML

from testbed.clients.gather import client_names
from testbed.devices.hosts import HostTimes, Live, Taken
from testbed.emulate.connection import framing_bytes
from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Options, emulate
from testbed.emulate.packetlog import DOWNLINK, UPLINK, read_packets
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.model import NS_PER_MS, NS_PER_S, Mode, OperatingPoint, Rung
from testbed.parts import make
from testbed.policies import policies
from testbed.policies.fixed import Fixed
from testbed.scenario import Client, Scenario, dump, load_text
from testbed.scenario.channels import OpenLinks, open_channel
from testbed.scenario.schema import LinkSpec
from testbed.simulate import simulate
from testbed.validate.stages import durations_ns

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

FRAMES = 24
"""Of each operating point, at least."""

SECONDS, LIVE_SECONDS = 12, 40
"""What a rehearsal lasts at least. A real network's times vary by tens of percent from frame to
frame, timed waits hardly."""

EVERY = 2
"""Of a live network's frames each with such a number is compared; the others give its times."""

HEADROOM = 2.0
"""The rate of a rehearsal carries at least so many times what the camera asks of it."""

_NO_DATA_BYTES = 100
"""Packets up to this size carry no frame: acknowledgements and what asks for clocks."""

_SENT = (Mode.SPLIT, Mode.OFFLOAD)
_NETWORK_STAGES = ("queue", "uplink_wait", "transfer", "server_wait", "downlink")
_STAND_IN_STAGES = ("encode", "decode")


@dataclass(frozen=True)
class PacketTimes:
    """What packets of a rehearsal took beside their links.

    Args:
        access_ns: Of each frame, from when its first byte was handed to the kernel until the relay
            had its first packet.
        round_ns: Of a round trip, one figure or none.
    """

    access_ns: list[int] = field(default_factory=list)
    round_ns: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Rehearsal:
    """One operating point of one group of clients, by itself.

    Args:
        group: Index of the clients' group.
        rung: The operating point.
        scenario: What is run, under the policy and the seed that it has.
        frames: What became of them when emulated.
        packets: What its relay said of the times of packets.
    """

    group: int
    rung: Rung
    scenario: Scenario
    frames: pd.DataFrame
    packets: PacketTimes

    def taken(self) -> dict[str, Taken]:
        """Return what a real network took, by client.

        Raises:
            EnvironmentLacks: A client had no frame decoded.
        """
        names = self.scenario.clients[0].spec.names
        found = {name: _taken(self.frames[self.frames["client"] == name]) for name in names}
        for name, taken in found.items():
            if not taken.frames:
                raise EnvironmentLacks(
                    f"rehearsal of {self.rung.point}: no frame of {name} was decoded; "
                    "does the server keep up with the cameras?"
                )
        return found


def calibrated(scenario: Scenario, options: Options) -> Scenario:
    """Return the scenario for the simulator, with what this machine takes.

    Args:
        scenario: What is going to be validated.
        options: How it is going to be emulated, and every rehearsal with it.

    Raises:
        EnvironmentLacks: No rehearsal was on time.
        TestbedError: The network does not have a width of a ladder.
    """
    if options.network is not None:
        _refuse_widths(scenario, options.network)
    done = list(_rehearse(scenario, options))
    beside: dict[str, Any] = {
        name: max(0, round(median([ns for each in done for ns in getattr(each.packets, name)])))
        for name in ("access_ns", "round_ns")
        if any(getattr(each.packets, name) for each in done)
    }
    live = options.network is not None
    if live:
        scenario = replace(scenario, live=_as_rehearsed(scenario, done))
    excess: dict[str, list[float]] = {}
    for rehearsal in done:
        played = rehearsal.scenario
        [policy], [seed] = played.spec.policies, played.spec.seeds
        if live:
            point = rehearsal.rung.point
            taken = {(policy, seed, name): {point: it} for name, it in rehearsal.taken().items()}
            played = replace(played, live=taken)
        known = replace(played, hosts=replace(_framing(played), **beside))
        simulated = simulate(known, policy, seed)
        stages = _NETWORK_STAGES + (() if live else _STAND_IN_STAGES)
        for stage in stages:
            excess.setdefault(stage, []).extend(
                _excess_ns(simulated.frames.to_pandas(), rehearsal.frames, stage)
            )
    hosts: dict[str, Any] = {
        f"{stage}_ns": max(0, round(median(it))) for stage, it in excess.items() if it
    }
    warning = "times of the machine were measured in a rehearsal right before the validation"
    return replace(
        scenario,
        hosts=replace(_framing(scenario), **hosts, **beside),
        warnings=(*scenario.warnings, warning),
    )


def _rehearse(scenario: Scenario, options: Options) -> Iterator[Rehearsal]:
    wanted = _chosen(scenario)
    for index, client in enumerate(scenario.clients):
        for rung in client.ladder:
            if rung.point.mode not in _SENT or (wanted and rung.point not in wanted):
                continue
            played = _plain(scenario, index, rung, options)
            [policy], [seed] = played.spec.policies, played.spec.seeds
            with tempfile.TemporaryDirectory(prefix="testbed-") as folder:
                logged = replace(options, log=Path(folder), captures=False)
                run = emulate(played, policy, seed, logged)
                if not run.valid:
                    raise EnvironmentLacks(f"rehearsal of {rung.point}: {run.report['reason']}")
                frames = run.rows.frames.to_pandas()
                log = Path(folder) / f"{policy}-{seed}-{run.report['attempts']}.packets"
                packets = _packet_times(played, frames, log) if log.exists() else PacketTimes()
                if options.backend == "tc":  # between its packets is a queue of the kernel
                    packets = replace(packets, round_ns=[])
            yield Rehearsal(index, rung, played, frames, packets)


def _chosen(scenario: Scenario) -> set[OperatingPoint]:
    """Return the points that are chosen if all policies are fixed ones; else none."""
    made = [make(policies, spec) for spec in scenario.spec.policies.values()]
    points = {policy.point for policy in made if isinstance(policy, Fixed)}
    return points if all(isinstance(policy, Fixed) for policy in made) else set()


def _plain(scenario: Scenario, group: int, rung: Rung, options: Options) -> Scenario:
    """Return a scenario of one group at one operating point, on links of a constant rate.

    TCP goes over one long connection whose window stays open, so that nothing of what the simulator
    thinks of handshakes and slow start is taken for the machine's.

    The rate is the mean of the link's, or twice what the frames ask for where that is more and
    their size is known.
    """
    client = scenario.clients[group]
    data: dict[str, Any] = YAML(typ="safe").load(dump(scenario))
    fps = client.spec.source.fps
    point = rung.point
    live = options.network is not None
    need_mbps = 0.0 if live else HEADROOM * 8e-6 * fps * rung.payload_bytes
    answer_mbps = HEADROOM * 8e-6 * fps * client.spec.answer_bytes
    for direction, least_mbps in (("uplink", need_mbps), ("downlink", answer_mbps)):
        link: LinkSpec = getattr(scenario.spec.network, direction)
        mbps = max(least_mbps, _mean_mbps(scenario, client, link, direction))
        delay_ms = link.delay_ns / NS_PER_MS
        data["network"][direction] = {"kind": "constant", "mbps": mbps, "delay_ms": delay_ms}
        if client.spec.count > 1:
            shared = "fifo" if options.backend == "tc" else "none"  # it has one queue
            data["network"][direction]["sharing"] = shared
    if data["network"]["transport"]["kind"] == "tcp":
        data["network"]["transport"] |= {"connection": "long", "idle_restart": False}
    fixed = Fixed(point.width, point.bits, point.codec, point.mode)
    data["policies"] = {
        "rehearsal": {
            "kind": "fixed",
            "width": fixed.width,
            "bits": max(1, fixed.bits),  # which a whole picture has none of
            "codec": fixed.codec,
            "mode": point.mode.value,
        }
    }
    data["clients"] = [data["clients"][group]]
    data["seeds"] = [scenario.spec.seeds[0]]
    data["claims"] = []
    data["duration_s"] = max(LIVE_SECONDS if live else SECONDS, FRAMES / fps)
    data["deadline_ms"] = max(scenario.spec.deadline_ns, NS_PER_S) / NS_PER_MS
    data.pop("sha256", None)  # of files that it no longer has
    return load_text(json.dumps(data), file=scenario.spec.name)


def _mean_mbps(scenario: Scenario, client: Client, link: LinkSpec, direction: str) -> float:
    """Return the mean rate of a link, of those that are no cell's; else 0."""
    name = client.spec.name
    channel = open_channel(link, [name], direction, scenario.spec.seeds[0])
    if not isinstance(channel, OpenLinks):
        return 0.0
    capacity = channel.links[name].capacity
    offered_bytes = capacity.offered(scenario.spec.duration_ns) / capacity.units_per_byte
    return offered_bytes * 8e3 / scenario.spec.duration_ns


def _excess_ns(simulated: pd.DataFrame, emulated: pd.DataFrame, stage: str) -> list[float]:
    """Return by how much a stage took longer than simulated, of the frames that both took."""
    key = ["client", "frame"]
    ours, theirs = (
        frames.astype({"client": str}).set_index(key).sort_index()
        for frames in (simulated, emulated)
    )
    both = ours.index.intersection(theirs.index)
    excess = durations_ns(theirs.loc[both], stage) - durations_ns(ours.loc[both], stage)
    return [float(value) for value in excess if not math.isnan(value)]


def _packet_times(played: Scenario, frames: pd.DataFrame, log: Path) -> PacketTimes:
    """Return what the packets of a rehearsal took beside their links, by the log of its relay.

    A packet that the relay writes is acknowledged by a packet that it reads, and what an
    acknowledgement lets go comes as long after it; so a round trip holds that twice, and how late
    the relay was in both directions.
    """
    packets, _ = read_packets(log)
    empty = packets["size_bytes"] <= _NO_DATA_BYTES
    up = packets[(packets["direction"] == UPLINK) & ~empty]
    acks = packets[(packets["direction"] == DOWNLINK) & empty]
    access_ns: list[int] = []
    turns_ns: list[NDArray[np.int64]] = []
    for number, (name, _) in enumerate(client_names(played)):
        own, answers = (rows[rows["client"] == number] for rows in (up, acks))
        came_ns, left_ns = np.sort(own["arrived_ns"]), np.sort(own["released_ns"])
        began_ns = frames["send_start_ns"][frames["client"] == name].dropna().to_numpy(np.int64)
        at = np.searchsorted(came_ns, began_ns)
        there = at < len(came_ns)
        access_ns.extend((came_ns[at[there]] - began_ns[there]).tolist())
        at = np.searchsorted(left_ns, answers["arrived_ns"])
        turns_ns.append(answers["arrived_ns"][at > 0] - left_ns[at[at > 0] - 1])
    turns = np.concatenate(turns_ns)
    if not len(turns):
        return PacketTimes(access_ns)
    late_ns = np.median(up["released_ns"] - up["due_ns"])
    back_ns = np.median(acks["released_ns"] - acks["arrived_ns"])
    delay_ns = played.spec.network.downlink.delay_ns
    round_ns = late_ns + 2 * np.median(turns) + back_ns - delay_ns
    return PacketTimes(access_ns, [round(float(round_ns))])


def _framing(scenario: Scenario) -> HostTimes:
    """Return what the protocol adds to each payload, by its definition."""
    transport = scenario.spec.network.transport.model_dump()
    if transport["kind"] == "datagram":
        return HostTimes()
    client = scenario.clients[0]
    name = client.spec.name, client.detector.name
    per_frame = transport.get("connection") == "per_frame"
    before = framing_bytes(*name, opening=per_frame)
    return HostTimes(frame_bytes=before, greeted=not per_frame)


# -- with a network that really encodes and decodes --------------------------------------------


def _refuse_widths(scenario: Scenario, network: Network) -> None:
    from testbed.detectors.configurations import find
    from testbed.detectors.outside import load_any

    config = find(network.network) if network.network else None
    config = load_any(Path(network.weights), config).config
    for client in scenario.clients:
        for rung in client.ladder:
            if rung.point.mode is Mode.SPLIT and rung.point.width not in config.widths:
                listed = ", ".join(f"{width:g}" for width in config.widths)
                raise TestbedError(
                    f"{config.name} has no width {rung.point.width:g}; it has {listed}"
                )


def retimed(scenario: Scenario, frames: pd.DataFrame, least: int = FRAMES) -> Scenario:
    """Return a calibrated scenario in which a network takes what it took in the runs themselves.

    A frame takes what it took, or what the last one before it took that is given.

    Args:
        scenario: As `calibrated` returns it.
        frames: Of the emulated runs: those that are not compared, or all.
        least: A point that a client has fewer frames of, under a policy and a seed, keeps the times
            of its rehearsal.
    """
    group_of = dict(client_names(scenario))
    live = {key: dict(known) for key, known in scenario.live.items()}
    runs = product(scenario.spec.policies, scenario.spec.seeds, group_of)
    for policy, seed, name in runs:
        own = frames[
            (frames["policy"] == policy) & (frames["seed"] == seed) & (frames["client"] == name)
        ]
        for rung in scenario.clients[group_of[name]].ladder:
            point = rung.point
            same = (
                (own["width"] == point.width)
                & (own["bits"] == point.bits)
                & (own["codec"] == point.codec)
                & (own["mode"] == point.mode.value)
            )
            taken = _taken(own[same])
            if len(taken.frames) >= least:
                live.setdefault((policy, seed, name), {})[point] = taken
    return replace(scenario, live=live)


def _taken(frames: pd.DataFrame) -> Taken:
    """Return what a network took of one client's frames at one point, of those it decoded."""
    frames = frames.sort_values("frame")
    took = {stage: durations_ns(frames, stage) for stage in ("encode", "decode")}
    there = ~np.isnan(took["encode"]) & ~np.isnan(took["decode"])
    columns = (frames["frame"], took["encode"], took["decode"], frames["payload_bytes"])
    return Taken(*(tuple(column[there].astype(np.int64).tolist()) for column in columns))


def _as_rehearsed(scenario: Scenario, done: Sequence[Rehearsal]) -> Live:
    """Return what a network took in a rehearsal, from its beginning again at its end.

    Each seed goes on where the one before it stopped.
    """
    live: dict[tuple[str, int, str], dict[OperatingPoint, Taken]] = {}
    for rehearsal in done:
        fps = scenario.clients[rehearsal.group].spec.source.fps
        count = math.ceil(scenario.spec.duration_ns * fps / NS_PER_S)
        for name, taken in rehearsal.taken().items():
            for number, seed in enumerate(scenario.spec.seeds):
                looped = taken.looped(number * count, count)
                for policy in scenario.spec.policies:
                    live.setdefault((policy, seed, name), {})[rehearsal.rung.point] = looped
    return live
