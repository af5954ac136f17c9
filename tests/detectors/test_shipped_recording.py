"""The recording and the weights that come along are what the other says, and worth comparing on."""

from __future__ import annotations

import csv
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from testbed.detectors import recording, shipped
from testbed.model import LOCAL, Mode, OperatingPoint

MEGABYTE = 1_000_000
WIDEST = OperatingPoint(1.0, 8, "raw")


@pytest.fixture(scope="module")
def scenes():
    folder = recording.find("scenes")
    if folder is None:
        pytest.skip("no recording of the synthetic scenes comes along")
    return recording.load(folder)


def split_map(found, width, bits=8):
    return found.at(OperatingPoint(width, bits, "raw")).map


def test_all_that_ships_is_small():
    weights = sum(path.stat().st_size for path in shipped.folder().iterdir())
    recorded = [f for f in (shipped.folder().parent / "recordings").rglob("*") if f.is_file()]

    assert weights < 25 * MEGABYTE
    assert sum(path.stat().st_size for path in recorded) < 8 * MEGABYTE


def test_the_recording_was_made_of_the_weights_that_ship(scenes):
    for role, name in (("detector", scenes.network), ("teacher", scenes.teacher)):
        content = shipped.locate(Path(name)).read_bytes()
        assert scenes.weights[role] == hashlib.sha256(content).hexdigest()


def test_an_uncoded_payload_weighs_what_its_shape_says(scenes):
    """Channels times 32 × 32 cells, and at most 38 bytes of header and 8 for each channel."""
    for point in scenes.points:
        if point.point.mode is not Mode.SPLIT or point.point.codec != "raw":
            continue
        channels = round(16 * point.point.width)
        plain = channels * 32 * 32 * point.point.bits // 8
        sent = scenes.payload_bytes[scenes.index(point.point)]
        assert (sent == sent[0]).all()
        assert plain < sent[0] <= plain + 38 + 8 * channels


def test_coding_never_costs_much_and_saves_on_average(scenes):
    for point in scenes.points:
        if point.point.codec == "range":
            plain = OperatingPoint(point.point.width, point.point.bits, "raw")
            coded = scenes.payload_bytes[scenes.index(point.point)]
            assert coded.mean() < scenes.at(plain).payload_bytes


def test_widths_and_bits_are_graded_so_that_policies_can_be_told_apart(scenes):
    widths = scenes.widths
    by_width = [split_map(scenes, width) for width in widths]

    assert 0.6 * by_width[-1] <= by_width[0] <= 0.9 * by_width[-1]
    assert all(b > a - 0.01 for a, b in itertools.pairwise(by_width))
    assert split_map(scenes, widths[0], 2) < by_width[0]


def test_the_widest_point_is_near_the_whole_network_and_pictures_lose_by_compression(scenes):
    offload = [p.map for p in scenes.points if p.point.mode is Mode.OFFLOAD]

    assert split_map(scenes, 1.0) > scenes.at(LOCAL).map - 0.03
    assert max(offload) <= scenes.at(LOCAL).map + 0.01


def test_the_table_of_the_study_is_of_the_weights_that_ship():
    table = Path(__file__).parents[2] / "analysis" / "scenes" / "scores.csv"
    if not table.exists():
        pytest.skip("analysis/ does not come along with an installed testbed")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    scored = {row["network"]: row["weights"] for row in rows if row["statistics"] == "anew"}
    ours = [name for name in shipped.names() if name.startswith("scenes-")]

    assert scored == {
        name: hashlib.sha256(shipped.locate(Path(name)).read_bytes()).hexdigest()[:12]
        for name in ours
    }
    whole = {
        row["network"]: float(row["map"])
        for row in rows
        if (row["width"], row["bits"]) == ("1.0", "32") and row["statistics"] == "anew"
    }
    assert whole["scenes-d0"] >= 0.4
    assert whole["scenes-d0-bw"] > whole["scenes-d0"] - 0.03


@pytest.mark.slow
def test_a_live_run_sends_and_finds_what_was_recorded(scenes):
    """On another processor than the one that recorded, a value may be rounded to the other side."""
    pytest.importorskip("torch", reason="needs the extra `detect`")
    pytest.importorskip("effdet", reason="needs the extra `detect`")
    from testbed.datasets.scenes import Scene
    from testbed.detectors.answers import written
    from testbed.detectors.pair import SplitPair
    from testbed.detectors.weights import load

    pair = SplitPair(load(Path(scenes.network)))
    narrow = OperatingPoint(scenes.widths[0], 4, "range")
    clip = Scene("video", 0).frames(6)
    for frame, picture in enumerate(clip):
        for point in (WIDEST, narrow):
            payload = pair.encode(picture.image, point)
            recorded = scenes.payload_bytes[scenes.index(point), frame]
            assert len(payload) == pytest.approx(recorded, rel=0.02)
            if point.codec == "raw":
                assert len(payload) == recorded
            found = pair.decode(payload)
            _, scores = written(found.boxes, found.scores)
            held = scenes.found(point)
            rows = slice(held.offsets[frame], held.offsets[frame + 1])
            sure = held.score[rows] > 0.3
            assert abs(int(sure.sum()) - int((scores > 0.3 * 65535).sum())) <= 1
            best = np.sort(held.score[rows])[::-1][:3]
            ours = np.sort(scores / 65535)[::-1][:3]
            np.testing.assert_allclose(ours, best[: len(ours)], atol=0.02)


@pytest.mark.slow
def test_the_shipped_teacher_finds_objects_in_scenes_that_it_has_not_seen(tmp_path):
    pytest.importorskip("torch", reason="needs the extra `detect`")
    pytest.importorskip("effdet", reason="needs the extra `detect`")
    from testbed import datasets
    from testbed.datasets import scenes_files
    from testbed.detectors.weights import load
    from testbed.evaluation.evaluate import evaluate

    extent = scenes_files.Extent(scenes=30, frames=2, every=30)
    unseen = datasets.load(scenes_files.make(tmp_path, "val", extent=extent))
    (score,) = evaluate(load(Path("scenes-d0")), unseen)

    assert score.metrics["map"] > 0.2
