"""R-CNNs learn too, and a compressor that drops channels finds out which before it learns."""

from __future__ import annotations

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("safetensors", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed import datasets  # noqa: E402
from testbed.detectors import configurations, weights  # noqa: E402
from testbed.detectors.calibrate import keep_largest_channels  # noqa: E402
from testbed.detectors.configurations import SplitConfig  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import TestbedError  # noqa: E402
from testbed.training.config import load  # noqa: E402
from testbed.training.run import CALIBRATION_PICTURES, train  # noqa: E402


def write_run(folder, teacher, lines, *, pictures=4, size=(48, 64)):
    """Return the file of a run on pictures of coarse noise, each with a box."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = ["image,class,x,y,w,h"]
    for key in range(pictures):
        coarse = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
        image = np.repeat(np.repeat(coarse, 8, 0), 8, 1)
        cv2.imwrite(str(folder / "images" / f"{key}.png"), image)
        rows.append(f"{key}.png,thing,8,4,16,8")
    (folder / "boxes.csv").write_text("\n".join(rows))
    weights.save(build(teacher), folder / "teacher.safetensors")
    (folder / "run.yaml").write_text(
        "\n".join(["teacher: teacher.safetensors", "train: {path: boxes.csv}", *lines])
    )
    return folder / "run.yaml"


@pytest.fixture
def networks(monkeypatch):
    """Add networks for the length of a test."""

    def add(*configs):
        own = configurations.CONFIGURATIONS | {config.name: config for config in configs}
        monkeypatch.setattr(configurations, "CONFIGURATIONS", own)

    return add


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind"), [("faster-rcnn", "cp"), ("mask-rcnn", "bw")])
def test_an_rcnn_lowers_its_loss_at_every_width(family, kind, networks, tmp_path):
    common = {"family": family, "side": 64, "classes": 2, "compressor": "stack"}
    widths = (0.25, 0.5, 1.0)
    teacher = SplitConfig(name="rcnn", **common)
    student = SplitConfig(name="rcnn-x", kind=kind, channels=12, widths=widths, **common)
    networks(teacher, student)
    run = write_run(
        tmp_path, teacher,
        ["detector: rcnn-x", "epochs: 5", "batch: 2", "passes: 4", "learning_rate: 0.001",
         "warmup_steps: 0", "norm_batches: 4"],
    )  # fmt: skip
    trained = train(load(run), tmp_path / "out", device="cpu")

    with (tmp_path / "out" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 10
    for width in ("0.25", "1"):
        losses = [float(row[width]) for row in rows]
        assert losses[-1] < 0.7 * losses[0]
    between = [float(row["0.5"]) for row in rows if row["0.5"]]
    assert between[-1] < 0.9 * between[0]
    again = weights.load(tmp_path / "out" / "final.safetensors")
    assert again.config == student
    # Statistics taken anew: every width has its own, those of four pictures.
    norm = again.decompressor[0]
    assert norm.num_batches_tracked.tolist() == [4, 4, 4]
    held = again.state_dict()
    assert all(torch.equal(held[key], value) for key, value in trained.state_dict().items())


def dropping():
    common = {"coefficient": 0, "channel_multiplier": 0.5, "side": 128, "fpn_channels": 32,
              "fpn_cells": 2, "classes": 2}  # fmt: skip
    student = SplitConfig(
        name="drop-x", kind="fixed", channels=7, compressor="drop-magnitude", **common
    )
    return SplitConfig(name="drop", **common), student


def test_channels_are_chosen_on_the_first_pictures_before_the_first_step(networks, tmp_path):
    teacher, student = dropping()
    networks(teacher, student)
    lines = ["detector: drop-x", "epochs: 2", "batch: 4", "checkpoint_steps: 1"]
    config = load(write_run(tmp_path, teacher, lines, size=(64, 128)))
    trained = train(config, tmp_path / "out", device="cpu")

    fresh = build(student, teacher=weights.load(tmp_path / "teacher.safetensors"))
    shown = datasets.load(tmp_path / "boxes.csv").only(CALIBRATION_PICTURES)
    chosen = keep_largest_channels(fresh, (shown.load(picture) for picture in shown))
    assert chosen != list(range(7))
    assert trained.compressor.kept.tolist() == chosen
    final = weights.load(tmp_path / "out" / "final.safetensors")
    assert final.compressor.kept.tolist() == chosen
    # Gone on with, the run keeps its channels, though the encoder has changed by now.
    longer = tmp_path / "longer"
    longer.mkdir()
    content = torch.load(tmp_path / "out" / "last.pt", weights_only=True)
    content["network"]["compressor.kept"] = torch.arange(7)
    content["progress"] |= {"epoch": 1}
    torch.save(content, longer / "last.pt")
    assert train(config, longer, device="cpu").compressor.kept.tolist() == list(range(7))


def test_a_running_mean_of_the_weights_keeps_the_chosen_channels(networks, tmp_path):
    teacher, student = dropping()
    networks(teacher, student)
    lines = ["detector: drop-x", "epochs: 3", "batch: 4", "average: 0.9"]
    run = write_run(tmp_path, teacher, lines, size=(64, 128))
    train(load(run), tmp_path / "out", device="cpu")

    saved = weights.load(tmp_path / "out" / "final.safetensors").compressor.kept.tolist()
    content = torch.load(tmp_path / "out" / "last.pt", weights_only=True)
    assert saved == content["network"]["compressor.kept"].tolist()
    assert len(set(saved)) == 7


def test_a_teacher_that_does_not_fit_is_named_with_its_file(networks, tmp_path):
    teacher, student = dropping()
    networks(teacher, student)
    run = write_run(tmp_path, configurations.find("tiny-d0-bw"), ["detector: drop-x"])
    with pytest.raises(TestbedError, match=r"teacher\.safetensors: tiny-d0-bw has a bottleneck"):
        train(load(run), tmp_path / "out", device="cpu")
    weights.save(build(configurations.find("small-d0")), tmp_path / "teacher.safetensors")
    with pytest.raises(TestbedError, match=r"safetensors: small-d0 cannot teach drop-x"):
        train(load(run), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
