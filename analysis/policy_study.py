"""Which policy to use when: every policy on many traces of five technologies and three devices.

    python analysis/policy_study.py                     # worlds, tables, figures, docs/study.md
    python analysis/policy_study.py --only-write        # tables, figures and text once more
    python analysis/policy_study.py --measured FOLDER   # traces of your own as well
    python analysis/policy_study.py --traces 1 --devices raspberry-pi-5 --seconds 10 --docs OUT

A world is a trace and a device. In each, all policies and every point of the ladder for ever are
run under common random numbers, and the clairvoyant optimum is found. A trace is one observation;
policies are compared with the static point that is best in that very world, known in hindsight.
Worlds that are complete are not run again, so that the script goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import policy_tables as tables
from policy_figures import draw

from testbed.cli.terminal import progress_bar
from testbed.errors import TestbedError
from testbed.metrics import per_seed
from testbed.metrics.utility import total
from testbed.model import Rung
from testbed.optimum import clairvoyant_mpc, gain_by_knob, myopic, problem_of, solve
from testbed.optimum.headroom import with_plan
from testbed.scenario import Scenario, load_text
from testbed.simulate import simulate
from testbed.traces import read
from testbed.traces.synthesise import synthesise
from testbed.traces.write import mahimahi, rate_csv
from testbed.workers import pool

ROOT = Path(__file__).resolve().parents[1]
DEVICES = ("raspberry-pi-4", "raspberry-pi-5", "phone-npu-sd8elite")
SEED = 1

# Shipped traces, technologies to synthesise more from, and how the radio of each is called.
TECHNOLOGIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "3g": (("3g/drive-a.up",), ("3g-driving-up",), "umts-2012"),
    "lte": (("lte/drive-a.up", "lte/static-a.up"), ("lte-driving-up", "lte-static-up"), "lte-2021"),
    "5g": (
        ("5g/sa-walk-a.csv", "5g/nsa-walk-a.csv"),
        ("5g-sa-walking-up", "5g-nsa-walking-up"),
        "nr-sa-low-2021",
    ),
    "mmwave": (
        ("mmwave/walk-a.csv", "mmwave/drive-a.csv"),
        ("mmwave-walking-down", "mmwave-driving-down"),
        "nr-nsa-mmwave-2021",
    ),
    "wifi": (
        ("wifi/static-a.csv", "wifi/walk-a.up"),
        ("wifi-static-up", "wifi-walking-up"),
        "wifi-modern",
    ),
}
FIRST_SEED = 101  # of the synthetic traces; the shipped ones have 1 and 2

KINDS = (
    "goodput festive bba bola drift-plus-penalty mpc robust-mpc stochastic-mpc awstream "
    "neurosurgeon spinn lfp linucb thompson late-drop oboe random"
).split()
POLICIES: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in KINDS},
    "one-at-a-time": {"kind": "frame-filter", "every": 1, "outstanding": 1},
    "careful-mpc": {
        "kind": "mpc",
        "estimator": {"kind": "conformal", "miss": 0.1, "of": {"kind": "kalman"}},
    },
}
WORLD = ("device", "technology", "trace")
"""Columns that name a world."""

DISSECTED = ("raspberry-pi-5", "mpc")
"""A device, and a policy whose gain is taken apart by knob there."""


@dataclass(frozen=True)
class World:
    """A trace and a device.

    Args:
        technology: Of the trace.
        trace: Its name; of the catalogue, or what it was synthesised from and with which seed.
        path: What the scenario names.
        radio: A name in the catalogue.
        device: A name in the catalogue.
        seconds: How long a run is.
    """

    technology: str
    trace: str
    path: str
    radio: str
    device: str
    seconds: float

    def scenario(self) -> Scenario:
        """Return the world with all policies and all static points in it."""
        widths = (0.167, 0.25, 0.33, 0.416, 0.5, 0.58, 0.66, 0.75, 0.83, 0.916, 1)
        static = {f"fixed-{width:g}": {"kind": "fixed", "width": width} for width in widths}
        static |= {f"fixed-{mode}": {"kind": "fixed", "mode": mode} for mode in ("local", "skip")}
        uplink = {"kind": "replay", "trace": self.path, "start_s": "random", "delay_ms": 25}
        data = {
            "schema": 1,
            "name": "study",
            "seeds": [SEED],
            "duration_s": self.seconds,
            "deadline_ms": 500,
            "server": {"profile": "t4-eager-amp"},
            "network": {
                "uplink": uplink,
                "downlink": {"kind": "constant", "mbps": 20, "delay_ms": 25},
            },
            "clients": [
                {
                    "name": "camera",
                    "device": self.device,
                    "radio": self.radio,
                    "detector": "published/efficientdet-d2-bw",
                    "source": {"fps": 4},
                    "ladder": {"widths": "all", "modes": ["split", "local", "skip"]},
                }
            ],
            "policies": static | POLICIES,
        }
        return load_text(json.dumps(data))


def worlds(
    folder: Path,
    count: int,
    technologies: Sequence[str],
    devices: Sequence[str],
    seconds: float,
    measured: Path | None,
) -> list[World]:
    """Return all worlds; synthetic traces are written into a folder on the way."""
    found: list[tuple[str, str, str, str]] = []
    for technology in technologies:
        shipped, kinds, radio = TECHNOLOGIES[technology]
        names = [(name, name) for name in shipped[:count]]
        for i in range(count - len(names)):
            kind, seed = kinds[i % len(kinds)], FIRST_SEED + i // len(kinds)
            names.append((f"{kind}-{seed}", _synthetic(folder, kind, seed)))
        found += [(technology, name, path, radio) for name, path in names]
    if measured is not None:
        for path in sorted(p for p in measured.rglob("*") if p.is_file()):
            try:
                technology = read(path).technology or "measured"
            except TestbedError:
                continue
            radio = TECHNOLOGIES.get(technology, TECHNOLOGIES["lte"])[2]
            found.append((technology, path.relative_to(measured).as_posix(), str(path), radio))
    return [World(*trace, device, seconds) for device in devices for trace in found]


def _synthetic(folder: Path, technology: str, seed: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    trace = synthesise(technology, 120, seed)
    rates = trace.rates_bps is not None
    path = folder / f"{technology}-{seed}{'.csv' if rates else '.up'}"
    text = rate_csv(trace) if rates else mahimahi(trace)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return str(path.resolve())


def play(world: World, folder: Path) -> list[dict[str, Any]]:
    """Run a world unless it is there, and return a row for each policy."""
    scenario = world.scenario()
    name = f"{world.device}-{world.trace.replace('/', '-')}-{scenario.digest}.json"
    kept = folder / name
    if not kept.exists():
        kept.write_text(json.dumps(_played(world, scenario)), encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return rows


def _played(world: World, scenario: Scenario) -> list[dict[str, Any]]:
    utility, deadline_ns = scenario.spec.utility.weights, scenario.spec.deadline_ns
    client = scenario.clients[0]
    ladder = client.ladder

    def run(of: Scenario, policy: str) -> dict[str, float]:
        rows = simulate(of, policy, SEED)
        frames, energy = rows.frames.to_pandas(), rows.energy.to_pandas()
        found = per_seed(
            frames,
            energy,
            deadline_ns=deadline_ns,
            duration_ns=scenario.spec.duration_ns,
            accuracy={client.spec.name: {_key(rung): rung.accuracy for rung in ladder}},
        )[policy][SEED]
        found["utility"] = total(frames, ladder, utility, deadline_ns) / len(frames)
        return found

    figures = {policy: run(scenario, policy) for policy in scenario.spec.policies}
    problem = problem_of(scenario, SEED)
    best = solve(problem)
    static = max(
        (policy for policy in figures if policy.startswith("fixed-")),
        key=lambda policy: figures[policy]["utility"],
    )
    plans = {
        "myopic": myopic(problem).places,
        "clairvoyant-mpc": clairvoyant_mpc(problem).places,
        "optimum": best.places,
    }
    reached = {
        plan: run(with_plan(scenario, places), "planned")["utility"]
        for plan, places in plans.items()
    }
    reached["optimum"] = max(reached["optimum"], figures[static]["utility"])
    reached |= {"static_value": figures[static]["utility"], "upper": best.upper / problem.frames}
    dissected = world.device == DISSECTED[0]
    parts = gain_by_knob(scenario, SEED, DISSECTED[1:]) if dissected else {}
    out = []
    for policy, found in figures.items():
        row: dict[str, Any] = {
            "device": world.device,
            "technology": world.technology,
            "trace": world.trace,
            "policy": policy,
        }
        row |= {metric: _short(found[metric]) for metric in tables.METRICS}
        row |= {reference: _short(reached[reference]) for reference in tables.REFERENCES}
        row["static"] = static
        shares = parts[policy].shares if policy in parts else {}
        row |= {f"knob_{k}": _short(shares[k]) if shares else "" for k in tables.KNOBS}
        out.append(row)
    return out


def _key(rung: Rung) -> tuple[Any, ...]:
    point = rung.point
    return point.width, point.bits, point.mode.value


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Return rows as CSV, all their columns or some."""
    text = io.StringIO()
    names = list(columns or rows[0])
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV, numbers as numbers."""

    def parsed(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    with path.open(encoding="utf-8", newline="") as file:
        return [{key: parsed(text) for key, text in row.items()} for row in csv.DictReader(file)]


def joined(
    rows: Sequence[dict[str, Any]], references: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of policies with the columns of their world."""
    of = {tuple(reference[key] for key in WORLD): reference for reference in references}
    return [{**of[tuple(row[key] for key in WORLD)], **row} for row in rows]


def all_rows(found: Sequence[World], folder: Path, workers: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of all worlds, in their order, however many processes work."""
    with progress_bar("worlds") as progress, pool(workers) as processes:
        futures = [processes.submit(play, world, folder) for world in found]
        for done, future in enumerate(futures, start=1):
            yield from future.result()
            progress(done, len(futures))


def main() -> None:
    """Run what has not been run, and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/study"), help="worlds that are done"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where study.md goes")
    parser.add_argument("--traces", type=int, default=6, help="traces per technology")
    parser.add_argument("--technologies", nargs="+", default=list(TECHNOLOGIES))
    parser.add_argument("--devices", nargs="+", default=list(DEVICES))
    parser.add_argument("--seconds", type=float, default=50, help="length of a run")
    parser.add_argument("--measured", type=Path, help="folder with traces of your own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only-write", action="store_true", help="from the table as it is")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    data = args.docs / "study"
    data.mkdir(parents=True, exist_ok=True)
    table, references = data / "worlds.csv", data / "references.csv"
    if not args.only_write:
        found = worlds(
            args.runs / "traces",
            args.traces,
            args.technologies,
            args.devices,
            args.seconds,
            args.measured,
        )
        rows = list(all_rows(found, args.runs, args.workers))
        keys = [key for key in rows[0] if key not in tables.OF_A_WORLD]
        table.write_text(table_of(rows, keys), encoding="utf-8")
        firsts = [next(iter(world.values())) for world in tables.by_world(rows).values()]
        references.write_text(table_of(firsts, [*WORLD, *tables.OF_A_WORLD]), encoding="utf-8")
    rows = joined(read_table(table), read_table(references))
    draw(rows, data)
    board = tables.leaderboard(rows)
    (data / "leaderboard.csv").write_text(table_of(board), encoding="utf-8")
    page = args.docs / "study.md"
    text = page.read_text(encoding="utf-8") if page.exists() else tables.BARE_PAGE
    page.write_text(tables.filled(text, rows, board), encoding="utf-8")
    digest = hashlib.sha256(table.read_bytes()).hexdigest()[:12]
    print(f"{len(rows)} rows, sha256 {digest}…: {table}, {page}")


if __name__ == "__main__":
    main()
