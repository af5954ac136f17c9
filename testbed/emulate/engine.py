"""Runs one policy on one seed over a real kernel network, in the time that it takes."""

from __future__ import annotations

import os
import platform
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testbed.clients.gather import client_names
from testbed.emulate.certificates import Trust
from testbed.emulate.decoding_live import START_S, Network
from testbed.emulate.stage import READY_S, Stage, before_server, in_network
from testbed.model import NS_PER_MS, NS_PER_S
from testbed.records import RadioCounts, RunRows
from testbed.scenario import Scenario, dump

LEAD_NS = 100 * NS_PER_MS
"""From the order to begin to time zero, so that everybody has heard it by then."""

Tick = Callable[[float], None]
"""Called now and then with the seconds of the run that have passed."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a scenario is emulated.

    Args:
        backend: What shapes the packets; `auto` for the first that works here.
        server: Host and port of a server that runs elsewhere, over whatever lies between: no link
            of the scenario is emulated then. None for one of our own.
        trust: How that server and the clients know each other.
        tries: How often a run is repeated whose relay was too late to be believed.
        log: Folder for packet logs; None for none.
        captures: Whether captures of each host lie beside the logs.
        network: What really encodes and decodes, instead of payloads of the published size and
            waits of the time that the profiles say; None for the latter.
    """

    backend: str = "auto"
    server: tuple[str, int] | None = None
    trust: Trust = field(default_factory=Trust)
    tries: int = 3
    log: Path | None = None
    captures: bool = True
    network: Network | None = None


@dataclass(frozen=True)
class Emulation:
    """One policy on one seed.

    Args:
        rows: What the clients recorded.
        report: How it was emulated, and whether it may be believed: JSON, with `policy`, `seed`,
            `valid`, `reason` and `attempts`.
    """

    rows: RunRows
    report: dict[str, Any]

    @property
    def valid(self) -> bool:
        """Whether the run may be believed."""
        return bool(self.report["valid"])


def emulate(
    scenario: Scenario,
    policy: str,
    seed: int,
    options: Options | None = None,
    tick: Tick = lambda passed_s: None,
) -> Emulation:
    """Run one policy on one seed in real time and return everything that happened.

    A run whose relay was late is repeated; what comes back is the last one, valid or not.

    Raises:
        EnvironmentLacks: The kernel refuses what it takes, a process was killed, or there is no
            server where one was to be.
    """
    options = options or Options()
    reasons: list[str] = []
    while True:
        rows, report = _attempt(scenario, policy, seed, options, len(reasons), tick)
        if report["valid"] or len(reasons) + 1 >= options.tries:
            break
        reasons.append(report["reason"])
    return Emulation(rows, {**report, "attempts": len(reasons) + 1, "discarded": reasons})


def _attempt(
    scenario: Scenario, policy: str, seed: int, options: Options, number: int, tick: Tick
) -> tuple[RunRows, dict[str, Any]]:
    """Run once."""
    groups = dict(client_names(scenario))
    names = list(groups)
    spec = scenario.spec
    length_s = (spec.duration_ns + spec.deadline_ns) / NS_PER_S
    load = os.getloadavg()
    log = None
    if options.log is not None:
        options.log.mkdir(parents=True, exist_ok=True)
        log = options.log / f"{policy}-{seed}-{number + 1}.packets"
    with (
        tempfile.TemporaryDirectory(prefix="testbed-") as made,
        _stage(scenario, names, seed, options, log) as stage,
    ):
        folder = Path(made)
        (folder / "scenario.yaml").write_text(dump(scenario), encoding="utf-8")
        plan = {
            "scenario": str(folder / "scenario.yaml"),
            "policy": policy,
            "seed": seed,
            "run": secrets.token_hex(16),
            "rows": str(folder),
            "network": None if options.network is None else asdict(options.network),
            "trust": asdict(options.trust),
        }
        plan["server"] = stage.serve(plan)
        devices = {name: stage.device(name) for name in names}
        for name, child in devices.items():
            detector = scenario.clients[groups[name]].detector.name
            child.tell(**plan, client=name, detector=detector)
            # One after the other: many that get ready with real-time priority would keep the
            # server from answering those that connect.
            child.hear("ready", READY_S + (START_S if options.network else 0))
        zero_ns = stage.start(time.monotonic_ns() + LEAD_NS)
        for child in devices.values():
            child.tell(op="start", zero_ns=zero_ns)
        done = {
            name: child.hear("done", length_s + READY_S, lambda: tick(_since_s(zero_ns)))
            for name, child in devices.items()
        }
        relay = stage.stop()
        rows = _rows(folder, policy, seed, names, done)
    for said in done.values():
        del said["op"]
    reason = None if relay is None else relay["reason"] or _client_late(done, relay["gate"])
    report = {
        "policy": policy,
        "seed": seed,
        "valid": reason is None,
        "reason": reason,
        "relay": relay,
        "clients": done,
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_before": [round(value, 2) for value in load],
        "load_after": [round(value, 2) for value in os.getloadavg()],
    }
    return rows, report


def _client_late(done: dict[str, dict[str, Any]], gate: dict[str, int]) -> str | None:
    """Return why the clients were too late to be believed; None if they were not.

    They are held to the bounds of the relay: a camera that stalls is as wrong as a link that does.
    """
    for name, said in done.items():
        late = said["late_ns"]
        for what, late_ns, bound_ns in (
            ("99 %", late.get("p99_ns", 0), gate["p99_ns"]),
            ("all", late.get("max_ns", 0), gate["p999_ns"]),
        ):
            if late_ns > bound_ns:
                return (
                    f"{what} of the timers of {name} were up to {late_ns / NS_PER_MS:.2f} ms late; "
                    f"at most {bound_ns / NS_PER_MS:g} ms is valid"
                )
    return None


def _since_s(zero_ns: int) -> float:
    return max(0.0, (time.monotonic_ns() - zero_ns) / NS_PER_S)


def _stage(
    scenario: Scenario, names: Sequence[str], seed: int, options: Options, log: Path | None
) -> AbstractContextManager[Stage]:
    if options.server is not None:
        return before_server(options.server)
    capture = log.with_suffix(".captures") if log is not None and options.captures else None
    return in_network(scenario, names, seed, options.backend, log, capture)


def _rows(
    folder: Path, policy: str, seed: int, names: Sequence[str], done: dict[str, dict[str, Any]]
) -> RunRows:
    """Return what the clients wrote, as the rows of one run."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def table(kind: str) -> pa.Table:
        parts = [pq.read_table(folder / f"{name}.{kind}.parquet") for name in names]
        return pa.concat_tables(parts).unify_dictionaries()

    radios: dict[str, RadioCounts] = {}
    for said in done.values():
        for radio, counts in said.pop("radios").items():
            known = radios.get(radio, RadioCounts(0, 0, 0))
            radios[radio] = RadioCounts(*map(sum, zip(known, counts, strict=True)))
    frames = table("frames")
    offered = pc.sum(frames["wire_bytes"]).as_py() or 0
    return RunRows(policy, seed, frames, table("energy"), (offered, 0), radios)
