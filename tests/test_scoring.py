"""A run over a recording is scored by what its clients were shown."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from coco_reference import coco_eval, offsets_of
from film_recording import film_recording

from testbed import compare, records
from testbed.metrics.boxes import Found
from testbed.run import run

POLICIES = {
    "narrow": {"kind": "fixed", "width": 0.25},
    "wide": {"kind": "fixed", "width": 1.0},
    "adaptive": {"kind": "goodput"},
}


@pytest.fixture
def filmed(tmp_path, world):
    """Return a function that runs a scenario over the recording, and the recording."""
    recording = film_recording(tmp_path / "film")

    def make(*changes):
        scenario = world(
            "clients.0.detector", str(recording.folder),
            "clients.0.source", {"fps": 10, "phase": 0},
            "clients.0.ladder", {"widths": [0.25, 1.0], "bits": [8], "modes": ["split", "skip"]},
            "network.uplink", {"kind": "constant", "mbps": 1.5, "delay_ms": 20},
            "policies", POLICIES,
            "seeds", [1, 2],
            "duration_s", 4,
            *changes,
        )  # fmt: skip
        return records.read(run(scenario, tmp_path / "runs"))

    return make, recording


def reference(recording, frames: pd.DataFrame, boxes: pd.DataFrame):
    """Return COCO's own evaluator on the boxes that `detections.parquet` says were shown."""
    frames = frames.sort_values("frame").reset_index()
    place = boxes["frame"].map(dict(zip(frames["frame"], frames.index, strict=True)))
    order = np.argsort(place.to_numpy(), kind="stable")
    boxes = boxes.iloc[order]
    found = Found(
        offsets_of(np.bincount(place, minlength=len(frames))),
        boxes[["left", "top", "width", "height"]].to_numpy(np.float64),
        boxes["label"].to_numpy(np.int64),
        boxes["score"].to_numpy(np.float64),
    )
    instants = np.arange(len(frames))
    picture = frames["dataset_frame"].to_numpy(np.int64)
    return coco_eval(recording.truth, picture, [found], instants * 0, instants)


@pytest.mark.parametrize("forecast", [False, True])
def test_streaming_map_is_coco_s_of_the_boxes_that_the_folder_says_were_shown(filmed, forecast):
    make, recording = filmed
    moved = {"kind": "forecast", "policy": {"kind": "fixed", "width": 1.0}}
    done = make("policies", POLICIES | ({"moved": moved} if forecast else {}))
    boxes = pd.read_parquet(done.folder / "detections.parquet")

    figures = compare.figures_of(done)
    assert set(figures) == set(boxes["policy"]) == set(done.scenario["policies"])
    for (policy, seed), shown in boxes.groupby(["policy", "seed"], observed=True):
        frames = done.frames[(done.frames["policy"] == policy) & (done.frames["seed"] == seed)]
        stats = reference(recording, frames, shown).stats
        names = ["", "50", "_small", "_medium", "_large"]
        ours = [figures[policy][seed][f"streaming_map{name}"] for name in names]
        theirs = [math.nan if v == -1 else v for v in stats[[0, 1, 3, 4, 5]]]
        np.testing.assert_array_equal(ours, theirs)
        assert 0 < ours[0] < figures[policy][seed]["offline_map"]


def test_moving_stale_boxes_changes_what_is_shown_and_nothing_else(filmed):
    make, _ = filmed
    wide = {"kind": "fixed", "width": 1.0}
    done = make("policies", {"wide": wide, "moved": {"kind": "forecast", "policy": wide}})

    plain, moved = (compare.figures_of(done)[policy][1] for policy in ("wide", "moved"))

    differing = {
        name for name in plain if plain[name] != moved[name] and plain[name] == plain[name]
    }
    assert differing
    assert all(name.startswith("streaming_map") for name in differing)


def test_with_a_fast_network_every_frame_is_on_time_and_shown_one_frame_late(filmed):
    make, _ = filmed
    done = make("deadline_ms", 5000, "network.uplink.mbps", 1e6)

    figures = compare.figures_of(done)["wide"][1]
    assert figures["on_time_map"] == figures["offline_map"] > figures["streaming_map"] > 0
    boxes = pd.read_parquet(done.folder / "detections.parquet")
    late = boxes["frame"] - boxes["shown_frame"]
    assert (late[boxes["frame"] > 10] == 1).all()  # by then the radio is awake


def test_answers_that_miss_the_deadline_are_shown_but_are_not_on_time(filmed):
    make, _ = filmed
    done = make("deadline_ms", 1)

    for policy in ("narrow", "wide"):
        figures = compare.figures_of(done)[policy][1]
        assert figures["on_time_map"] == figures["correct"] == 0
        assert figures["energy_per_correct_j"] == math.inf
        assert figures["streaming_map"] > 0


def test_skipping_everything_shows_nothing(filmed):
    make, _ = filmed
    done = make("policies", {"none": {"kind": "fixed", "mode": "skip"}})

    figures = compare.figures_of(done)["none"][1]
    assert [figures[f"{n}_map"] for n in ("streaming", "offline", "on_time")] == [0.0, 0.0, 0.0]
    assert figures["correct_age_mean_ms"] == 2000.0  # of four seconds
    boxes = pd.read_parquet(done.folder / "detections.parquet")
    assert len(boxes) == 0


def test_energy_and_age_are_those_of_what_was_found(filmed):
    make, _ = filmed
    figures = compare.figures_of(make())["narrow"][1]

    assert figures["energy_per_correct_j"] == figures["energy_j"] / figures["correct"]
    assert figures["correct"] == int(figures["correct"]) > 0
    assert figures["correct_age_mean_ms"] > figures["age_mean_ms"]


def test_boxes_count_from_the_score_on_that_the_recording_says(filmed, tmp_path):
    make, _ = filmed
    strict = film_recording(tmp_path / "strict", settings={"quality_threshold": 0.9})
    done = [make(), make("clients.0.detector", str(strict.folder))]

    plain, few = (compare.figures_of(run)["narrow"][1] for run in done)
    assert few["streaming_map"] == plain["streaming_map"]
    assert 0 < few["correct"] < plain["correct"]
    assert next(iter(done[1].accuracy["recordings"].values()))["score_threshold"] == 0.9


def test_the_verdict_and_the_best_static_policy_are_by_what_was_shown(filmed):
    make, _ = filmed
    summary = json.loads((make().folder / "summary.json").read_text(encoding="utf-8"))

    maps = {p: metrics["streaming_map"]["value"] for p, metrics in summary["policies"].items()}
    comparison = summary["comparison"]
    assert comparison["metric"] == "streaming_map"
    assert comparison["best_fixed"] == max(("narrow", "wide"), key=lambda p: maps[p])
    assert "streaming mAP" in comparison["verdict"]
    assert set(comparison["differences"]["adaptive"]) > {"streaming_map", "energy_per_correct_j"}


def test_how_sure_it_is_over_clips_is_said_with_the_same_draws_for_all(filmed):
    make, _ = filmed
    policies = POLICIES | {"twin": POLICIES["wide"]}
    accuracy = make("policies", policies, "duration_s", 12).accuracy
    clips = accuracy["clips"]

    assert clips["n"] == 4
    for policy, found in clips["policies"].items():
        assert found["low"] < found["value"] < found["high"], policy
    assert clips["policies"]["wide"] == clips["policies"]["twin"]
    rest = {"wide", "twin", "narrow", "adaptive"} - {clips["best_fixed"]}
    assert set(clips["differences"]) == rest
    if clips["best_fixed"] in ("wide", "twin"):
        (other,) = {"wide", "twin"} - {clips["best_fixed"]}
        assert clips["differences"][other] == {"value": 0.0, "low": 0.0, "high": 0.0}
    said = next(iter(accuracy["recordings"].values()))
    assert said["points"] == 7
    assert said["reference_point"] in ("local", "offload jpeg-90")
    assert said["f1_rank_correlation"] > 0.5


def test_the_report_shows_what_was_delivered_and_which_rivals_win(filmed):
    make, _ = filmed
    done = make(
        "policies", POLICIES | {"half": {"kind": "frame-filter", "policy": {"kind": "fixed"}}}
    )
    page, text = (
        (done.folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md")
    )

    assert '<figure id="delivered">' in page
    assert "age of correct, ms" in page
    assert "minus " + str(done.accuracy["clips"]["best_fixed"]) + ", over clips" in page
    assert "<td>half</td>" in page[page.index('id="about-baselines"') :]
    assert "| policy | streaming mAP | offline mAP | on-time mAP |" in text
    assert "- device alone: 'local' is not among the modes of the ladder" in text


def test_two_runs_and_any_number_of_clients_give_the_same_bytes(filmed, tmp_path):
    make, _ = filmed
    folder = make("clients.0.count", 2).folder
    names = ("accuracy.json", "detections.parquet", "summary.json")
    first = [(folder / name).read_bytes() for name in names]

    make("clients.0.count", 2)

    assert [(folder / name).read_bytes() for name in names] == first


def test_a_run_over_a_published_table_has_no_boxes(world, tmp_path):
    done = records.read(run(world(), tmp_path))

    assert done.accuracy is None
    assert not (done.folder / "detections.parquet").exists()
    assert math.isnan(compare.figures_of(done)["narrow"][1]["streaming_map"])


def test_pictures_that_are_no_video_have_no_streaming_map(tmp_path, world):
    stills = {
        "name": "stills", "sha256": "4" * 64, "frames": 120, "fps": None, "size": None,
        "sequences": [],
    }  # fmt: skip
    recording = film_recording(tmp_path / "stills", dataset=stills)
    done = records.read(
        run(
            world(
                "clients.0.detector", str(recording.folder),
                "clients.0.ladder", {"widths": [0.25], "modes": ["split"]},
                "deadline_ms", 5000,
                "policies", {"narrow": POLICIES["narrow"]},
            ),
            tmp_path / "runs",
        )
    )  # fmt: skip

    figures = compare.figures_of(done)["narrow"][1]
    assert math.isnan(figures["streaming_map"])
    assert figures["offline_map"] == figures["on_time_map"] > 0
    assert done.accuracy["clips"] is None
    assert compare.primary(compare.figures_of(done)) == "on_time_map"
