"""Where the numbers of a run come from, as rows of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from testbed.model import NS_PER_MS

if TYPE_CHECKING:
    from testbed.records import Run

_ORDER = ("assumed", "published", "measured")  # what a sceptic wants to see first


def repeat_with(run: Run) -> str:
    """Return how to get the same bytes again."""
    version = run.provenance.get("versions", {}).get("split-testbed", "")
    if "emulation" in run.provenance:
        return (
            f"To repeat this run, install split-testbed {version} and give the scenario.yaml of "
            "this folder to the command “testbed run --emulate”. It took place in real time, so a "
            "repetition differs by what the machine was doing beside it."
        )
    return (
        f"To repeat this run, install split-testbed {version} and give the scenario.yaml of "
        "this folder to the command “testbed run”. The same scenario, files and versions give the "
        "same bytes on any machine."
    )


def stamp_rows(run: Run) -> Iterator[tuple[str, str]]:
    """Yield name and value of everything that identifies the run."""
    stamps = run.provenance
    if "engine" in stamps:
        yield "engine", str(stamps["engine"])
    yield from _emulation(stamps.get("emulation", {}).get("runs", []))
    if "digest" in stamps:
        yield "digest of the scenario", str(stamps["digest"])
    yield "seeds", ", ".join(map(str, run.scenario["seeds"]))
    yield from ((f"sha256 of {name}", str(sha)) for name, sha in stamps.get("files", {}).items())
    yield from ((f"version of {name}", str(v)) for name, v in stamps.get("versions", {}).items())


def _emulation(runs: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what is to be known of the runs of the emulator."""
    if not runs:
        return
    valid = sum(run["valid"] for run in runs)
    yield "valid runs", f"{valid} of {len(runs)}"
    yield "kernel", ", ".join(sorted({str(run["kernel"]) for run in runs}))
    said = [client for run in runs for client in run["clients"].values()]
    controls = sorted({str(client.get("congestion_control", "")) for client in said})
    yield "congestion control", ", ".join(controls)
    relays = [run["relay"] for run in runs if run["relay"]]
    if relays:
        yield "backend", ", ".join(sorted({relay["backend"] for relay in relays}))
        priority = all(relay["realtime"] for relay in relays)
        yield "priority of the relay", "real-time" if priority else "ordinary"
        late_ms = max(relay["late_p99_ns"] for relay in relays) / NS_PER_MS
        yield "lateness of the relay", f"99 % of the packets within {late_ms:.2f} ms in every run"
    loads = [run["load_after"][0] for run in runs]
    yield "load of the machine", f"{min(loads):g} to {max(loads):g} on {runs[0]['cores']} cores"


def figure_rows(run: Run) -> list[tuple[str, str, str, str, str]]:
    """Return profile, figure, value, kind and source of every figure used, assumed ones first."""
    rows = [
        (
            str(figure["profile"]),
            str(figure["key"]),
            _value(figure["value"]),
            str(figure["kind"]),
            str(figure["source"]),
        )
        for figure in figures_used(run)
    ]
    return sorted(rows, key=lambda row: _ORDER.index(row[3]) if row[3] in _ORDER else -1)


def figures_used(run: Run) -> list[dict[str, Any]]:
    """Return what the provenance says of every figure that the run depends on."""
    return [figure for figure in run.provenance.get("figures", []) if figure.get("used", True)]


def figure_count(run: Run) -> str:
    """Return how many figures of each kind a run used."""
    kinds = [str(figure["kind"]) for figure in figures_used(run)]
    known = [f"{kinds.count(kind)} {kind}" for kind in _ORDER if kind in kinds]
    return f"The {len(kinds)} figures of the profiles that the run used: {', '.join(known)}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
