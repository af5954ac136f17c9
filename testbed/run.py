"""One scenario in, one run folder out, whichever engine runs it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import testbed
from testbed import compare, metrics, records, report
from testbed.records import RunRows
from testbed.scenario import Scenario, dump
from testbed.simulate import simulate
from testbed.simulate.run import PLOT_BIN_NS

Progress = Callable[[int, int], None]
"""Called with the number of (policy, seed) pairs done and their total."""


def run(
    scenario: Scenario,
    out: Path = Path("runs"),
    *,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Run every policy of a scenario on every seed and return the complete run folder.

    Args:
        scenario: What to run.
        out: Where run folders go; this one is `<out>/<name>-<digest>`.
        workers: Processes to spread (policy, seed) pairs over; the result is the same for any.
        progress: Told after each pair.

    Raises:
        EnvironmentLacks: The folder cannot be written.
    """
    folder = out / f"{scenario.spec.name}-{scenario.digest}"
    with records.writing(folder) as put:
        rows = _simulate_all(scenario, workers, progress)
        frames, energy = records.tables(rows)
        put("frames.parquet", frames)
        put("energy.parquet", energy)
        put("scenario.yaml", dump(scenario))
        put("provenance.json", _json(_provenance(scenario, rows)))
        put("summary.json", _json(_summary(scenario, frames.to_pandas(), energy.to_pandas())))
    report.write(folder)
    return folder


def _simulate_all(scenario: Scenario, workers: int, progress: Progress) -> list[RunRows]:
    jobs = [(policy, seed) for policy in scenario.spec.policies for seed in scenario.spec.seeds]
    rows = []
    progress(0, len(jobs))
    if workers == 1:
        for policy, seed in jobs:
            rows.append(simulate(scenario, policy, seed))
            progress(len(rows), len(jobs))
        return rows
    with ProcessPoolExecutor(workers) as pool:
        pending = [pool.submit(simulate, scenario, *job) for job in jobs]
        try:
            for future in pending:
                rows.append(future.result())
                progress(len(rows), len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rows
