"""A run that dies while it writes goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("safetensors", reason="needs the extra `detect`")

from safetensors.torch import load_file  # noqa: E402

from testbed.detectors import weights  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.training import run as running  # noqa: E402
from testbed.training import state  # noqa: E402
from testbed.training.config import load  # noqa: E402
from testbed.training.run import train  # noqa: E402


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    """A run of two epochs of two steps, with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = ["image,class,x,y,w,h"]
    for key in range(4):
        image = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 8, 0), 8, 1)
        cv2.imwrite(str(folder / "images" / f"{key}.png"), image)
        rows.append(f"{key}.png,thing,8,4,16,8")
    (folder / "boxes.csv").write_text("\n".join(rows))
    weights.save(build(find("tiny-d0")), folder / "teacher.safetensors")
    (folder / "run.yaml").write_text(
        "detector: tiny-d0-cp\nteacher: teacher.safetensors\ntrain: {path: boxes.csv}\n"
        "epochs: 2\nbatch: 2\npasses: 2\nwarmup_steps: 1\nlearning_rate: 0.003\nmilestones: [1]\n"
        "stochastic_depth: 0.2\ncheckpoint_steps: 1\nseed: 4\n"
    )
    return folder / "run.yaml"


@pytest.fixture(scope="module")
def whole(run_file):
    folder = run_file.parent / "whole"
    train(load(run_file), folder, device="cpu")
    return load_file(folder / "final.safetensors"), (folder / "log.csv").read_text()


def assert_ends_like(whole, folder):
    final = load_file(folder / "final.safetensors")
    assert final.keys() == whole[0].keys()
    assert all(torch.equal(final[key], value) for key, value in whole[0].items())
    assert (folder / "log.csv").read_text() == whole[1]
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("checkpoint", [1, 2, 3, 5])
def test_killed_halfway_through_writing_a_checkpoint(
    run_file, whole, checkpoint, tmp_path, monkeypatch
):
    """The third is the one at the end of the first epoch; before the first there is none."""
    real, count = torch.save, 0

    def save(content, path):
        nonlocal count
        count += 1
        real(content, path)
        if count == checkpoint:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise Killed

    monkeypatch.setattr(state.torch, "save", save)
    with pytest.raises(Killed):
        train(load(run_file), tmp_path, device="cpu")
    assert (tmp_path / "last.pt.part").exists()
    assert (tmp_path / "last.pt").exists() == (checkpoint > 1)
    monkeypatch.undo()
    train(load(run_file), tmp_path, device="cpu")

    assert_ends_like(whole, tmp_path)


@pytest.mark.parametrize("moment", ["half of the best weights", "between best and checkpoint"])
def test_killed_at_the_end_of_an_epoch(run_file, whole, moment, tmp_path, monkeypatch):
    real = weights.save

    def save(detector, path):
        real(detector, path)
        if moment.startswith("half"):
            path.rename(path.with_name(path.name + ".part"))
        raise Killed

    monkeypatch.setattr(running.weights, "save", save)
    with pytest.raises(Killed):
        train(load(run_file), tmp_path, device="cpu")
    monkeypatch.undo()
    train(load(run_file), tmp_path, device="cpu")

    assert_ends_like(whole, tmp_path)


def test_killed_halfway_through_a_line_of_the_log(run_file, whole, tmp_path, monkeypatch):
    real = state.Log.add

    def add(self, step, values):
        real(self, step, values)
        if step == 3:
            content = self.path.read_text()
            self.path.write_text(content[:-20])
            raise Killed

    monkeypatch.setattr(state.Log, "add", add)
    with pytest.raises(Killed):
        train(load(run_file), tmp_path, device="cpu")
    monkeypatch.undo()
    train(load(run_file), tmp_path, device="cpu")

    assert_ends_like(whole, tmp_path)


DYING = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from testbed.training import state
from testbed.training.config import load
from testbed.training.run import train
class Dying:
    count = 0
    def write(self, data):
        self.count += len(data)
        if self.count > DIES_AFTER:
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(data)
    def flush(self):
        self.file.flush()
DIES_AFTER = int(sys.argv[3])
real, dying = torch.save, Dying()
def save(content, path):
    with open(path, "wb") as dying.file:
        real(content, dying)
state.torch.save = save
train(load(Path(sys.argv[1])), Path(sys.argv[2]), device="cpu")
"""


@pytest.mark.slow
def test_a_process_that_is_killed_within_its_writes_goes_on(run_file, whole, tmp_path):
    """By SIGKILL, after a number of bytes of checkpoints: each time somewhere within one."""
    size = 0
    for share in (0.4, 1.7, 1.2, 1.5):
        process = subprocess.run(
            [sys.executable, "-c", DYING, str(run_file), str(tmp_path),
             str(int(share * size) if size else 100_000)],
            check=False, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert process.returncode == -signal.SIGKILL, process.stderr
        assert (tmp_path / "last.pt.part").stat().st_size > 0
        size = size or (run_file.parent / "whole" / "last.pt").stat().st_size
    train(load(run_file), tmp_path, device="cpu")

    assert_ends_like(whole, tmp_path)
