"""One scenario in, one run folder out, whichever engine runs it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import testbed
from testbed import compare, on_demand, records, report, scoring
from testbed.clients.gather import client_names
from testbed.detectors.published import DetectorTable
from testbed.detectors.recording import Recording
from testbed.model import NS_PER_MS, NS_PER_S, Ladder, Rung
from testbed.records import RunRows
from testbed.scenario import Scenario, dump, figures
from testbed.simulate import simulate
from testbed.simulate.run import PLOT_BIN_NS, offered_mbps
from testbed.workers import pool

if TYPE_CHECKING:
    from testbed.emulate.engine import Options

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is: (policy, seed) pairs, or seconds."""

INVALID = "invalid.parquet"
"""Frames of emulated runs that may not be believed; nothing is computed from them."""


def run(
    scenario: Scenario,
    out: Path = Path("runs"),
    *,
    workers: int = 1,
    emulation: Options | None = None,
    progress: Progress = lambda done, total: None,
    questions: Collection[str] = (),
) -> Path:
    """Run every policy of a scenario on every seed and return the complete run folder.

    Args:
        scenario: What to run.
        out: Where run folders go; this one is `<out>/<name>-<digest>`, and with `-emulated` behind
            it if it is.
        workers: Processes to spread (policy, seed) pairs over; the result is the same for any.
        emulation: How to emulate it, in real time and one pair after the other; None simulates.
        progress: Told now and then.
        questions: What else to find out, of `testbed.on_demand.QUESTIONS`; takes many more runs.

    Raises:
        EnvironmentLacks: The folder cannot be written, or this machine cannot emulate.
        TestbedError: A question has no answer for this scenario.
    """
    on_demand.refuse(scenario, questions)
    _refuse(scenario, emulation)
    folder = folder_of(scenario, out, emulated=emulation is not None)
    with records.writing(folder) as put:
        _fill(put, folder, scenario, workers, emulation, progress, questions)
        for name, text in report.render(records.read_back(folder)).items():
            put(name, text)
    return folder


def write(
    scenario: Scenario,
    folder: Path,
    *,
    workers: int = 1,
    emulation: Options | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write the run folder of a scenario, all but its report. As `run`, into that very folder."""
    _refuse(scenario, emulation)
    with records.writing(folder) as put:
        _fill(put, folder, scenario, workers, emulation, progress)


def _refuse(scenario: Scenario, emulation: Options | None) -> None:
    """Raise a `TestbedError` before anything is written, if the scenario cannot be emulated."""
    if emulation is not None:
        from testbed.emulate.run import refuse_inimitable

        refuse_inimitable(scenario, emulation)


def _fill(
    put: records.Put,
    folder: Path,
    scenario: Scenario,
    workers: int,
    emulation: Options | None,
    progress: Progress,
    questions: Collection[str] = (),
) -> None:
    about: dict[str, Any] = {"engine": "simulate"}
    warnings: list[str] = []
    if emulation is None:
        rows = _simulate_all(scenario, workers, progress)
    else:
        from testbed.emulate.run import emulate_all

        emulated = emulate_all(scenario, emulation, progress)
        rows, about, warnings = emulated.rows, emulated.provenance(), list(emulated.warnings())
        if emulated.invalid:
            put(INVALID, records.tables(emulated.invalid)[0])
    frames, energy = records.tables(rows)
    put("frames.parquet", frames)
    put("energy.parquet", energy)
    put("scenario.yaml", dump(scenario))
    put("provenance.json", _json(_provenance(scenario, rows, about, warnings)))
    for name, content in scoring.score(scenario, folder).items():
        put(name, content)
    summary = compare.summary(records.read_back(folder))
    put("summary.json", _json(summary | on_demand.answers(scenario, questions)))


def folder_of(scenario: Scenario, out: Path, *, emulated: bool = False) -> Path:
    """Return the run folder of a scenario, named by its content."""
    return out / f"{scenario.spec.name}-{scenario.digest}{'-emulated' if emulated else ''}"


def _simulate_all(scenario: Scenario, workers: int, progress: Progress) -> list[RunRows]:
    jobs = [(policy, seed) for policy in scenario.spec.policies for seed in scenario.spec.seeds]
    rows = []
    progress(0, len(jobs))
    if workers == 1:
        for policy, seed in jobs:
            rows.append(simulate(scenario, policy, seed))
            progress(len(rows), len(jobs))
        return rows
    with pool(workers) as processes:
        for future in [processes.submit(simulate, scenario, *job) for job in jobs]:
            rows.append(future.result())
            progress(len(rows), len(jobs))
    return rows


def _provenance(
    scenario: Scenario, rows: Sequence[RunRows], about: dict[str, Any], warnings: Sequence[str]
) -> dict[str, Any]:
    """Return where every figure of a run comes from."""
    spec = scenario.spec
    names = list(client_names(scenario))
    capacity: dict[str, Any] = {}
    for seed in spec.seeds:
        for link, mbps in offered_mbps(scenario, seed).items():
            entry = capacity.setdefault(link, {"bin_s": PLOT_BIN_NS / NS_PER_S, "seed": {}})
            entry["seed"][str(seed)] = [round(value, 4) for value in mbps]
    return {
        "schema": records.SCHEMA,
        **about,
        "digest": scenario.digest,
        "seeds": list(spec.seeds),
        "files": dict(sorted(scenario.files.items())),
        "versions": {
            "split-testbed": testbed.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "pandas", "pyarrow", "scipy", "simpy")},
        },
        "figures": [
            {
                "profile": entry.profile,
                "key": entry.key,
                "value": entry.figure.value,
                "kind": entry.figure.kind,
                "source": entry.figure.source,
                "used": entry.used,
            }
            for entry in figures.entries(scenario)
        ],
        "recordings": [
            _recording(detector)
            for detector in {c.detector.name: c.detector for c in scenario.clients}.values()
            if isinstance(detector, Recording)
        ],
        "ladders": {
            name: [
                {
                    "width": rung.point.width,
                    "bits": rung.point.bits,
                    "codec": rung.point.codec,
                    "mode": rung.point.mode.value,
                    "accuracy": rung.accuracy,
                    "payload_bytes": rung.payload_bytes,
                    "encode_ms": rung.encode_ns / NS_PER_MS,
                    "encode_j": rung.encode_j,
                    "decode_ms": rung.decode_ns / NS_PER_MS,
                    "dominated_by": _dominator(scenario.clients[group].ladder, rung),
                }
                for rung in scenario.clients[group].ladder
            ]
            for name, group in names
        },
        "jpeg95_bytes": {
            name: table.jpeg95_bytes
            for name, group in names
            if isinstance(table := scenario.clients[group].detector, DetectorTable)
            and table.jpeg95_bytes is not None
        },
        "capacity_mbps": capacity,
        "warnings": [*warnings, *scenario.warnings, *_radio_warnings(rows)],
    }


def _recording(recording: Recording) -> dict[str, Any]:
    """Return where the bytes and the boxes of a run come from."""
    return {
        "name": recording.name,
        "kind": "measured",
        "id": recording.id,
        "sha256": recording.sha256,
        "network": recording.network,
        "teacher": recording.teacher,
        "weights": recording.weights,
        "dataset": recording.dataset,
        "dataset_sha256": recording.dataset_sha256,
        "frames": recording.frames,
        "settings": recording.settings,
    }


def _radio_warnings(rows: Sequence[RunRows]) -> Iterator[str]:
    """Yield a sentence for each radio of which the runs asked more than its figures say."""
    for radio in dict.fromkeys(name for run in rows for name in run.radios):
        counts = [run.radios[radio] for run in rows if radio in run.radios]
        transfers, beyond, unannounced = map(sum, zip(*counts, strict=True))
        if beyond:
            share = f"{100 * beyond / transfers:.1f} %"
            yield (
                f"radio {radio}: {beyond} of {transfers} transfers ({share}) "
                "were at a rate outside the range its power was fitted on; it is cut off at the cap"
            )
        if unannounced:
            yield (
                f"radio {radio}: {unannounced} of {transfers} transfers began while the radio "
                "slept, without the delay and the energy of waking up"
            )


def _dominator(ladder: Ladder, rung: Rung) -> str | None:
    better = ladder.dominator(rung)
    return None if better is None else str(better.point)


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
