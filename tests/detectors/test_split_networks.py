"""A network in parts is the library's; a student is its teacher plus a bottleneck."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")

from testbed.detectors import efficientdet, rcnn  # noqa: E402
from testbed.detectors.calibrate import keep_largest_channels  # noqa: E402
from testbed.detectors.configurations import CONFIGURATIONS, SplitConfig, find  # noqa: E402
from testbed.detectors.slimmable import (  # noqa: E402
    SlimmableBatchNorm2d,
    slice_to,
    slim_layers,
)
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import UnknownName  # noqa: E402

SMALL_RCNN = {"side": 96, "classes": 3, "compressor": "stack"}


def shaken(network):
    """Weights and statistics that are no round numbers."""
    generator = torch.Generator().manual_seed(5)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.is_floating_point() and not name.endswith("anchors"):
            noise = torch.rand(tensor.shape, generator=generator)
            with torch.no_grad():
                if "running_var" in name:
                    tensor.copy_(0.5 + noise)
                elif name.endswith("bn3.weight"):
                    tensor.mul_(0.2)  # so that residuals do not add up to huge activations
                elif "bn" in name or "running_mean" in name:
                    tensor.add_(0.2 * noise)
    return network.eval()


def pictures(side, n=1):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", ["tiny-d0", "efficientdet-d1", "efficientdet-d2"])
def test_an_efficientdet_in_parts_is_that_of_the_library_at_all_levels(name):
    config = find(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = shaken(efficientdet.library_model(config))
    with torch.inference_mode():
        x = pictures(config.side)
        classes, boxes = network(x)
        parts = efficientdet.from_library(network, config)
        our_classes, our_boxes = parts(x)

    assert len(classes) == len(boxes) == 5
    for ours, theirs in zip([*our_classes, *our_boxes], [*classes, *boxes], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["faster-rcnn", "mask-rcnn"])
def test_an_rcnn_in_parts_is_that_of_the_library(family):
    config = SplitConfig(name="small", family=family, **SMALL_RCNN)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = shaken(rcnn.library_model(config))
    image = np.random.default_rng(0).integers(0, 256, (60, 110, 3), dtype=np.uint8)
    with torch.inference_mode():
        (theirs,) = network([torch.from_numpy(image).permute(2, 0, 1) / 255])
        parts = rcnn.from_library(network, config)
        x, fit = parts.prepare(image)
        (ours,) = parts.detect(parts.bottleneck(x[None]), [fit])

    assert len(ours) > 0
    np.testing.assert_allclose(ours.boxes, theirs["boxes"].numpy(), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(ours.scores, theirs["scores"].numpy(), rtol=1e-5)
    assert np.array_equal(ours.labels, theirs["labels"].numpy())
    if family == "mask-rcnn":
        assert np.array_equal(ours.masks, (theirs["masks"][:, 0] > 0.5).numpy())


@pytest.mark.parametrize("name", ["tiny-d0-bw", "tiny-d0-cp", "small-d0-cp"])
def test_a_student_differs_from_its_teacher_only_at_the_bottleneck(name):
    config = find(name)
    teacher = build(find(name.rpartition("-")[0]))
    student = build(config, teacher=teacher)
    x = pictures(config.side)

    with torch.inference_mode():
        torch.testing.assert_close(student.encoder(x), teacher.encoder(x), rtol=0, atol=1e-6)
        p3 = teacher.encoder(x)
        for ours, theirs in zip(
            student.decoder.features(p3), teacher.decoder.features(p3), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_building_leaves_the_teacher_and_the_global_random_state_alone():
    teacher = build(find("tiny-d0"))
    before = torch.get_rng_state(), {k: v.clone() for k, v in teacher.state_dict().items()}
    student = build(find("tiny-d0-cp"), teacher=teacher)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()

    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(v, before[1][k]) for k, v in teacher.state_dict().items())
    assert not list(slim_layers(teacher))


def test_a_seed_gives_the_same_weights_and_another_one_others():
    first, again, other = (build(find("tiny-d0-bw"), seed=s).state_dict() for s in (3, 3, 4))

    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_only_what_the_paper_narrows_is_slimmable():
    def names(name):
        detector = build(find(name))
        slim = set(map(id, slim_layers(detector)))
        return {n for n, m in detector.named_modules() if id(m) in slim}

    assert names("efficientdet-d2-bw") == {
        "compressor.conv_pwl", "compressor.bn3", "decompressor.conv_pw",
    }  # fmt: skip
    cp = names("efficientdet-d2-cp-c48-min25")
    assert not any(
        n.startswith(("encoder.conv_stem", "encoder.bn1", "encoder.blocks.0")) for n in cp
    )
    assert len([n for n in cp if n.startswith("encoder.blocks.")]) == 6 * 8
    assert "decompressor.bn3" not in cp
    assert "decompressor.conv_pwl" in cp
    assert not any(n.startswith("decoder") for n in cp)
    assert names("faster-rcnn-bw") == {"compressor.7", "decompressor.0", "decompressor.2"}
    assert names("faster-rcnn-cp") == {
        "encoder.conv1", "encoder.bn1", "decompressor.0", "decompressor.2",
        *(f"compressor.{k}" for k in (0, 1, 2, 3, 5, 6, 7)),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["tiny-d0-cp", "tiny-d0-bw"])
def test_every_width_gives_the_bottleneck_its_channels_and_the_decoder_its_input(name):
    config = find(name)
    detector = build(config)
    for width in config.widths:
        with detector.widths.at(width), torch.inference_mode():
            z = detector.bottleneck(pictures(128))
            assert z.shape == (1, config.bottleneck(width), *config.grid(128, 128))
            assert detector.decompressor(z).shape == (1, 24, 16, 16)


DROPS = {"kind": "fixed", "channels": 5, "coefficient": 0, "channel_multiplier": 0.5, "side": 128,
         "fpn_channels": 32, "fpn_cells": 2}  # fmt: skip


def test_channels_are_dropped_by_index_or_by_magnitude():
    by_index, by_size = (
        build(SplitConfig(name=drop, compressor=drop, **DROPS))
        for drop in ("drop-index", "drop-magnitude")
    )
    rng = np.random.default_rng(0)
    shown = [rng.integers(0, 256, size, dtype=np.uint8) for size in ((40, 90, 3), (60, 30, 3))]
    chosen = keep_largest_channels(by_size, shown)

    magnitudes = 0
    for image in shown:  # without the padding: 57 of 128 rows, 64 of 128 columns
        x, fit = by_size.prepare(image)
        rows, columns = (-(-side // 8) for side in fit.resized)
        with torch.inference_mode():
            features = by_size.encoder(x[None])[0, :, :rows, :columns]
        magnitudes = magnitudes + features.abs().mean((1, 2)).numpy()
    assert chosen == sorted(np.argsort(-magnitudes)[:5].tolist()) != list(range(5))
    assert by_size.compressor.kept.tolist() == chosen
    assert by_index.compressor.kept.tolist() == list(range(5))
    x = pictures(16).repeat(1, 8, 1, 1)
    assert torch.equal(by_size.compressor(x), x[:, chosen])
    with pytest.raises(ValueError, match="drop-index does not drop channels by magnitude"):
        keep_largest_channels(by_index, shown)
    with pytest.raises(ValueError, match="no picture"):
        keep_largest_channels(by_size, [])


def test_the_stack_of_an_efficientdet_sends_four_rows_and_columns_more():
    config = find("efficientdet-d2-c12-stack")
    tiny = SplitConfig(name="tiny-stack", compressor="stack", **DROPS)
    detector = build(tiny)
    with torch.inference_mode():
        z = detector.bottleneck(pictures(128))
        restored = detector.decompressor(z)

    assert config.grid(768, 768) == (100, 100)
    assert z.shape == (1, 5, *tiny.grid(128, 128)) == (1, 5, 20, 20)
    assert restored.shape == (1, 24, 16, 16)
    assert not isinstance(detector.decompressor[-1], torch.nn.ReLU)  # P3 is signed
    assert float(restored.min()) < 0
    assert [m.out_channels for m in build(config).decompressor if hasattr(m, "kernel_size")] == [
        64, 128, 256, 48,
    ]  # fmt: skip


def test_a_picture_lies_top_left_on_zeros():
    image = np.full((40, 80, 3), 255, np.uint8)
    x, fit = build(find("tiny-d0")).prepare(image)

    assert (fit.original, fit.resized, fit.canvas) == ((40, 80), (64, 128), (128, 128))
    assert x[:, 64:].abs().max() == 0
    torch.testing.assert_close(
        x[:, 0, 0], torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    )


def test_boxes_come_back_in_pixels_of_the_picture():
    """One anchor speaks: the one of the first cell, level 3, scale 1, square, 4 strides wide."""
    decoder = build(find("tiny-d0")).decoder
    logits = [torch.full((1, 9 * 90, s, s), -9.0) for s in (16, 8, 4, 2, 1)]
    codes = [torch.zeros(1, 36, s, s) for s in (16, 8, 4, 2, 1)]
    logits[0][0, 4, 3, 5] = 3.0  # anchor 0, class 5, row 3, column 5
    decoder.forward = lambda x: (logits, codes)
    from testbed.detectors.detections import Fit

    (found,) = decoder.detect(torch.zeros(1), [Fit((64, 128), (64, 128), (128, 128))])

    assert found.labels.tolist() == [5]
    np.testing.assert_allclose(found.boxes, [[44 - 16, 28 - 16, 44 + 16, 28 + 16]])
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3))], rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in CONFIGURATIONS if "d0" not in n])
def test_every_published_configuration_has_the_bottleneck_of_its_table(name):
    config = CONFIGURATIONS[name]
    if config.kind == "teacher":
        assert config.channels == 0
    elif config.family == "efficientdet" and config.compressor != "stack":
        assert config.grid(config.side, config.side) == (config.side // 8, config.side // 8)
    elif config.compressor == "stack":
        more = {"efficientdet": 100}.get(config.family, 204)
        assert config.grid(config.side, config.side) == (more, more)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": 100}, "multiple of 128"),
        ({"kind": "bw"}, "needs channels"),
        ({"kind": "fixed", "channels": 12, "widths": (0.5, 1.0)}, "width 1 only"),
        ({"kind": "cp", "channels": 12, "compressor": "stack"}, "has one width"),
        ({"kind": "bw", "channels": 12, "compressor": "sru-cru"}, "has one width"),
        (
            {"family": "faster-rcnn", "kind": "bw", "channels": 12, "compressor": "mbconv"},
            "not one of faster-rcnn",
        ),
        ({"coefficient": 7}, "0, 1 or 2"),
        ({"classes": 0}, "at least 1"),
    ],
)
def test_a_shape_of_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig(name="x", **changes)


def test_a_wrong_name_meets_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'efficientdet-d2-bw'"):
        find("efficientdet-d2-bv")


def test_a_student_is_no_teacher():
    with pytest.raises(ValueError, match="tiny-d0-bw has a bottleneck itself"):
        build(find("tiny-d0-cp"), teacher=build(find("tiny-d0-bw")))


def test_a_teacher_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="tiny-d0 cannot teach small-d0-bw"):
        build(find("small-d0-bw"), teacher=build(find("tiny-d0")))


def test_a_wide_range_of_widths_has_statistics_of_its_own_behind_the_bottleneck():
    """What a first layer adds up grows with its inputs, five-fold over the widths of scenes."""
    student = build(find("scenes-d0-bw"))
    decompressor = student.decompressor
    norms = [m for m in decompressor.modules() if isinstance(m, SlimmableBatchNorm2d)]
    assert len(norms) == 3
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in decompressor.modules())

    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    decompressor.train()
    with student.widths.at(0.1875):
        decompressor(x[:, :3])
    decompressor.eval()
    for norm in norms:
        assert norm.active == norm.num_features
        assert norm.num_batches_tracked.tolist() == [1] + [0] * 5
        assert not torch.equal(norm.running_var[0], norm.running_var[1])
        assert torch.equal(norm.running_var[1], norm.running_var[5])
    for width, channels in ((0.1875, 3), (1.0, 16)):
        with student.widths.at(width):
            expected = decompressor(x[:, :channels])
        torch.testing.assert_close(slice_to(decompressor, width)(x[:, :channels]), expected)


def test_published_networks_share_statistics_behind_the_bottleneck():
    student = build(find("tiny-d0-bw"))
    norms = [m for m in student.decompressor.modules() if isinstance(m, SlimmableBatchNorm2d)]
    assert norms == []
