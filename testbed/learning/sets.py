"""The traces of a training, as files, and the scenario on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed import records
from testbed.environment.environment import SplitDetection
from testbed.environment.worlds import on_traces
from testbed.errors import InputErrors, TestbedError
from testbed.learning.config import Recipe, SyntheticSpec
from testbed.scenario import Scenario
from testbed.traces import write
from testbed.traces.synthesise import synthesise

Sets = dict[str, dict[str, Scenario]]
"""From `train`, `validation` and `test` to trace to the scenario on it."""


def sets_of(recipe: Recipe, folder: Path) -> Sets:
    """Return the scenario on every trace of a recipe; synthetic ones are written to a folder.

    Raises:
        InputErrors: The scenario cannot be used with a trace, or is not one to train on.
        TestbedError: A synthetic trace cannot be made, or the folder not be written.
    """
    config = recipe.config
    found: Sets = {}
    for kind in type(config.traces).model_fields:
        paths = {
            name: path
            for entry in getattr(config.traces, kind)
            for name, path in _files(entry, folder).items()
        }
        scenarios = on_traces(config.scenario, paths.values())
        found[kind] = dict(zip(paths, scenarios, strict=True))
    try:
        SplitDetection([scenario for each in found.values() for scenario in each.values()])
    except TestbedError as error:
        raise InputErrors([recipe.problem(("scenario",), str(error))]) from None
    return found


def _files(entry: SyntheticSpec | str, folder: Path) -> dict[str, str]:
    """Return the files of an entry by name; make those that are synthetic."""
    if isinstance(entry, str):
        return {entry: entry}
    made = {}
    for seed in entry.seeds:
        trace = synthesise(entry.technology, entry.duration_s, seed)
        rates = trace.rates_bps is not None
        ending = "csv" if rates else trace.direction or "up"
        name = f"{entry.technology}-{seed}-{entry.duration_s}s.{ending}"
        path = folder / name
        text = write.rate_csv(trace) if rates else write.mahimahi(trace)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            folder.mkdir(parents=True, exist_ok=True)
            records.write_text(path, text)
        made[name] = str(path.resolve())
    return made


def run_seeds(place: int, runs: int) -> Sequence[int]:
    """Return the seeds of the runs on the trace at a place of its set, the same for everybody."""
    return range(place * runs, (place + 1) * runs)
