"""What the recorded detections of a run were worth to those who looked at them.

`score` gives two files of the run folder: `accuracy.json`, every figure that needs boxes, and
`detections.parquet`, the boxes shown at each ground-truth instant. A run folder holds them so that
a report can be made without the recording.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed import compare, records
from testbed.clients.gather import client_names
from testbed.detectors.answers import PIXEL_PARTS
from testbed.detectors.recording import Recording
from testbed.metrics import CONFIDENCE, Figures, number, with_boxes
from testbed.metrics.boxes import Found
from testbed.metrics.delivered import Delivered, Watched, delivered, gathered
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.figures import NEVER, age_figures
from testbed.metrics.forecast import forecast
from testbed.metrics.precision import average_precision, pooled
from testbed.metrics.proxy import best_threshold, rank_correlation
from testbed.metrics.resample import draws, resampled_map
from testbed.metrics.shown import NOTHING
from testbed.model import NS_PER_S, Mode
from testbed.streams import stream

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from testbed.records import Run
    from testbed.scenario import Scenario

SCHEMA = 1

Key = tuple[float, int, str, str | None]
"""width, bits, mode, codec of a frame, as `frames.parquet` has them."""


class Judge:
    """What is known of a recording: its boxes at the points in use, and from what score they count.

    Args:
        recording: The detections.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        place: dict[int, int] = {}  # points that differ in their coder alone share their answers
        self.sources: dict[Key, int] = {}
        found: list[Found] = []
        for index, recorded in enumerate(recording.points):
            if recorded.answers not in place:
                place[recorded.answers] = len(found)
                found.append(recording.found(index))
            point = recorded.point
            coded = point.mode in (Mode.SPLIT, Mode.OFFLOAD)
            key = (point.width, point.bits, point.mode.value, point.codec if coded else None)
            self.sources[key] = place[recorded.answers]
        self.best = max(recording.points, key=lambda recorded: recorded.map)
        self._best = place[self.best.answers]
        self.evaluator = Evaluator(recording.truth, found)

    @cached_property
    def threshold(self) -> float:
        """The score from which on a box counts: F1 of the most accurate point is best there.

        The recording says it, the same by which it gives each frame its quality.
        """
        known = self.recording.settings.get("quality_threshold")
        if known is not None:
            return float(known)
        frames = np.arange(self.recording.frames)
        return best_threshold(
            self.evaluator.matches(frames, np.full(len(frames), self._best), frames)
        )

    def watched(self, rows: pd.DataFrame) -> Watched:
        """Return the frames of one client, from its rows of `frames.parquet`."""
        modes = rows["mode"].astype(object)
        decided = rows["mode"].notna().to_numpy()
        source = np.full(len(rows), NOTHING)
        keys = zip(rows["width"], rows["bits"], modes, rows["codec"].astype(object), strict=True)
        for i, (width, bits, mode, codec) in enumerate(keys):
            if decided[i] and mode != Mode.SKIP:
                coded = mode in (Mode.SPLIT, Mode.OFFLOAD)
                key = (float(width), int(bits), str(mode), str(codec) if coded else None)
                source[i] = self.sources[key]
        return Watched(
            captured_ns=rows["captured_ns"].to_numpy(np.int64),
            answered_ns=rows["answered_ns"].to_numpy(np.int64, na_value=NEVER),
            never_ns=NEVER,
            decided=decided,
            source=source,
            picture=rows["dataset_frame"].to_numpy(np.int64),
        )

    def redraw(self, period_ns: int) -> Any:
        """Return what moves the boxes of a client to where their objects should be by now."""
        size = self.recording.size

        def move(watched: Watched, seen: NDArray[np.int64]) -> Found:
            moved = forecast(
                gathered(self.evaluator.found, watched.source, watched.picture),
                watched.captured_ns,
                seen,
                watched.captured_ns,
                period_ns=period_ns,
                size=None if size is None else (float(size[1]), float(size[0])),
            )
            # As written down as every other answer, so that the file holds what was scored.
            corners = np.rint(moved.xywh[:, :2] * PIXEL_PARTS)
            ends = np.rint((moved.xywh[:, :2] + moved.xywh[:, 2:]) * PIXEL_PARTS)
            xywh = np.concatenate((corners, ends - corners), axis=1) / PIXEL_PARTS
            return Found(moved.offsets, xywh, moved.label, moved.score)

        return move


@dataclass(frozen=True)
class _Client:
    """A client of the scenario: its judge, and the time between two of its frames."""

    judge: Judge
    period_ns: int


def score(scenario: Scenario, folder: Path) -> dict[str, str | pa.Table]:
    """Return the files that say what the detections of a run were worth, by name.

    None of them if a client has no recorded detections: a mean over some of the clients would say
    nothing of the others.

    Args:
        scenario: What was run.
        folder: The run folder, with frames, energy, scenario and provenance.
    """
    clients = _clients(scenario)
    if clients is None:
        return {}
    run = records.read_back(folder)
    moved = compare.forecasters_of(run)
    deadline_ns, duration_ns = compare.deadline_ns_of(run), compare.duration_ns_of(run)
    figures: dict[str, dict[str, dict[str, float | None]]] = {}
    outcomes: dict[str, list[tuple[Judge, Delivered]]] = {}
    boxes: list[pa.Table] = []
    for policy, seed, parts in _runs(run.frames):
        done: list[tuple[Judge, Delivered]] = []
        answers: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        for name, rows in parts:
            client = clients[name]
            watched = client.judge.watched(rows)
            out = delivered(
                client.judge.evaluator,
                watched,
                deadline_ns=deadline_ns,
                threshold=client.judge.threshold,
                redraw=client.judge.redraw(client.period_ns) if policy in moved else None,
            )
            done.append((client.judge, out))
            answers.append((watched.captured_ns, np.where(out.right, watched.answered_ns, NEVER)))
            boxes.append(_table(policy, seed, name, rows["frame"].to_numpy(np.int64), out))
        group = _figures(done) | {
            "correct": sum(out.correct for _, out in done),
            "correct_age_mean_ms": age_figures(answers, duration_ns)[0],
        }
        figures.setdefault(policy, {})[str(seed)] = {k: _finite(v) for k, v in group.items()}
        outcomes.setdefault(policy, []).extend(done)
    judges = list({id(c.judge): c.judge for c in clients.values()}.values())
    content = {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "recordings": {judge.recording.name: _said(judge) for judge in judges},
        "figures": figures,
        "clips": _clips(run, figures, outcomes) if len(judges) == 1 else None,
    }
    import pyarrow as pa

    table = pa.concat_tables(boxes).unify_dictionaries().combine_chunks()
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"accuracy.json": text, "detections.parquet": table}


def _clients(scenario: Scenario) -> dict[str, _Client] | None:
    judges: dict[str, Judge] = {}
    clients: dict[str, _Client] = {}
    for name, group in client_names(scenario):
        setup = scenario.clients[group]
        recording = setup.detector
        if not isinstance(recording, Recording):
            return None
        if recording.name not in judges:
            judges[recording.name] = Judge(recording)
        period_ns = round(NS_PER_S / setup.spec.source.fps)
        clients[name] = _Client(judges[recording.name], period_ns)
    return clients


def _runs(frames: pd.DataFrame) -> Iterator[tuple[str, int, list[tuple[str, pd.DataFrame]]]]:
    """Yield policy, seed and the rows of each client in the order of capture."""
    runs: dict[tuple[str, int], list[tuple[str, pd.DataFrame]]] = {}
    grouped = frames.groupby(["policy", "seed", "client"], observed=True, sort=False)
    for key, rows in grouped:
        policy, seed, client = map(str, key)
        part = (client, rows.sort_values("frame"))
        runs.setdefault((policy, int(seed)), []).append(part)
    for (name, number_), parts in runs.items():
        yield name, number_, parts


def _figures(done: Sequence[tuple[Judge, Delivered]]) -> dict[str, float]:
    """Return the figures that are APs, pooled over the clients of a recording.

    Scores of different detectors do not compare, so that several recordings give the mean of
    theirs, weighted by the frames captured.
    """
    judges = list({id(judge): judge for judge, _ in done}.values())
    parts: list[tuple[int, dict[str, float]]] = []
    for judge in judges:
        mine = [out for other, out in done if other is judge]
        now = average_precision(pooled([out.streaming for out in mine]))
        now = {f"streaming_{name}": value for name, value in now.items() if name != "map75"}
        if judge.recording.fps is None:  # pictures that do not follow one another in time
            now = dict.fromkeys(now, math.nan)
        for name in ("offline", "on_time"):
            matches = pooled([getattr(out, name) for out in mine])
            now[f"{name}_map"] = average_precision(matches)["map"] if len(matches) else math.nan
        parts.append((sum(len(out.seen) for out in mine), now))
    if len(parts) == 1:  # a mean of one would round
        return parts[0][1]
    total = sum(frames for frames, _ in parts)
    return {
        name: math.fsum(frames * now[name] for frames, now in parts) / total for name in parts[0][1]
    }


def _clips(
    run: Run,
    figures: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    outcomes: Mapping[str, Sequence[tuple[Judge, Delivered]]],
) -> dict[str, Any] | None:
    """Return how sure streaming mAP is when other clips could have been filmed.

    The frames of all seeds and clients are pooled and their clips drawn again, the same ones for
    every policy. None with fewer than two clips, and for pictures that are no video.
    """
    clip = {p: np.concatenate([out.clip for _, out in done]) for p, done in outcomes.items()}
    known = np.unique(np.concatenate(list(clip.values())))
    everything: Figures = with_boxes(compare.figures_of(run), figures)
    if len(known) < 2 or compare.primary(everything) != "streaming_map":
        return None
    weights = draws(len(known), stream(0, "scoring", "clips"))
    maps, values = {}, {}
    for policy, done in outcomes.items():
        matches = pooled([out.streaming for _, out in done])
        values[policy] = average_precision(matches)["map"]
        maps[policy] = resampled_map(matches, np.searchsorted(known, clip[policy]), weights)
    best = compare.best_fixed(everything, compare.kinds_of(run))
    return {
        "n": len(known),
        "policies": {p: _interval(values[p], maps[p]) for p in maps},
        "best_fixed": best,
        "differences": {
            p: _interval(values[p] - values[best], maps[p] - maps[best])
            for p in maps
            if best is not None and p != best
        },
    }


def _interval(value: float, resampled: NDArray[np.float64]) -> dict[str, float | str | None]:
    """Return a figure with the percentile interval of what was resampled."""
    known = resampled[~np.isnan(resampled)]
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(known, ends).tolist() if len(known) else (math.nan, math.nan)
    return {"value": number(value), "low": number(low), "high": number(high)}


def _said(judge: Judge) -> dict[str, Any]:
    """Return what frames are counted by, and whether that ranks the points as mAP does."""
    recording = judge.recording
    quality = recording.quality.mean(axis=1).tolist()
    return {
        "score_threshold": number(judge.threshold),
        "reference_point": str(judge.best.point),
        "f1_rank_correlation": number(
            rank_correlation(quality, [recorded.map for recorded in recording.points])
        ),
        "points": len(quality),
    }


def _table(
    policy: str, seed: int, client: str, frames: NDArray[np.int64], out: Delivered
) -> pa.Table:
    """Return the boxes that a client was shown, a row for each.

    Boxes are whole sixteenths of a pixel and scores 16-bit levels, so that 32 bits hold them.
    """
    import pyarrow as pa

    at = np.repeat(np.arange(len(frames)), np.diff(out.boxes.offsets))
    zero = np.zeros(len(at), np.int32)
    columns = dict(zip(("left", "top", "width", "height"), out.boxes.xywh.T, strict=True))
    return pa.table(
        {
            "policy": pa.DictionaryArray.from_arrays(zero, pa.array([policy])),
            "seed": np.full(len(at), seed, np.int64),
            "client": pa.DictionaryArray.from_arrays(zero, pa.array([client])),
            "frame": frames[at].astype(np.int32),
            "shown_frame": frames[out.seen[at]].astype(np.int32),
            **{name: values.astype(np.float32) for name, values in columns.items()},
            "label": out.boxes.label.astype(np.int16),
            "score": out.boxes.score.astype(np.float32),
        }
    )


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
