"""`testbed record`, and what `ls`, `show`, `check` and `run` make of a recording."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from testbed.cli import main


@pytest.fixture
def testbed(monkeypatch, capsys, tmp_path):
    """Return a function that runs a command line in an empty folder; code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return run


@pytest.fixture
def files(tmp_path):
    """Weights of a student and a teacher that have learnt nothing, and two pictures."""
    pytest.importorskip("torch", reason="needs the extra `detect`")
    pytest.importorskip("effdet", reason="needs the extra `detect`")
    cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")
    from testbed.detectors import weights
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build

    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        image = rng.integers(0, 256, (60, 100, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
    (tmp_path / "boxes.csv").write_text("image,class,x,y,w,h\na.png,k,9,9,30,30\nb.png,k,5,5,9,9\n")
    weights.save(build(find("tiny-d0")), tmp_path / "teacher.safetensors")
    weights.save(build(find("tiny-d0-bw")), tmp_path / "student.safetensors")
    return tmp_path


def test_a_detector_is_recorded_shown_and_simulated(files, testbed, world_data):
    code, out, err = testbed(
        "record", "student.safetensors", "--dataset", "boxes.csv", "--widths", "0.5,1",
        "--bits", "4", "--codecs", "raw,zstd", "--local", "--offload", "jpeg:30,75 webp:50",
        "--teacher", "teacher.safetensors", "--out", "road", "--json",
    )  # fmt: skip
    recorded = json.loads(out)
    assert (code, err) == (0, "")
    # 24 channels at 8 rows (77 of 128 pixels) and 16 columns, scales, padding, header.
    assert recorded["points"][2]["payload_bytes_mean"] == 24 * 16 * 10 / 2 + 24 * 10 + 38
    assert [point["codec"] for point in recorded["points"]] == [
        "raw", "zstd", "raw", "zstd", None, "jpeg-30", "jpeg-75", "webp-50",
    ]  # fmt: skip

    code, out, _ = testbed("show", "detector", "road")
    assert (code, "No point is dominated" in out or "Dominated:" in out) == (0, True)

    world_data["clients"][0] |= {
        "detector": "road",
        "ladder": {"bits": [4], "codecs": ["zstd", "jpeg-30"], "modes": ["split", "offload"]},
    }
    world_data["policies"] = {"any": {"kind": "random"}}
    (files / "mine.yaml").write_text(json.dumps(world_data))
    code, out, _ = testbed("check", "mine.yaml")
    assert code == 0
    assert "is no video: each capture shows the next picture" in out
    code, out, _ = testbed("run", "mine.yaml", "--out", "runs")
    assert code == 0
    (folder,) = (files / "runs").iterdir()
    (entry,) = json.loads((folder / "provenance.json").read_text())["recordings"]
    assert entry["id"] == recorded["id"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.safetensors"], "none.safetensors: no such file"),
        (["student.safetensors", "--bits", "9"], "--bits: bits must be 1 to 8, or 16, not 9"),
        (["student.safetensors", "--bits", "x"], "--bits takes numbers separated by commas"),
        (["student.safetensors", "--widths", "0.3"], "no width 0.3; it has 0.25, 0.5, 0.75, 1"),
        (["student.safetensors", "--codecs", "zip"], "no codec 'zip'"),
        (["student.safetensors", "--offload", "jpg:50"], "no picture codec 'jpg'. Did you mean"),
        (["student.safetensors", "--offload", "jpeg"], "a whole number from 1 to 100: 'jpeg-'"),
        (["student.safetensors", "--scheme", "chanel"], "no scheme 'chanel'"),
        (["student.safetensors", "--fps", "0"], "--fps is a number above 0"),
        (["student.safetensors", "--teacher", "x.safetensors"], "x.safetensors: no such file"),
        (["student.safetensors", "--widths", "none"], "there is nothing to record"),
        (["teacher.safetensors", "--widths", "1"], "tiny-d0 has no bottleneck to send"),
    ],
)
def test_a_mistake_is_a_line_and_exit_code_2(arguments, message, files, testbed):
    code, _, err = testbed("record", *arguments, "--dataset", "boxes.csv")

    assert (code, message in err) == (2, True), err
    assert "Traceback" not in err
    assert not (files / "recordings").exists()


def test_a_data_set_that_is_not_there_is_a_line(files, testbed):
    code, _, err = testbed("record", "student.safetensors", "--dataset", "none.csv")

    assert (code, "none.csv: no such file" in err) == (2, True)


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("drone_video/boxes.csv", ["--split", "val"], ("drone_video/val", 2, 30.0, 1)),
        ("coco_ccby/instances.json", [], ("instances", 2, None, 0)),
        ("bccd", ["--split", "val"], ("bccd/val", 2, None, 0)),
        ("playing_cards/val", [], ("val", 2, None, 0)),
    ],
)
def test_data_of_the_users_own_are_recorded(path, options, expected, shared, files, testbed):
    code, out, err = testbed(
        "record", "student.safetensors", "--dataset", shared / "data" / path, *options,
        "--limit", "2", "--widths", "0.25", "--json",
    )  # fmt: skip
    found = json.loads(out)

    assert (code, err) == (0, "")
    told = found["dataset"], found["frames"], found.get("fps"), found.get("clips", 0)
    assert told == expected


def test_a_damaged_recording_is_a_line(small_recording, testbed):
    path = small_recording.folder / "frames.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    code, _, err = testbed("show", "detector", small_recording.folder)

    assert (code, "frames.parquet: damaged" in err) == (2, True)


def test_the_page_of_a_recording_names_what_nobody_should_choose(small_recording, testbed):
    code, out, _ = testbed("show", "detector", small_recording.folder, "--json")
    page = json.loads(out)
    narrow, *_, offload = page["points"]

    assert code == 0
    assert (narrow["payload_bytes_min"], narrow["payload_bytes_max"]) == (90, 130)
    assert (narrow["device_mac"], narrow["server_mac"], narrow["map"]) == (
        65_000_000, 900_000_000, 0.25,
    )  # fmt: skip
    assert (offload["codec"], offload["bits"], offload["dominated_by"]) == ("jpeg-75", None, None)
    assert page["notes"][0] == "No point is dominated by another."
    assert (page["clips"], page["objects"], page["categories"]) == (2, 6, "car")
