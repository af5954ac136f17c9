"""Every policy on every seed over a real kernel network, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.emulate.engine import Emulation, Options, emulate
from testbed.emulate.fragments import LEAST_HEADER_BYTES, LEAST_PACKET_BYTES
from testbed.emulate.interfaces import MTU_BYTES
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.links import transports
from testbed.links.datagram import Datagram
from testbed.model import NS_PER_MS, NS_PER_S, Mode
from testbed.parts import make
from testbed.records import RunRows
from testbed.scenario import Scenario

EMULATED = ("tcp", "datagram", "ideal")
"""Transports that can be emulated."""


@dataclass(frozen=True)
class Emulated:
    """What came of it.

    Args:
        rows: Of the seeds on which every policy's run may be believed.
        invalid: Of the others.
        reports: How each run was emulated, in the order of the runs.
        transport: The kind that the scenario asks for.
    """

    rows: list[RunRows]
    invalid: list[RunRows]
    reports: list[dict[str, Any]]
    transport: str = "tcp"

    def provenance(self) -> dict[str, Any]:
        """Return what the provenance of the run folder says of the engine."""
        return {"engine": "emulate", "emulation": {"runs": self.reports}}

    def warnings(self) -> Iterator[str]:
        """Yield what a reader of the results should know."""
        first = self.reports[0]
        clients = [said for report in self.reports for said in report["clients"].values()]
        if any(said["stand_in"] for said in clients):
            yield (
                "emulated without the detector: payloads of the published size and timed waits "
                "stand in for the encoder and the decoder"
            )
        if self.transport not in ("tcp", "datagram"):
            yield (
                f"the scenario's transport is {self.transport}, and the emulated one is the "
                "kernel's TCP, headers, handshake and windows included"
            )
        if first["relay"] is None:
            yield (
                "emulated before a server elsewhere: the links of the scenario were not applied, "
                "and the propagation delays in the books are the scenario's"
            )
        elif not first["relay"]["realtime"]:
            yield "emulated without real-time priority: a looser bound on lateness was applied"
        if left_out := (first["relay"] or {}).get("leaves_out"):
            yield (
                f"emulated by {first['relay']['backend']}: the links' {', '.join(left_out)} "
                "are left out"
            )
        for report in self.reports:
            if not report["valid"]:
                yield (
                    f"the run of {report['policy']} on seed {report['seed']} is invalid after "
                    f"{report['attempts']} tries: {report['reason']}; that seed is left out"
                )


def emulate_all(
    scenario: Scenario,
    options: Options,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Emulated:
    """Run every policy on every seed.

    A seed on which a run stays invalid is left out for all policies, so that those that are
    compared have met the same channels.

    Args:
        scenario: What to run.
        options: How.
        progress: Told the seconds that have passed, and all there will be.

    Raises:
        EnvironmentLacks: This machine cannot do it, or no seed gave a valid run.
        TestbedError: As `refuse_inimitable`.
    """
    refuse_inimitable(scenario, options)
    spec = scenario.spec
    jobs = [(policy, seed) for seed in spec.seeds for policy in spec.policies]
    each_s = (spec.duration_ns + spec.deadline_ns) / NS_PER_S
    total = round(len(jobs) * each_s)
    done: dict[tuple[str, int], Emulation] = {}
    for number, (policy, seed) in enumerate(jobs):

        def tick(passed_s: float, number: int = number) -> None:
            progress(round(number * each_s + min(passed_s, each_s)), total)

        tick(0.0)
        done[policy, seed] = emulate(scenario, policy, seed, options, tick)
    progress(total, total)
    valid = {
        seed for seed in spec.seeds if all(done[policy, seed].valid for policy in spec.policies)
    }
    runs = [done[policy, seed] for policy in spec.policies for seed in spec.seeds]
    reports = [run.report for run in runs]
    if not valid:
        raise EnvironmentLacks(_why(reports))
    return Emulated(
        [run.rows for run in runs if run.rows.seed in valid],
        [run.rows for run in runs if run.rows.seed not in valid],
        reports,
        _transport(scenario),
    )


def refuse_inimitable(scenario: Scenario, options: Options | None = None) -> None:
    """Raise a `TestbedError` for what cannot be emulated at all, or not in the way asked for."""
    options = options or Options()
    kind = _transport(scenario)
    if kind == "datagram":
        _refuse_datagrams(scenario, options)
    _refuse_pictures(scenario, options)
    where = f"{scenario.spec.name}: network.transport"
    if kind not in EMULATED:
        raise TestbedError(
            f"{where}: {kind} is simulated only; emulated are {', '.join(EMULATED)}, the last as "
            "TCP: --set 'network.transport={kind: tcp}'"
        )
    transport = make(transports, scenario.spec.network.transport)
    if not isinstance(transport, Datagram):
        return
    if transport.header_bytes < LEAST_HEADER_BYTES:
        raise TestbedError(
            f"{where}.header_bytes: {transport.header_bytes}; real ones of IP, UDP and a fragment "
            f"are {LEAST_HEADER_BYTES} at least"
        )
    if transport.packet_bytes < LEAST_PACKET_BYTES:
        raise TestbedError(
            f"{where}.packet_bytes: {transport.packet_bytes}; emulated are "
            f"{LEAST_PACKET_BYTES} at least"
        )
    if (size := transport.packet_bytes + transport.header_bytes) > MTU_BYTES:
        raise TestbedError(
            f"{where}: packets of {size} bytes with headers; on an emulated link there are "
            f"{MTU_BYTES} at most: --set network.transport.packet_bytes="
            f"{MTU_BYTES - transport.header_bytes}"
        )
    clients = sum(group.count for group in scenario.spec.clients)
    if clients > 1 and scenario.spec.network.uplink.sharing != "none":
        raise TestbedError(
            f"{where}: datagrams of {clients} clients over one uplink are simulated only: a device "
            "is told when its packet has left by a link of its own; allowed: one client, or "
            "--set network.uplink.sharing=none"
        )


def _refuse_pictures(scenario: Scenario, options: Options) -> None:
    """Raise a `TestbedError` for whole pictures that nobody would decode."""
    network = options.network
    if network is None or network.teacher is not None or options.server is not None:
        return
    for client in scenario.clients:
        if any(rung.point.mode is Mode.OFFLOAD for rung in client.ladder):
            raise TestbedError(
                f"{client.spec.name}: mode offload sends pictures, which the network of --weights "
                "does not decode; name one that does with --teacher, or leave the mode out of the "
                "ladder"
            )


def _refuse_datagrams(scenario: Scenario, options: Options) -> None:
    """Raise a `TestbedError` for ways to emulate that have no datagrams."""
    where = f"{scenario.spec.name}: network.transport: datagram"
    if options.server is not None:
        raise TestbedError(
            f"{where} with --server: datagrams go over emulated links only; leave --server out or "
            "--set 'network.transport={kind: tcp}'"
        )
    if options.backend in ("pacing", "tc"):
        raise TestbedError(
            f"{where} with --backend {options.backend}: datagrams need the relay; "
            "allowed: auto, tun, packet"
        )


def _transport(scenario: Scenario) -> str:
    return str(scenario.spec.network.transport.model_dump()["kind"])


def _why(reports: Sequence[dict[str, Any]]) -> str:
    bad = next(report for report in reports if not report["valid"])
    late_ms = bad["relay"]["late_p99_ns"] / NS_PER_MS
    return (
        f"no seed gave a valid run: {bad['policy']} on seed {bad['seed']} after "
        f"{bad['attempts']} tries: {bad['reason']} (p99 {late_ms:.2f} ms, load "
        f"{bad['load_after'][0]:.1f} on {bad['cores']} cores); let this machine do less beside it"
    )
