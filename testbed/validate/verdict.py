"""What two run folders of one scenario, one of each engine, say about the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from testbed.devices.hosts import HostTimes
from testbed.model import NS_PER_MS, Fate
from testbed.validate.bounds import Bound
from testbed.validate.stages import Stage, matched, stages

if TYPE_CHECKING:
    import pandas as pd

    from testbed.records import Run

SCHEMA = 1
COMPONENTS = ("compute", "radio", "idle")


@dataclass(frozen=True)
class Pair:
    """One figure in both engines."""

    simulated: float
    emulated: float

    @property
    def error_percent(self) -> float | None:
        """(simulated − emulated) / emulated."""
        if not self.emulated:
            return None
        return 100 * (self.simulated - self.emulated) / self.emulated


@dataclass(frozen=True)
class PolicyVerdict:
    """One policy in both engines, all seeds and clients together.

    Args:
        policy: Its name.
        frames: How many there were to compare in each engine, and how many of them could be
            compared one by one.
        stages: Of `testbed.validate.stages.STAGES`, in that order.
        energy_j: By component, and `total`.
        fates: Counts.
        bounds: Each with its value and whether it holds.
    """

    policy: str
    frames: tuple[int, int, int]
    stages: list[Stage]
    energy_j: dict[str, Pair]
    fates: dict[str, Pair]
    bounds: list[tuple[Bound, float | None, bool]]

    @property
    def holds(self) -> bool:
        """Whether all bounds do."""
        return all(holds for _, _, holds in self.bounds)


def verdicts(
    simulated: Run, emulated: Run, bounds: Sequence[Bound], every: int = 1
) -> list[PolicyVerdict]:
    """Return what the two runs say, policy by policy.

    Seeds without a valid emulated run are left out on both sides. A bound whose figure is undefined
    does not hold: nothing was shown.

    Args:
        simulated: The run folder of the simulator.
        emulated: That of the emulator.
        bounds: What the simulator is held to.
        every: Of each client's frames those with such a number are compared, the first among them;
            energy is of all.
    """
    seeds = set(emulated.frames["seed"])
    found = []
    for policy in emulated.scenario["policies"]:
        ours, theirs = (
            run.frames[
                (run.frames["policy"] == policy)
                & run.frames["seed"].isin(seeds)
                & (run.frames["frame"] % every == 0)
            ]
            for run in (simulated, emulated)
        )
        own = stages(ours, theirs)
        values = [(bound, bound.value(own)) for bound in bounds]
        found.append(
            PolicyVerdict(
                policy,
                (len(ours), len(theirs), len(matched(ours, theirs)[0])),
                own,
                _energy(simulated, emulated, policy, seeds),
                _fates(ours, theirs),
                [(b, v, v is not None and v <= b.most_percent) for b, v in values],
            )
        )
    return found


def _energy(simulated: Run, emulated: Run, policy: str, seeds: set[int]) -> dict[str, Pair]:
    sums = []
    for run in (simulated, emulated):
        rows = run.energy[(run.energy["policy"] == policy) & run.energy["seed"].isin(seeds)]
        by = rows.groupby("component", observed=False)["energy_j"].sum()
        sums.append({name: float(by.get(name, 0.0)) for name in COMPONENTS})
    pairs = {name: Pair(sums[0][name], sums[1][name]) for name in COMPONENTS}
    return pairs | {"total": Pair(*(sum(each.values()) for each in sums))}


def _fates(simulated: pd.DataFrame, emulated: pd.DataFrame) -> dict[str, Pair]:
    counts = [frames["fate"].value_counts() for frames in (simulated, emulated)]
    pairs = {fate.value: Pair(*(int(c.get(fate.value, 0)) for c in counts)) for fate in Fate}
    return {fate: pair for fate, pair in pairs.items() if pair.simulated or pair.emulated}


def as_json(
    emulated: Run,
    kind: str,
    found: Sequence[PolicyVerdict],
    note: str,
    hosts: HostTimes,
    bare: Sequence[PolicyVerdict],
    rehearsed: Sequence[PolicyVerdict] = (),
    taken: Sequence[PolicyVerdict] = (),
) -> dict[str, Any]:
    """Return everything as JSON: what was run where, and what came of it.

    Args:
        emulated: The run folder of the emulator.
        kind: Of the bounds.
        found: The verdicts.
        note: Where the times of encoder and decoder are from.
        hosts: What the simulator was told of the machine.
        bare: The verdicts on a simulator that was not.
        rehearsed: With a live network, the verdicts on a simulator that has its times from the
            rehearsal alone.
        taken: And on one in which each frame takes what it took itself.
    """
    provenance = emulated.provenance
    runs = provenance["emulation"]["runs"]
    return {
        "schema": SCHEMA,
        "scenario": emulated.scenario["name"],
        "digest": provenance["digest"],
        "bounds": kind,
        "holds": all(each.holds for each in (*found, *taken)),
        "device_times": note,
        "machine": machine(runs),
        "host_times": asdict(hosts),
        "policies": [
            {
                **_policy(each),
                "without_host_times_percent": _totals(bare[at]),
                **({"as_rehearsed_percent": _totals(rehearsed[at])} if rehearsed else {}),
                **({"as_taken": _as_taken(taken[at])} if taken else {}),
            }
            for at, each in enumerate(found)
        ],
    }


def machine(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what the emulated runs took place on, worst of all runs."""
    relays = [run["relay"] for run in runs if run["relay"]]
    said_by = [client for run in runs for client in run["clients"].values()]
    versions = {"kernel": runs[0]["kernel"], "cores": runs[0]["cores"]}
    return versions | {
        "backend": ", ".join(sorted({relay["backend"] for relay in relays})),
        "congestion_control": ", ".join(
            sorted({client["congestion_control"] for client in said_by})
        ),
        "realtime": bool(relays) and all(relay["realtime"] for relay in relays),
        "load_1min": max(run["load_after"][0] for run in runs),
        "runs": len(runs),
        "valid": sum(run["valid"] for run in runs),
        "attempts": sum(run["attempts"] for run in runs),
        "late_p50_ms": _worst(relays, "late_p50_ns"),
        "late_p99_ms": _worst(relays, "late_p99_ns"),
        "late_p999_ms": _worst(relays, "late_p999_ns"),
        "timers_late_p99_ms": _worst([client["late_ns"] for client in said_by], "p99_ns"),
        "timers_late_max_ms": _worst([client["late_ns"] for client in said_by], "max_ns"),
        "relay_cpu_share": round(max((relay["cpu_share"] for relay in relays), default=0.0), 4),
    }


def _worst(relays: Sequence[dict[str, Any]], key: str) -> float:
    return round(max((relay.get(key, 0) for relay in relays), default=0) / NS_PER_MS, 3)


def _policy(verdict: PolicyVerdict) -> dict[str, Any]:
    ours, theirs, both = verdict.frames
    return {
        "policy": verdict.policy,
        "holds": verdict.holds,
        "frames": {"simulated": ours, "emulated": theirs, "compared_one_by_one": both},
        "bounds": _bounds(verdict),
        "stages_ms": {stage.name: _stage(stage) for stage in verdict.stages},
        "energy_j": {name: _pair(pair) for name, pair in verdict.energy_j.items()},
        "fates": {name: _pair(pair) for name, pair in verdict.fates.items()},
    }


def _bounds(verdict: PolicyVerdict) -> list[dict[str, Any]]:
    return [
        {**asdict(bound), "value_percent": _short(value), "holds": holds}
        for bound, value, holds in verdict.bounds
    ]


def _as_taken(verdict: PolicyVerdict) -> dict[str, Any]:
    return {"bounds": _bounds(verdict), "total_percent": _totals(verdict)}


def _totals(verdict: PolicyVerdict) -> dict[str, float | None]:
    """Return the errors of the quantiles end to end."""
    total = next(stage for stage in verdict.stages if stage.name == "total")
    return {name: _short(error) for name, error in total.error_percent.items()}


def _stage(stage: Stage) -> dict[str, Any]:
    data = asdict(stage)
    del data["name"]
    rounded: dict[str, Any] = _rounded(data)
    return rounded


def _pair(pair: Pair) -> dict[str, Any]:
    rounded: dict[str, Any] = _rounded({**asdict(pair), "error_percent": pair.error_percent})
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return _short(value) if isinstance(value, float) else value


def _short(value: float | None) -> float | None:
    """Return a value to a nanosecond, a microjoule, a millionth of a percent."""
    return None if value is None else round(value, 6)
