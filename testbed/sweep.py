"""A grid of scenarios: one base scenario, some of its keys over several values each.

Every point of the grid is a run folder of its own, named by its content. A point whose folder is
complete is not run again, so a sweep that was interrupted goes on where it stopped, and one that
is extended runs only what is new.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import catalog, records
from testbed.errors import InputErrors, Problem, RunError, did_you_mean
from testbed.metrics import METRICS
from testbed.run import folder_of, run
from testbed.scenario import Scenario, load
from testbed.scenario import source as yaml_source
from testbed.workers import pool

KEYS = {"schema", "scenario", "grid"}


@dataclass(frozen=True)
class Point:
    """One point of the grid.

    Args:
        values: From key to value, in the order of the file.
        scenario: The base scenario with these values.
    """

    values: dict[str, Any]
    scenario: Scenario


def load_sweep(name: str) -> list[Point]:
    """Return every point of a sweep, in the order of the grid, the last key running fastest.

    `name` is a file, or a sweep that ships. It names a scenario (a file beside it, or one that
    ships) and a grid from key paths, as for `--set`, to lists of values.

    Raises:
        InputErrors: Something is wrong with the file or with a point of it; all of it at once.
    """
    path = catalog.find("scenarios/sweeps", name)
    source = yaml_source.parse(yaml_source.read(path), str(path), path.parent)
    data = source.data
    problems = list(_wrong(data, str(path)))
    if problems:
        raise InputErrors(problems)
    beside = path.parent / data["scenario"]
    base = str(beside) if beside.is_file() else data["scenario"]
    points = []
    for values in itertools.product(*data["grid"].values()):
        chosen = dict(zip(data["grid"], values, strict=True))
        overrides = [f"{key}={json.dumps(value)}" for key, value in chosen.items()]
        try:
            points.append(Point(chosen, load(base, overrides)))
        except InputErrors as error:
            problems += error.problems
    if problems:
        raise InputErrors(dict.fromkeys(problems))
    return points


def _wrong(data: Any, file: str) -> Iterator[Problem]:
    if not isinstance(data, dict):
        yield Problem(file, None, "", "must be a mapping with the keys scenario and grid")
        return
    for key in data.keys() - KEYS:
        yield Problem(file, None, str(key), f"no such key in a sweep{did_you_mean(key, KEYS)}")
    if data.get("schema") != 1:
        yield Problem(file, None, "schema", "must be 1")
    if not isinstance(data.get("scenario"), str):
        yield Problem(file, None, "scenario", "required: a scenario file or the name of one")
    grid = data.get("grid")
    if not isinstance(grid, dict) or not grid:
        yield Problem(file, None, "grid", "required: key paths, each with a list of values")
        return
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            yield Problem(file, None, f"grid.{key}", "must be a list of at least one value")


def run_sweep(
    points: Sequence[Point],
    out: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Run what has not been run yet; return the run folders in the order of the points.

    Args:
        points: From `load_sweep`.
        out: Where run folders go.
        workers: Processes to spread points over; the result is the same for any number.
        progress: Told how many points are done, those found complete included.
    """
    todo = {folder_of(point.scenario, out): point for point in points}
    total = len(todo)
    for folder in [folder for folder in todo if _complete(folder)]:
        del todo[folder]
    progress(total - len(todo), total)
    if workers == 1:
        for done, point in enumerate(todo.values(), start=total - len(todo) + 1):
            run(point.scenario, out)
            progress(done, total)
    else:
        with pool(workers) as processes:
            pending = {processes.submit(run, point.scenario, out) for point in todo.values()}
            while pending:
                done_now, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done_now:
                    future.result()
                progress(total - len(pending), total)
    return [folder_of(point.scenario, out) for point in points]


def _complete(folder: Path) -> bool:
    try:
        records.check(folder)
    except RunError:
        return False
    return (folder / "report.html").is_file()


def table(points: Sequence[Point], folders: Sequence[Path]) -> str:
    """Return a sweep as CSV: one row per point and policy, every metric with its interval."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    keys = list(points[0].values)
    figures = [f"{name}{suffix}" for name in METRICS for suffix in ("", "_low", "_high")]
    rows.writerow([*keys, "policy", *figures, "run"])
    for point, folder in zip(points, folders, strict=True):
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        values = [
            json.dumps(v) if isinstance(v, (dict, list)) else v for v in point.values.values()
        ]
        for policy, metrics in summary["policies"].items():
            cells = [metrics[name][part] for name in METRICS for part in ("value", "low", "high")]
            rows.writerow([*values, policy, *cells, folder.name])
    return text.getvalue()
