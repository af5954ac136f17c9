"""Training follows the published recipe, goes on after a kill, and learns."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("safetensors", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from safetensors.torch import load_file  # noqa: E402

from testbed.datasets.dataset import Box, Dataset, Picture  # noqa: E402
from testbed.detectors import weights  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.slimmable import Widths  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import InputErrors, RunError  # noqa: E402
from testbed.training.config import load  # noqa: E402
from testbed.training.objectives import (  # noqa: E402
    Distillation,
    Runner,
    centre_kernels,
    recalibrate,
    sandwich,
    start_encoder_afresh,
    tap_loss,
)
from testbed.training.pictures import Batch, batches, plan  # noqa: E402
from testbed.training.run import train  # noqa: E402
from testbed.training.schedule import learning_rate  # noqa: E402

CPU = Runner(torch.device("cpu"))


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def batch(n=2, side=128):
    return Batch(noise(n, 3, side, side), [torch.zeros(0, 4)] * n, [torch.zeros(0)] * n)


@pytest.fixture(scope="module")
def teacher():
    return build(find("tiny-d0"))


# The recipe


def test_a_step_takes_the_smallest_width_some_of_the_list_and_the_largest():
    widths = Widths((0.25, 0.5, 0.75, 1.0))
    drawn = [sandwich(widths, 4, seed=0, step=step) for step in range(200)]

    assert {(one[0], one[-1], len(one)) for one in drawn} == {(0.25, 1.0, 4)}
    between = [width for one in drawn for width in one[1:-1]]
    assert {w: between.count(w) for w in sorted(set(between))}.keys() == {0.25, 0.5, 0.75, 1.0}
    assert all(70 < between.count(w) < 130 for w in widths.values)  # 100 each, both ends too
    assert drawn[17] == sandwich(widths, 4, seed=0, step=17)
    assert sandwich(widths, 2, seed=0, step=0) == [0.25, 1.0]
    assert sandwich(widths, 1, seed=0, step=0) == [1.0]


def test_the_rate_warms_up_in_the_first_epoch_and_halves_at_milestones():
    def rate(epoch, batch, batches=2001):
        return learning_rate(
            5e-4, epoch=epoch, batch=batch, batches=batches, milestones=(3, 6, 9, 12), decay=0.5,
            warmup_steps=1000,
        )  # fmt: skip

    assert rate(0, 0) == pytest.approx(5e-7)
    assert rate(0, 500) == pytest.approx(5e-4 * 0.5005)
    assert rate(0, 1000) == rate(0, 2000) == rate(2, 0) == 5e-4
    assert [rate(epoch, 0) for epoch in (3, 5, 6, 9, 11)] == [
        2.5e-4, 2.5e-4, 1.25e-4, 6.25e-5, 6.25e-5,
    ]  # fmt: skip
    assert rate(0, 10, batches=11) == 5e-4
    assert rate(0, 0, batches=1) == 5e-4


def test_the_rate_falls_as_a_cosine_to_nothing():
    given = {"milestones": (1,), "decay": 0.5, "warmup_steps": 0, "batches": 10, "epochs": 4}

    rates = [learning_rate(8.0, epoch=e, batch=b, **given) for e, b in ((0, 0), (2, 0), (3, 9))]

    assert rates[:2] == pytest.approx([8.0, 4.0])
    assert 0 < rates[2] < 0.1


def test_the_loss_is_the_squared_error_added_up_over_taps():
    ours, theirs = [noise(2, 3, 4, 4), noise(2, 5)], [torch.zeros(2, 3, 4, 4), torch.zeros(2, 5)]
    summed = float((ours[0] ** 2).sum() + (ours[1] ** 2).sum())
    meant = float((ours[0] ** 2).mean() + (ours[1] ** 2).mean())

    assert float(tap_loss(ours, theirs, "sum")) == pytest.approx(summed)
    assert float(tap_loss(ours, theirs, "mean")) == pytest.approx(meant)


@pytest.mark.parametrize("name", ["tiny-d0-bw", "tiny-d0-cp"])
def test_a_step_has_the_gradient_of_the_summed_loss_and_runs_the_teacher_once(teacher, name):
    student = build(find(name), teacher=teacher)
    objective = Distillation(student, teacher)
    calls = []
    handle = teacher.encoder.register_forward_hook(lambda *_: calls.append(1))
    objective.mode()
    drawn = [0.25, 0.5, 1.0]
    losses = objective.backward(batch(), drawn, CPU)
    handle.remove()
    ours = [p.grad.clone() for p in objective.trained if p.grad is not None]

    again = build(find(name), teacher=teacher)
    objective = Distillation(again, teacher)
    objective.mode()
    x = CPU.place(batch().x)  # or else rounding in another order shows where gradients cancel
    with torch.no_grad():
        targets = teacher.features(x)
    total = 0
    for width in drawn:
        with again.widths.at(width):
            total = total + tap_loss(again.features(x), targets, "sum")
    total.backward()
    by_hand = [p.grad for p in objective.trained if p.grad is not None]

    assert len(calls) == 1
    assert sum(losses.values()) == pytest.approx(float(total.detach()), rel=1e-5)
    assert len(ours) == len(by_hand) > 0
    # Some are nothing but rounding: a shift that the next normalisation takes away.
    largest = max(float(other.abs().max()) for other in by_hand)
    for one, other in zip(ours, by_hand, strict=True):
        close = 1e-4 * float(other.abs().max()) + 1e-6 * largest
        torch.testing.assert_close(one, other, rtol=1e-3, atol=close)
    assert sum(float(other.abs().max()) > 1e-3 * largest for other in by_hand) > len(by_hand) / 2


def test_encoder_and_bottleneck_learn_and_the_decoder_does_not(teacher):
    student = build(find("tiny-d0-bw"), teacher=teacher)
    objective = Distillation(student, teacher)
    learned = {id(p) for p in objective.trained}

    for name, parameter in student.named_parameters():
        assert (id(parameter) in learned) == (not name.startswith("decoder")), name
        assert parameter.requires_grad == (id(parameter) in learned)


def test_a_frozen_encoder_stays_the_teachers_statistics_too(teacher):
    student = build(find("tiny-d0-bw"), teacher=teacher)
    before = {k: v.clone() for k, v in student.encoder.state_dict().items()}
    objective = Distillation(student, teacher, frozen_encoder=True)
    objective.mode()
    objective.backward(batch(), [0.25, 1.0], CPU)
    learned = {id(p) for p in objective.trained}

    assert all(torch.equal(before[k], v) for k, v in student.encoder.state_dict().items())
    assert not any(p.requires_grad or id(p) in learned for p in student.encoder.parameters())
    assert all(p.grad is not None for p in student.compressor.parameters())
    assert int(student.decompressor.bn1.num_batches_tracked) == 2


def test_a_student_compared_at_the_split_alone_runs_no_decoder(teacher):
    student = build(find("tiny-d0-bw"), teacher=teacher)
    objective = Distillation(student, teacher, frozen_encoder=True, reduction="mean", taps="split")
    ran = []
    for detector in (student, teacher):
        detector.decoder.blocks[0].register_forward_hook(lambda *_: ran.append(1))
    objective.mode()
    some = batch()
    losses = objective.backward(some, [0.25, 1.0], CPU)

    student.compressor.train()
    target = teacher.encoder(some.x)
    for width, loss in losses.items():
        with student.widths.at(float(width)):
            made = student.decompressor(student.compressor(target))
        assert loss == pytest.approx(float((made - target).square().mean().detach()), rel=1e-5)
    assert not ran
    assert all(p.grad is not None for p in student.decompressor.parameters())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("detector: tiny-d0-cp", "narrows its encoder"),
        ("detector: tiny-d0-bw\npretrained_encoder: false", "a fresh encoder has to learn"),
    ],
)
def test_an_encoder_that_has_to_learn_cannot_be_frozen(said, problem, tmp_path):
    path = tmp_path / "student.yaml"
    path.write_text(
        f"{said}\nencoder: frozen\nteacher: t.safetensors\ntrain: {{path: t.json}}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputErrors, match=problem):
        load(path)


@pytest.mark.parametrize(("frozen", "moved"), [("update", True), ("keep", False)])
def test_statistics_of_the_frozen_layers_move_as_published_or_stay(teacher, frozen, moved):
    student = build(find("tiny-d0-bw"), teacher=teacher)
    objective = Distillation(student, teacher, frozen_statistics=frozen)
    before = student.decoder.blocks[0][0].bn1.running_mean.clone()
    objective.mode()
    objective.backward(batch(), [1.0], CPU)

    assert torch.equal(student.decoder.blocks[0][0].bn1.running_mean, before) != moved


def test_an_encoder_can_start_afresh_with_the_variance_of_its_fan_in(teacher):
    student = build(find("tiny-d0-cp"), teacher=teacher)
    start_encoder_afresh(student, seed=3)
    weight = student.encoder.conv_stem.weight
    p4 = student.decoder.blocks[0][0].conv_pw.weight

    assert not torch.equal(weight, teacher.encoder.conv_stem.weight)
    assert float(weight.std()) == pytest.approx(27**-0.5, rel=0.1)
    assert torch.equal(p4, teacher.decoder.blocks[0][0].conv_pw.weight)


def test_kernels_can_start_with_half_a_pulse_at_their_centres(teacher):
    plain, centred = (build(find("tiny-d0-cp"), teacher=teacher) for _ in range(2))
    centre_kernels(centred)
    changed = {
        key: value - plain.state_dict()[key]
        for key, value in centred.state_dict().items()
        if not torch.equal(value, plain.state_dict()[key])
    }

    assert set(changed) == {"compressor.conv_dw.weight", "decompressor.conv_dw.weight"}
    pulse = torch.zeros(5, 5)
    pulse[2, 2] = 0.5
    for difference in changed.values():
        torch.testing.assert_close(difference, pulse.expand_as(difference))


def test_statistics_after_training_are_those_of_the_pictures(teacher):
    """The mean over pictures of the means of a picture, at every width by itself."""
    student = build(find("tiny-d0-cp"), teacher=teacher)
    shown = list(noise(3, 3, 128, 128))
    recalibrate(student, shown, torch.device("cpu"))
    norm = student.encoder.blocks[1][0].bn1
    taken = norm.running_mean.clone()

    student.encoder.train()
    for row, width in enumerate(student.widths.values):
        inputs = []
        handle = norm.register_forward_pre_hook(lambda _, args, to=inputs: to.append(args[0]))
        with student.widths.at(width), torch.no_grad():
            for picture in shown:
                student.encoder(picture[None])
        handle.remove()
        expected = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
        torch.testing.assert_close(taken[row, : norm.counts[row]], expected)
    assert norm.momentum == 0.01


# Pictures


def dataset(tmp_path, count=12, wide=4):
    rng = np.random.default_rng(0)
    pictures = []
    for key in range(count):
        height, width = (40, 80) if key < wide else (64, 64)
        path = tmp_path / f"{key}.png"
        image = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 10, 0), 10, 1)
        cv2.imwrite(str(path), image[:height, :width])
        pictures.append(Picture(key, path, (Box(1, 8, 4, 16, 8, 128),), height, width))
    return Dataset("noise", {1: "thing"}, tuple(pictures))


def test_batches_hold_every_picture_once_and_one_kind_of_aspect(tmp_path):
    data = dataset(tmp_path)
    chosen = plan(data, seed=0, epoch=0, batch=3)

    assert sorted(k for one in chosen for k in one) == list(range(12))
    assert all(len({k < 4 for k in one}) == 1 for one in chosen)
    assert chosen == plan(data, seed=0, epoch=0, batch=3) != plan(data, seed=0, epoch=1, batch=3)


def test_a_mirrored_picture_takes_its_boxes_along(tmp_path, teacher):
    data = dataset(tmp_path, count=1, wide=1)
    straight, mirrored = (
        next(batches(data, teacher, [[0]], epoch=0, seed=0, flip=flip, workers=0))
        for flip in (0.0, 1.0)
    )

    factor = 128 / 80
    torch.testing.assert_close(straight.boxes[0], torch.tensor([[8.0, 4, 24, 12]]) * factor)
    torch.testing.assert_close(mirrored.boxes[0], torch.tensor([[56.0, 4.0, 72.0, 12.0]]) * factor)
    torch.testing.assert_close(
        mirrored.x[0, :, 10, 20:100], straight.x[0, :, 10].flip(-1)[:, 20:100], atol=0.2, rtol=0
    )


# The configuration


def write(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    return tmp_path / "run.yaml"


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ("efficientdet-d2-bw", (3, 5e-4, (3, 6, 9, 12), 8, 0)),
        ("efficientdet-d1-bw", (4, 5e-4, (3, 6, 9, 12), 8, 0)),
        ("efficientdet-d2-cp-c48-min25", (4, 1e-4, (2, 4, 6, 8), 8, 0)),
        ("efficientdet-d2-cp-c24-min50", (4, 5e-4, (2, 4, 6, 8), 8, 0)),
        ("mask-rcnn-bw", (4, 1e-3, (3, 6, 9, 12), 4, 1001)),
        ("faster-rcnn-cp", (4, 5e-4, (2, 4, 6, 8), 8, 1001)),
        ("efficientdet-d1-c20", (1, 5e-4, (3, 6, 9, 12), 6, 0)),
    ],
)
def test_what_is_left_out_is_as_published(detector, said, tmp_path):
    run = load(write(tmp_path, f"detector: {detector}\nteacher: t\ntrain: {{path: d.json}}\n"))

    assert (run.passes, run.learning_rate, run.milestones, run.batch, run.norm_batches) == said
    assert (run.epochs, run.decay, run.flip, run.stochastic_depth) == (12, 0.5, 0.5, 0.0)
    assert run.train.path == tmp_path / "d.json"


@pytest.mark.parametrize("detector", ["faster-rcnn-b3ch", "mask-rcnn-b12ch"])
def test_ghnd_has_its_own_schedule(detector, tmp_path):
    run = load(write(tmp_path, f"detector: {detector}\nteacher: t\ntrain: {{path: d.json}}\n"))

    assert (run.epochs, run.milestones, run.decay) == (20, (5, 15), 0.1)
    assert (run.batch, run.learning_rate, run.passes, run.norm_batches) == (4, 1e-3, 1, 0)
    own = "detector: mask-rcnn-b3ch\nteacher: t\ntrain: {path: d}\nepochs: 2\ndecay: 0.5\n"
    assert (load(write(tmp_path, own)).epochs, load(write(tmp_path, own)).decay) == (2, 0.5)


def test_the_smallest_width_shortens_the_list(tmp_path):
    text = "detector: tiny-d0-cp\nteacher: t\ntrain: {path: d}\nsmallest_width: 0.5\n"

    assert load(write(tmp_path, text)).split.widths == (0.5, 0.75, 1.0)


DATA = "train: {path: d}"


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["detector: tiny-d0-cq", "teacher: t", DATA], ["1: detector: no network", "tiny-d0-cp"]),
        (["detector: tiny-d0-cp", DATA], ["distillation needs a teacher"]),
        (["detector: tiny-d0", "teacher: t", DATA], ["1: detector: tiny-d0 has no bottleneck"]),
        (
            ["detector: tiny-d0-cp", "teacher: t", "objective: ground-truth", DATA],
            ["1: detector: only an EfficientDet", "2: teacher: is for distillation"],
        ),
        (
            ["detector: tiny-d0-cp", "teacher: t", DATA, "epochs: 0", "flop: 1"],
            ["4: epochs: ", "5: flop: "],
        ),
        (["detector: tiny-d0-cp", "teacher: t", "train: {pat: d}"], ["3: train.pat", "train.path"]),
    ],
)
def test_every_mistake_is_named_with_its_line(lines, messages, tmp_path):
    with pytest.raises(InputErrors) as caught:
        load(write(tmp_path, "\n".join(lines)))

    for message in messages:
        assert message in str(caught.value)


# Whole runs


@pytest.fixture
def run_files(tmp_path, teacher):
    """A student to train on a handful of pictures, with a teacher of fresh weights."""
    (tmp_path / "images").mkdir()
    data = dataset(tmp_path / "images", count=8, wide=0)
    rows = ["image,class,x,y,w,h", *(f"{p.path.name},thing,8,4,16,8" for p in data)]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    weights.save(teacher, tmp_path / "teacher.safetensors")
    return write(
        tmp_path,
        "detector: tiny-d0-cp\nteacher: teacher.safetensors\ntrain: {path: boxes.csv}\n"
        "epochs: 3\nbatch: 2\npasses: 3\nlearning_rate: 0.003\nmilestones: [2]\n"
        "warmup_steps: 2\nstochastic_depth: 0.2\ncheckpoint_steps: 1\nseed: 4\n",
    )


def test_a_run_lowers_the_loss_at_every_width(run_files, tmp_path):
    config = load(run_files).model_copy(update={"epochs": 12, "stochastic_depth": 0.0})
    train(config, tmp_path / "out", device="cpu")

    with (tmp_path / "out" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == list(range(1, 49))
    for width in ("0.25", "0.5", "0.75", "1"):
        losses = [float(row[width]) for row in rows if row[width]]
        assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
    student = weights.load(tmp_path / "out" / "final.safetensors")
    assert student.config == find("tiny-d0-cp")


RUN = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from testbed.training.config import load
from testbed.training.run import train
print("ready", flush=True)
train(load(Path(sys.argv[1])), Path(sys.argv[2]), device="cpu",
      told=lambda done, total, losses: print(done, flush=True))
"""


def test_a_running_mean_is_what_is_saved_and_survives_a_stop(run_files, tmp_path):
    class Stopped(Exception):
        pass

    def stop(done, total, losses):
        if done == 3:
            raise Stopped

    changes = {"average": 0.5, "schedule": "cosine", "epochs": 2}
    config = load(run_files).model_copy(update=changes)
    train(config, tmp_path / "whole", device="cpu")
    with pytest.raises(Stopped):
        train(config, tmp_path / "stopped", device="cpu", told=stop)
    train(config, tmp_path / "stopped", device="cpu")

    one, other = (load_file(tmp_path / n / "final.safetensors") for n in ("whole", "stopped"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    live = torch.load(tmp_path / "whole" / "last.pt", weights_only=True)["network"]
    moved = [key for key in one if "compressor" in key and not torch.equal(one[key], live[key])]
    assert moved  # the mean is not where the last step ended


def test_what_only_a_student_can_do_is_refused_for_a_teacher(tmp_path):
    path = tmp_path / "teacher.yaml"
    path.write_text(
        "detector: tiny-d0\nobjective: ground-truth\ntrain: {path: t.json}\n"
        "encoder: frozen\ntaps: split\nkernels: centred\n",
        encoding="utf-8",
    )
    with pytest.raises(InputErrors) as caught:
        load(path)
    assert str(caught.value).count("is for distillation") == 3


def test_a_run_can_end_before_its_schedule_does(run_files, tmp_path):
    config = load(run_files).model_copy(update={"epochs": 2, "schedule": "cosine"})
    train(config, tmp_path / "whole", device="cpu")
    train(config.model_copy(update={"steps": 5}), tmp_path / "less", device="cpu")
    train(config.model_copy(update={"steps": 5}), tmp_path / "less", device="cpu")

    whole, less = (
        (tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "less")
    )
    assert len(whole) == 1 + 8
    assert less == whole[: 1 + 5]
    assert (tmp_path / "less" / "final.safetensors").exists()


def test_a_teacher_goes_on_from_weights_at_another_side(run_files, tmp_path):
    lines = (
        "detector: tiny-d0\nobjective: ground-truth\ntrain: {path: boxes.csv}\nepochs: 1\n"
        "batch: 4\nlearning_rate: 1.0e-12\nside: 256\nanchor_scale: 2\nstart: teacher.safetensors\n"
    )
    config = load(write(tmp_path, lines))

    found = train(config, tmp_path / "out", device="cpu")

    assert (found.config.side, found.config.anchor_scale) == (256, 2)
    before = load_file(tmp_path / "teacher.safetensors")
    after = load_file(tmp_path / "out" / "final.safetensors")
    key = "decoder.class_net.predict.conv_pw.bias"
    torch.testing.assert_close(after[key], before[key], rtol=0, atol=1e-6)


def test_a_student_goes_on_from_weights_but_keeps_a_frozen_encoder(run_files, tmp_path):
    first = (
        "detector: tiny-d0-bw\nteacher: teacher.safetensors\ntrain: {path: boxes.csv}\n"
        "epochs: 1\nbatch: 4\nlearning_rate: 0.01\nwarmup_steps: 0\n"
    )
    train(load(write(tmp_path, first)), tmp_path / "first", device="cpu")
    then = first.replace("0.01", "1.0e-12") + "start: first/final.safetensors\nencoder: frozen\n"
    train(load(write(tmp_path, then)), tmp_path / "then", device="cpu")

    taught, before, after = (
        load_file(tmp_path / name)
        for name in ("teacher.safetensors", "first/final.safetensors", "then/final.safetensors")
    )
    key = "compressor.conv_pw.weight"
    torch.testing.assert_close(after[key], before[key], rtol=0, atol=1e-6)
    encoder = [key for key in taught if key.startswith("encoder")]
    assert all(torch.equal(after[key], taught[key]) for key in encoder)
    assert not all(torch.equal(before[key], taught[key]) for key in encoder)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(run_files, tmp_path):
    whole = subprocess.run(
        [sys.executable, "-c", RUN, str(run_files), str(tmp_path / "whole")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert whole.stdout.split()[-1] == "12"
    kills = 0
    for until in ("2", "5", "9"):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(run_files), str(tmp_path / "killed")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in process.stdout:
            if line.strip() == until:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    subprocess.run(
        [sys.executable, "-c", RUN, str(run_files), str(tmp_path / "killed")], check=True,
        capture_output=True,
    )  # fmt: skip

    assert kills == 3
    one = load_file(tmp_path / "whole" / "final.safetensors")
    other = load_file(tmp_path / "killed" / "final.safetensors")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def test_a_finished_run_started_again_does_nothing(run_files, tmp_path):
    config = load(run_files)
    train(config, tmp_path / "out", device="cpu")
    steps = []
    began = time.perf_counter()
    train(config, tmp_path / "out", device="cpu", told=lambda done, *_: steps.append(done))

    assert not steps
    assert time.perf_counter() - began < 60


def test_a_folder_of_another_run_is_refused(run_files, tmp_path):
    config = load(run_files).model_copy(update={"epochs": 1})
    train(config, tmp_path / "out", device="cpu")

    with pytest.raises(RunError, match="holds another run"):
        train(config.model_copy(update={"seed": 5}), tmp_path / "out", device="cpu")


@pytest.mark.slow
def test_two_processes_take_their_shares_and_end_with_the_same_weights(run_files, tmp_path):
    """By torchrun, as on several GPUs; gradients are added up, so both stay alike."""
    code = RUN.replace('print("ready", flush=True)', "").replace(
        "told=lambda done, total, losses: print(done, flush=True))",
        "told=lambda *a: None)\nimport os\n",
    )
    script = tmp_path / "go.py"
    script.write_text(code)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
         "29613", str(script), str(run_files), str(tmp_path / "two")],
        check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    with (tmp_path / "two" / "log.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 6  # 3 epochs of 4 batches, 2 a step
    assert weights.load(tmp_path / "two" / "final.safetensors").config == find("tiny-d0-cp")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_in_mixed_precision_keeps_weights_of_32_bits(precision, run_files, tmp_path):
    config = load(run_files).model_copy(update={"epochs": 1, "precision": precision})
    losses = []
    student = train(
        config, tmp_path / "out", device="cpu", told=lambda _d, _t, one: losses.append(one)
    )

    assert all(np.isfinite(value) for one in losses for value in one.values())
    assert {p.dtype for p in student.parameters()} == {torch.float32}
    fresh = build(find("tiny-d0-cp"), seed=4, teacher=weights.load(config.teacher))
    assert not torch.equal(student.compressor.conv_pw.weight, fresh.compressor.conv_pw.weight)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_a_run_on_an_accelerator_lowers_the_loss(run_files, tmp_path):
    config = load(run_files).model_copy(update={"epochs": 12, "precision": "bf16"})
    losses = []
    train(config, tmp_path / "out", device="cuda", told=lambda _d, _t, one: losses.append(one))

    assert losses[-1]["1"] < 0.95 * losses[0]["1"]
