"""`testbed train` and `testbed evaluate`, from the command line."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("faster_coco_eval", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed.cli import main  # noqa: E402
from testbed.detectors import weights  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.split import build  # noqa: E402


@pytest.fixture
def testbed(monkeypatch, capsys):
    """Return a function that runs a command line; gives code, output, errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return left.value.code or 0, out, err

    return run


@pytest.fixture
def files(tmp_path):
    """Two pictures, a teacher and a student's configuration."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        image = rng.integers(0, 256, (60, 100, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
    (tmp_path / "boxes.csv").write_text("image,class,x,y,w,h\na.png,k,9,9,30,30\nb.png,k,5,5,9,9\n")
    weights.save(build(find("tiny-d0")), tmp_path / "teacher.safetensors")
    (tmp_path / "student.yaml").write_text(
        "detector: tiny-d0-bw\nteacher: teacher.safetensors\ntrain: {path: boxes.csv}\n"
        "validation: {path: boxes.csv}\nepochs: 1\nbatch: 2\n"
    )
    return tmp_path


def test_a_student_is_trained_and_evaluated(files, testbed):
    code, out, _ = testbed("train", files / "student.yaml", "--out", files / "run")
    assert (code, "best.safetensors" in out) == (0, True)

    code, out, _ = testbed(
        "evaluate", files / "run" / "best.safetensors", files / "boxes.csv",
        "--bits", "8,4,32", "--widths", "0.5,1", "--out", files / "scores", "--json",
    )  # fmt: skip
    rows = json.loads(out)["scores"]

    assert code == 0
    assert [(row["width"], row["bits"]) for row in rows] == [
        (0.5, 8), (0.5, 4), (0.5, 32), (1.0, 8), (1.0, 4), (1.0, 32),
    ]  # fmt: skip
    # 12 channels of 16 columns and 10 rows (77 of 128 pixels), scales, padding, header.
    assert rows[0]["payload_bytes_mean"] == 12 * 16 * 10 + 12 * 8 + 12 * 2 + 38
    assert rows[1]["payload_bytes_mean"] == 12 * 16 * 10 / 2 + 12 * 8 + 12 * 2 + 38
    assert rows[2]["payload_bytes_mean"] is None
    assert (files / "scores" / "scores.csv").exists()
    assert (files / "scores" / "curve.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "none.safetensors", "boxes.csv"], "none.safetensors: no such file"),
        (["evaluate", "teacher.safetensors", "none.csv"], "none.csv: no such file"),
        (["evaluate", "teacher.safetensors", "boxes.csv", "--bits", "x"], "--bits takes numbers"),
        (["evaluate", "teacher.safetensors", "boxes.csv", "--scheme", "chanel"], "'channel'"),
        (["evaluate", "teacher.safetensors", "boxes.csv", "--backend", "pycoco"], "'pycocotools'"),
        (["train", "none.yaml", "--out", "run"], "none.yaml: no such file"),
    ],
)
def test_a_mistake_is_a_line_and_exit_code_2(arguments, message, files, testbed, monkeypatch):
    monkeypatch.chdir(files)
    code, _, err = testbed(*arguments)

    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_real_photographs_are_evaluated(shared, files, testbed):
    """A network of fresh weights finds nothing; what counts is that every picture goes through."""
    weights.save(build(find("tiny-d0-cp")), files / "w.safetensors")
    code, out, _ = testbed(
        "evaluate", files / "w.safetensors", shared / "data" / "coco_ccby" / "instances.json",
        "--widths", "0.25", "--codec", "zstd", "--json",
    )  # fmt: skip
    found = json.loads(out)

    assert code == 0
    assert found["notes"] == ["instances: 19 pictures"]
    (row,) = found["scores"]
    assert 38 < row["payload_bytes_mean"] < 6 * 16 * 16 + 300
    assert row["map"] == 0
