"""Which policy to use when: every policy on many traces of five technologies and three devices.

    python analysis/policy_study.py                     # worlds, tables, figures, docs/study.md
    python analysis/policy_study.py --only-write        # tables, figures and text once more
    python analysis/policy_study.py --measured FOLDER   # traces of your own as well
    python analysis/policy_study.py --halves recording --recording FOLDER
    python analysis/policy_study.py --traces 1 --devices raspberry-pi-5 --seconds 10 --docs OUT

A world is a trace and a device, once with the published table of EfficientDet-D2 and once with a
recording (`policy_worlds.py`). In each, all policies and every sensible point of the ladder for
ever are run under common random numbers, and the clairvoyant optimum is found. A trace is one
observation; policies are compared with the static point that is best in that very world, known in
hindsight. Worlds that are complete are not run again, so that the script goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import policy_tables as tables
import pyarrow as pa
from policy_figures import draw
from policy_worlds import TECHNOLOGIES, World, halves, worlds

from testbed.cli.terminal import progress_bar
from testbed.detectors import recording
from testbed.metrics import per_seed
from testbed.metrics.delivered import delivered
from testbed.metrics.precision import average_precision
from testbed.metrics.utility import total
from testbed.model import NS_PER_S, Rung
from testbed.optimum import clairvoyant_mpc, gain_by_knob, myopic, problem_of, solve
from testbed.optimum.headroom import with_plan
from testbed.scenario import Scenario
from testbed.scoring import Judge
from testbed.simulate import simulate
from testbed.workers import pool

ROOT = Path(__file__).resolve().parents[1]
WORLD = ("device", "technology", "trace")
"""Columns that name a world."""

DISSECTED = ("raspberry-pi-5", "mpc")
"""A device, and a policy whose gain is taken apart by knob there."""


_WHOLE = {pa.int64(): pd.Int64Dtype()}.get  # instants stay whole, and what never was is absent


def play(world: World, folder: Path) -> list[dict[str, Any]]:
    """Run a world unless it is there, and return a row for each policy."""
    scenario = world.scenario()
    name = f"{world.device}-{world.trace.replace('/', '-')}-{scenario.digest}.json"
    kept = folder / name
    if not kept.exists():
        text = json.dumps(_played(world, scenario))
        part = kept.with_suffix(".part")  # whoever interrupts leaves no half of a world
        part.write_text(text, encoding="utf-8")
        part.replace(kept)
    rows: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return rows


def _played(world: World, scenario: Scenario) -> list[dict[str, Any]]:
    utility, deadline_ns = scenario.spec.utility.weights, scenario.spec.deadline_ns
    client = scenario.clients[0]
    ladder = client.ladder
    half = tables.HALVES[world.half.name]
    period_ns = round(NS_PER_S / client.spec.source.fps)
    mean = {} if world.half.forecasts else {_key(rung): rung.accuracy for rung in ladder}

    def run(of: Scenario, policy: str) -> dict[str, float]:
        rows = simulate(of, policy, world.seed)
        frames, energy = rows.frames.to_pandas(types_mapper=_WHOLE), rows.energy.to_pandas()
        found = per_seed(
            frames,
            energy,
            deadline_ns=deadline_ns,
            duration_ns=scenario.spec.duration_ns,
            accuracy={client.spec.name: mean} if mean else {},
        )[policy][world.seed]
        found["utility"] = total(frames, ladder, utility, deadline_ns) / len(frames)
        if isinstance(client.detector, recording.Recording):
            found |= _seen(_judge(client.detector.folder), frames, deadline_ns, period_ns)
        return found

    figures = {policy: run(scenario, policy) for policy in scenario.spec.policies}
    problem = problem_of(scenario, world.seed)
    best = solve(problem)
    static = max(
        (policy for policy in figures if policy.startswith("fixed-")),
        key=lambda policy: figures[policy]["utility"],
    )
    plans = {
        "myopic": myopic(problem).places,
        "clairvoyant-mpc": clairvoyant_mpc(problem, bins=world.half.sighted_bins).places,
        "optimum": best.places,
    }
    reached = {
        plan: run(with_plan(scenario, places), "planned")["utility"]
        for plan, places in plans.items()
    }
    reached["optimum"] = max(reached["optimum"], figures[static]["utility"])
    reached |= {"static_value": figures[static]["utility"], "upper": best.upper / problem.frames}
    dissected = world.device == DISSECTED[0] and world.place < world.half.dissected
    parts = gain_by_knob(scenario, world.seed, DISSECTED[1:]) if dissected else {}
    out = []
    for policy, found in figures.items():
        row: dict[str, Any] = {
            "device": world.device,
            "technology": world.technology,
            "trace": world.trace,
            "policy": policy,
        }
        row |= {metric: _short(found[metric]) for metric in half.metrics}
        row |= {reference: _short(reached[reference]) for reference in tables.REFERENCES}
        row["static"] = static
        shares = parts[policy].shares if policy in parts else {}
        row |= {f"knob_{k}": _short(shares[k]) if shares else "" for k in half.knobs}
        out.append(row)
    return out


def _key(rung: Rung) -> tuple[Any, ...]:
    point = rung.point
    return point.width, point.bits, point.mode.value


@cache
def _judge(folder: Path) -> Judge:
    """Return what remembers the matches of a recording, one for each process."""
    return Judge(recording.load(folder))


def _seen(judge: Judge, frames: Any, deadline_ns: int, period_ns: int) -> dict[str, float]:
    """Return what the boxes shown were worth: as they came, in time, and moved to their instant."""
    watched = judge.watched(frames.sort_values("frame"))

    def shown(**options: Any) -> Any:
        return delivered(
            judge.evaluator, watched, deadline_ns=deadline_ns, threshold=judge.threshold, **options
        )

    as_it_came = shown()
    moved = shown(redraw=judge.redraw(period_ns))
    return {
        "streaming_map": average_precision(as_it_came.streaming)["map"],
        "on_time_map": average_precision(as_it_came.on_time)["map"],
        "forecast_map": average_precision(moved.streaming)["map"],
    }


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
    folder.mkdir(parents=True, exist_ok=True)
    with progress_bar("worlds") as progress, pool(workers) as processes:
        futures = [processes.submit(play, world, folder) for world in found]
        for done, future in enumerate(futures, start=1):
            yield from future.result()
            progress(done, len(futures))


def write(half: tables.Half, page: str, data: Path) -> str:
    """Write the figures and the leaderboard of a half from its tables; return the page with it."""
    rows = joined(read_table(data / "worlds.csv"), read_table(data / "references.csv"))
    draw(rows, data, half)
    board = tables.leaderboard(rows, half)
    (data / "leaderboard.csv").write_text(table_of(board), encoding="utf-8")
    return tables.filled(page, rows, board, half)


def folder_of(half: str, docs: Path) -> Path:
    """Return where the tables and figures of a half go."""
    return docs / "study" if half == "table" else docs / "study" / half


def main() -> None:
    """Run what has not been run, and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/study"), help="worlds that are done"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where study.md goes")
    parser.add_argument("--halves", nargs="+", default=list(tables.HALVES))
    parser.add_argument("--recording", help="name or folder; without it the first that ships")
    parser.add_argument("--traces", type=int, default=6, help="traces per technology")
    parser.add_argument("--technologies", nargs="+", default=list(TECHNOLOGIES))
    parser.add_argument("--devices", nargs="+", help="without it those of each half")
    parser.add_argument("--seconds", type=float, help="length of a run")
    parser.add_argument("--measured", type=Path, help="folder with traces of your own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only-write", action="store_true", help="from the tables as they are")
    args = parser.parse_args()
    for half in [] if args.only_write else halves(args.halves, args.recording, args.runs):
        found = worlds(
            half,
            args.runs / "traces",
            count=args.traces,
            technologies=args.technologies,
            devices=args.devices,
            seconds=args.seconds,
            measured=args.measured,
        )
        rows = list(all_rows(found, args.runs / half.name, args.workers))
        keys = [key for key in rows[0] if key not in tables.OF_A_WORLD]
        data = folder_of(half.name, args.docs)
        data.mkdir(parents=True, exist_ok=True)
        (data / "worlds.csv").write_text(table_of(rows, keys), encoding="utf-8")
        firsts = [next(iter(world.values())) for world in tables.by_world(rows).values()]
        text = table_of(firsts, [*WORLD, *tables.OF_A_WORLD])
        (data / "references.csv").write_text(text, encoding="utf-8")
    path = args.docs / "study.md"
    page = path.read_text(encoding="utf-8") if path.exists() else tables.BARE_PAGE
    for name, half in tables.HALVES.items():
        data = folder_of(name, args.docs)
        if name in args.halves and (data / "worlds.csv").exists():
            page = write(half, page, data)
            digest = hashlib.sha256((data / "worlds.csv").read_bytes()).hexdigest()[:12]
            print(f"{data / 'worlds.csv'}: sha256 {digest}…")
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
