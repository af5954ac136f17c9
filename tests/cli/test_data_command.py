"""`testbed data make`: scenes as files, and what it says to a slip."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from testbed.cli import app
from testbed.datasets import scenes_files
from testbed.datasets.scenes_files import Extent
from testbed.errors import TestbedError

pytest.importorskip("cv2", reason="the scenes are painted with OpenCV")


def call(*words):
    return CliRunner().invoke(app, ["data", "make", *map(str, words)], catch_exceptions=True)


def test_the_splits_asked_for_are_written_and_named(tmp_path, monkeypatch):
    monkeypatch.setitem(scenes_files.SPLITS, "val", Extent(2, 2, 6))

    done = call("scenes", "--out", tmp_path, "--splits", "val")

    assert done.exit_code == 0
    assert done.output.split() == [str(tmp_path / "val.json")]
    assert len(json.loads((tmp_path / "val.json").read_text())["images"]) == 4
    assert not (tmp_path / "train.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scene"], "scenes"),
        (["scenes", "--splits", "vall"], "val"),
        (["scenes", "--splits", ","], "names none"),
    ],
)
def test_a_slip_is_named_with_what_there_is(words, says, tmp_path):
    done = call(*words, "--out", tmp_path)

    assert isinstance(done.exception, TestbedError)
    assert says in str(done.exception)
    assert not list(tmp_path.iterdir())
