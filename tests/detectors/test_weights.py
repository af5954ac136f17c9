"""Weights travel: our own files, and those of four projects under their own names."""

from __future__ import annotations

import argparse
import hashlib

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("safetensors", reason="needs the extra `detect`")

from torch.nn import functional as F  # noqa: E402, N812

from testbed.detectors import efficientdet, rcnn, weights  # noqa: E402
from testbed.detectors.configurations import SplitConfig, find  # noqa: E402
from testbed.detectors.outside import convert  # noqa: E402
from testbed.detectors.renaming import from_yaed  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.detectors.weights import WeightsError  # noqa: E402
from testbed.errors import TestbedError  # noqa: E402

SMALL_RCNN = {"side": 96, "classes": 3, "compressor": "stack"}


def pictures(side):
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def library(module, config):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = module.library_model(config)
    generator = torch.Generator().manual_seed(2)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
        elif name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
    return network


@pytest.mark.parametrize("name", ["tiny-d0", "tiny-d0-cp", "tiny-d0-bw"])
def test_a_network_comes_back_from_its_file(name, tmp_path):
    detector = build(find(name), seed=5)
    weights.save(detector, tmp_path / "w.safetensors")
    again = weights.load(tmp_path / "w.safetensors")

    assert again.config == detector.config
    state = again.state_dict()
    assert all(torch.equal(state[k], v) for k, v in detector.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_effdets_file_gives_effdets_output(tmp_path):
    config = find("tiny-d0")
    network = library(efficientdet, config)
    content = network.state_dict()
    torch.save(content, tmp_path / "some.pth")
    digest = hashlib.sha256((tmp_path / "some.pth").read_bytes()).hexdigest()
    path = tmp_path / f"tf_efficientdet-{digest[:8]}.pth"
    (tmp_path / "some.pth").rename(path)
    with torch.inference_mode():
        x = pictures(128)
        expected = network(x)
        ours = convert(path, find("tiny-d0-cp"))(x)

    for side, theirs in zip(ours, expected, strict=True):
        for level, other in zip(side, theirs, strict=True):
            torch.testing.assert_close(level, other, rtol=1e-5, atol=1e-5)


def test_a_file_whose_hash_is_not_that_of_its_name_is_refused(tmp_path):
    path = tmp_path / "tf_efficientdet_d2_43-8107aa99.pth"
    torch.save({"a": torch.zeros(1)}, path)

    with pytest.raises(WeightsError, match=r"damaged: its SHA-256 is .*, not 8107aa99"):
        convert(path, find("efficientdet-d2"))


def yaed_shapes(config):
    """Names and shapes of YAED's checkpoint, from its own structure (efficientdet/model.py)."""
    width, depth = config.backbone
    shapes = {}

    def conv(name, out, cin, k, bias):
        shapes[f"{name}.conv.weight"] = (out, cin, k, k)
        if bias:
            shapes[f"{name}.conv.bias"] = (out,)

    def norm(name, n):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (n,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def rounded(channels):
        new = max(8, int(channels * width + 4) // 8 * 8)
        return new + 8 if new < 0.9 * channels * width else new

    model = "backbone_net.model"
    conv(f"{model}._conv_stem", rounded(32), 3, 3, False)
    norm(f"{model}._bn0", rounded(32))
    stages = [(1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80), (3, 5, 6, 112),
              (4, 5, 6, 192), (1, 3, 6, 320)]  # fmt: skip
    cin, index, outs = rounded(32), 0, []
    for repeats, k, expand, cout in stages:
        for _ in range(-int(-depth * repeats // 1)):
            block, hidden, out = f"{model}._blocks.{index}", cin * expand, rounded(cout)
            if expand != 1:
                conv(f"{block}._expand_conv", hidden, cin, 1, False)
                norm(f"{block}._bn0", hidden)
            conv(f"{block}._depthwise_conv", hidden, 1, k, False)
            norm(f"{block}._bn1", hidden)
            squeezed = max(1, int(cin * 0.25))
            conv(f"{block}._se_reduce", squeezed, hidden, 1, True)
            conv(f"{block}._se_expand", hidden, squeezed, 1, True)
            conv(f"{block}._project_conv", out, hidden, 1, False)
            norm(f"{block}._bn2", out)
            cin, index = out, index + 1
        outs.append(cin)
    p3, p4, p5 = outs[2], outs[4], outs[6]
    channels, cells = config.fpn

    def separable(name, out, normed):
        conv(f"{name}.depthwise_conv", channels, 1, 3, False)
        conv(f"{name}.pointwise_conv", out, channels, 1, True)
        if normed:
            norm(f"{name}.bn", channels)

    for cell in range(cells):
        for node in ("conv6_up", "conv5_up", "conv4_up", "conv3_up", "conv4_down", "conv5_down",
                     "conv6_down", "conv7_down"):  # fmt: skip
            separable(f"bifpn.{cell}.{node}", channels, True)
        for name, count in {"p6_w1": 2, "p5_w1": 2, "p4_w1": 2, "p3_w1": 2, "p4_w2": 3,
                            "p5_w2": 3, "p6_w2": 3, "p7_w2": 2}.items():  # fmt: skip
            shapes[f"bifpn.{cell}.{name}"] = (count,)
    laterals = {"p5_down_channel": p5, "p4_down_channel": p4, "p3_down_channel": p3,
                "p5_to_p6": p5, "p4_down_channel_2": p4, "p5_down_channel_2": p5}  # fmt: skip
    for name, cin in laterals.items():
        conv(f"bifpn.0.{name}.0", channels, cin, 1, True)
        norm(f"bifpn.0.{name}.1", channels)
    for head, out in (("regressor", 36), ("classifier", 9 * config.classes)):
        for layer in range(3):
            separable(f"{head}.conv_list.{layer}", channels, False)
            for level in range(5):
                norm(f"{head}.bn_list.{level}.{layer}", channels)
        separable(f"{head}.header", out, False)
    return shapes


def filled(shapes):
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) if shape else torch.tensor(1)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("name", ["efficientdet-d1", "efficientdet-d2"])
def test_every_name_of_the_papers_checkpoints_finds_its_place(name, tmp_path):
    config = find(name)
    state = filled(yaed_shapes(config))
    learned = sum(v.numel() for k, v in state.items()
                  if v.shape and "running_" not in k)  # fmt: skip
    renamed = from_yaed(state)
    own = efficientdet.library_model(config).state_dict()

    assert learned == {"efficientdet-d1": 6_625_898, "efficientdet-d2": 8_097_039}[name]
    assert renamed.keys() == own.keys()
    assert {k: tuple(v.shape) for k, v in renamed.items()} == {
        k: tuple(v.shape) for k, v in own.items()
    }
    torch.save(state, tmp_path / f"{name}.pth")
    detector = convert(tmp_path / f"{name}.pth", config)
    where = {
        "backbone_net.model._blocks.2._bn1.running_mean": "encoder.blocks.1.0.bn2.running_mean",
        "backbone_net.model._blocks.0._project_conv.conv.weight":
            "encoder.blocks.0.0.conv_pw.weight",
        "backbone_net.model._blocks.8._expand_conv.conv.weight":
            "decoder.blocks.0.0.conv_pw.weight",
        "bifpn.1.p4_w2": "decoder.fpn.cell.1.fnode.4.combine.edge_weights",
        "bifpn.0.p4_down_channel_2.0.conv.weight":
            "decoder.fpn.cell.0.fnode.4.combine.resample.1.conv.conv.weight",
        "classifier.bn_list.4.2.bias": "decoder.class_net.bn_rep.2.4.bn.bias",
        "regressor.header.pointwise_conv.conv.bias": "decoder.box_net.predict.conv_pw.bias",
    }  # fmt: skip
    placed = detector.state_dict()
    for theirs, ours in where.items():
        assert torch.equal(placed[ours], state[theirs]), theirs


def old_names(state):
    """Torchvision's names of 2019."""
    found = {}
    for key, value in state.items():
        if "_blocks." in key and key.split(".")[-2] == "0":
            key = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        key = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for k in range(4):
            key = key.replace(f"mask_head.{k}.0.", f"mask_head.mask_fcn{k + 1}.")
        found[key] = value
    return found


@pytest.mark.parametrize("names", [dict, old_names])
@pytest.mark.parametrize("family", ["faster-rcnn", "mask-rcnn"])
def test_torchvisions_files_of_today_and_of_2019(family, names, tmp_path):
    """With the ε of 0 that its COCO weights were trained with."""
    config = SplitConfig(name="small", family=family, **SMALL_RCNN)
    network = library(rcnn, config)
    state = names(network.state_dict())
    assert ("rpn.head.conv.weight" in state) == (names is old_names)
    torch.save(state, tmp_path / "w.pth")
    detector = convert(tmp_path / "w.pth", config)
    for layer in network.modules():
        if hasattr(layer, "eps") and type(layer).__name__ == "FrozenBatchNorm2d":
            layer.eps = 0.0

    with torch.inference_mode():
        x = pictures(96)
        expected = network.backbone.body(x)
        for ours, theirs in zip(detector.features(x), expected.values(), strict=True):
            scale = float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * scale)
    own = {k: v for k, v in detector.state_dict().items() if "roi_heads" in k}
    for key, value in network.state_dict().items():
        if key.startswith("roi_heads"):
            assert torch.equal(own[f"decoder.{key}"], value)


def slim_norm(shapes, name, channels, widths):
    """A normalisation of the released code at several widths, by its own structure."""
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{name}.{part}"] = (channels,)
    shapes[f"{name}.num_batches_tracked"] = ()
    for row, width in enumerate(widths):
        for part in ("running_mean", "running_var"):
            shapes[f"{name}.bn.{row}.{part}"] = (round(channels * width),)
        shapes[f"{name}.bn.{row}.num_batches_tracked"] = ()


def student_shapes(config):
    """Names and shapes of a student of jsiloto/adaptive-cod (models/efficientdet, slimmable)."""
    shapes = yaed_shapes(config)
    full = config.kind == "cp"
    first, last = {0: (1, 4)}.get(config.coefficient, (2, 7))  # blocks of stages 2 and 3
    p3 = shapes[f"backbone_net.model._blocks.{last}._project_conv.conv.weight"][0]

    def norm(name, channels, slim):
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            shapes[f"{name}.{part}"] = () if part == "num_batches_tracked" else (channels,)
        if slim:
            slim_norm(shapes, name, channels, config.widths)

    if full:
        for name in [n for n in shapes if "_blocks." in n and n.endswith("running_mean")]:
            if first <= int(name.split(".")[3]) <= last:
                slim_norm(shapes, name.rpartition(".")[0], shapes[name][0], config.widths)
    c = config.channels
    for end, cin, cout in (("encoder", p3, c), ("decoder", c, p3)):
        block, hidden = f"backbone_net.bottleneck.{end}", 6 * cin
        shapes[f"{block}._expand_conv.conv.weight"] = (hidden, cin, 1, 1)
        norm(f"{block}._bn0", hidden, full)
        shapes[f"{block}._depthwise_conv.conv.weight"] = (hidden, 1, 5, 5)
        norm(f"{block}._bn1", hidden, full)
        for layer, out, into in (("reduce", cin // 4, hidden), ("expand", hidden, cin // 4)):
            shapes[f"{block}._se_{layer}.conv.weight"] = (out, into, 1, 1)
            shapes[f"{block}._se_{layer}.conv.bias"] = (out,)
        shapes[f"{block}._project_conv.conv.weight"] = (cout, hidden, 1, 1)
        norm(f"{block}._bn2", cout, config.kind != "fixed" and end == "encoder")
    return shapes


def saved_by_the_authors(state, path):
    """As their `save_ckpt` does: the command line is an object among the tensors."""
    args = argparse.Namespace(config="config/acod/x.yaml", distill=True)
    content = {"model": state, "best_value": 0.4, "config": {"train": {"num_epochs": 12}}}
    torch.save(content | {"args": args}, path)


@pytest.mark.parametrize(
    "name",
    ["efficientdet-d2-c12", "efficientdet-d1-bw", "efficientdet-d2-bw",
     "efficientdet-d2-cp-c48-min25", "efficientdet-d2-cp-c24-min50"],
)  # fmt: skip
def test_every_name_of_the_papers_own_students_finds_its_place(name, tmp_path):
    config = find(name)
    state = filled(student_shapes(config))
    saved_by_the_authors(state, tmp_path / "student.pt")
    placed = convert(tmp_path / "student.pt", config).state_dict()

    for theirs, ours in {
        "backbone_net.model._conv_stem.conv.weight": "encoder.conv_stem.weight",
        "backbone_net.model._blocks.7._bn2.weight": "encoder.blocks.2.2.bn3.weight",
        "backbone_net.model._blocks.8._bn2.running_var": "decoder.blocks.0.0.bn3.running_var",
        "backbone_net.bottleneck.encoder._expand_conv.conv.weight": "compressor.conv_pw.weight",
        "backbone_net.bottleneck.encoder._se_reduce.conv.bias": "compressor.se.conv_reduce.bias",
        "backbone_net.bottleneck.decoder._project_conv.conv.weight": "decompressor.conv_pwl.weight",
        "backbone_net.bottleneck.decoder._bn2.running_mean": "decompressor.bn3.running_mean",
        "classifier.header.pointwise_conv.conv.bias": "decoder.class_net.predict.conv_pw.bias",
    }.items():
        assert torch.equal(placed[ours], state[theirs]), theirs
    for row, width in enumerate(config.widths if config.kind != "fixed" else ()):
        n = config.bottleneck(width)
        theirs = state[f"backbone_net.bottleneck.encoder._bn2.bn.{row}.running_mean"]
        assert torch.equal(placed["compressor.bn3.running_mean"][row, :n], theirs)


def test_a_student_of_the_paper_computes_what_its_weights_say(tmp_path):
    """The compressor at a quarter of its width, once more, by their names alone."""
    config = find("tiny-d0-cp")
    state = filled(student_shapes(config))
    state = {k: v.abs() + 0.5 if "running_var" in k else 0.3 * v if v.ndim else v
             for k, v in state.items()}  # fmt: skip
    saved_by_the_authors(state, tmp_path / "student.pt")
    detector = convert(tmp_path / "student.pt", config)
    x = torch.randn(1, 6, 9, 9, generator=torch.Generator().manual_seed(0))

    def weight(name, out, into=None):
        return state[f"backbone_net.bottleneck.encoder.{name}.conv.weight"][:out, :into]

    def bias(name, out):
        return state[f"backbone_net.bottleneck.encoder.{name}.conv.bias"][:out]

    def norm(x, name):
        of = f"backbone_net.bottleneck.encoder.{name}"
        mean, variance = (state[f"{of}.bn.0.running_{part}"] for part in ("mean", "var"))
        scale, shift = (state[f"{of}.{part}"][: x.shape[1]] for part in ("weight", "bias"))
        return F.batch_norm(x, mean, variance, scale, shift, eps=1e-3)

    h = F.silu(norm(F.conv2d(x, weight("_expand_conv", 36, 6)), "_bn0"))
    h = F.silu(norm(F.conv2d(h, weight("_depthwise_conv", 36), padding=2, groups=36), "_bn1"))
    s = F.silu(F.conv2d(h.mean((2, 3), keepdim=True), weight("_se_reduce", 2, 36),
                        bias("_se_reduce", 2)))  # fmt: skip
    h = h * torch.sigmoid(F.conv2d(s, weight("_se_expand", 36, 2), bias("_se_expand", 36)))
    expected = norm(F.conv2d(h, weight("_project_conv", 6, 36)), "_bn2")
    with torch.inference_mode(), detector.widths.at(0.25):
        torch.testing.assert_close(detector.compressor(x), expected)


@pytest.mark.parametrize(
    ("changes", "starts"),
    [
        # GHND of Matsubara and Levorato, without and with the class around its encoder.
        ({"kind": "fixed", "channels": 3},
         {"compressor.": "layer1.encoder.", "encoder.": ""}),
        ({"kind": "fixed", "channels": 3},
         {"compressor.": "layer1.encoder.encoder.", "encoder.": ""}),
        # The released code, whose stem is a sequence, or slimmable.
        ({"kind": "bw", "channels": 12, "widths": (0.25, 0.5, 1.0)},
         {"compressor.": "layer1.encoder.encoder.", "encoder.conv1.": "layer0.0.",
          "encoder.bn1.": "layer0.1."}),
        ({"kind": "cp", "channels": 12, "widths": (0.25, 0.5, 1.0)},
         {"compressor.": "layer1.encoder.encoder.", "encoder.": "layer0."}),
    ],
    ids=["ghnd", "ghnd-wrapped", "bw", "cp"],
)  # fmt: skip
def test_a_checkpoint_of_ghnd_or_of_the_paper_is_a_student(changes, starts, tmp_path):
    config = SplitConfig(name="small", family="faster-rcnn", **changes, **SMALL_RCNN)
    source = build(config, seed=8)
    generator = torch.Generator().manual_seed(1)
    for name, buffer in source.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    names = {theirs: f"backbone.body.{ours}" for theirs, ours in starts.items()}
    names |= {
        "decompressor.": "backbone.body.layer1.decoder.",
        "decoder.fpn.": "backbone.fpn.",
        "decoder.rpn.": "rpn.",
        "decoder.roi_heads.": "roi_heads.",
        "decoder.": "backbone.body.",
    }
    state = {}
    for key, value in source.state_dict().items():
        ours = next(start for start in names if key.startswith(start))
        theirs = names[ours] + key[len(ours) :]
        if value.ndim == 2 and "running_" in key:  # a row per width, of its own length
            owner, _, part = theirs.rpartition(".")
            state[theirs] = value[-1].clone()
            for row, width in enumerate(config.widths):
                own = value[row, : round(value.shape[1] * width)].clone()
                state[f"{owner}.bn.{row}.{part}"] = own
        elif not (value.ndim == 1 and key.endswith("num_batches_tracked")):
            state[theirs] = value
    saved_by_the_authors(old_names(state), tmp_path / "student.pt")
    detector = convert(tmp_path / "student.pt", config)

    x = pictures(96)
    for width in config.widths:
        with torch.inference_mode(), source.widths.at(width), detector.widths.at(width):
            scale = float(source.bottleneck(x).abs().max())
            torch.testing.assert_close(
                detector.bottleneck(x), source.bottleneck(x), rtol=1e-3, atol=1e-4 * scale
            )
    with pytest.raises(WeightsError, match="holds a network with a bottleneck; name one, such as"):
        convert(tmp_path / "student.pt", SplitConfig(name="t", family="faster-rcnn", **SMALL_RCNN))
    with pytest.raises(WeightsError, match="holds an R-CNN, not tiny-d0-bw, which is effic"):
        convert(tmp_path / "student.pt", find("tiny-d0-bw"))


def test_what_does_not_fit_is_named(tmp_path):
    state = library(efficientdet, find("tiny-d0")).state_dict()
    del state["backbone.bn1.bias"]
    state["backbone.extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"lacks backbone\.bn1\.bias; has backbone\.extra"):
        convert(tmp_path / "w.pth", find("tiny-d0"))
    with pytest.raises(WeightsError, match="holds an EfficientDet, not a faster-rcnn"):
        convert(tmp_path / "w.pth", find("faster-rcnn"))
    torch.save({"a.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="neither effdet's"):
        convert(tmp_path / "w.pth", find("tiny-d0"))


def test_what_is_no_file_of_weights_is_named(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"no zip")
    (tmp_path / "a.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match="no file of tensors"):
        convert(tmp_path / "a.pth", find("tiny-d0"))
    with pytest.raises(WeightsError, match="no safetensors file"):
        weights.load(tmp_path / "a.safetensors")
    with pytest.raises(TestbedError, match="no such file"):
        weights.load(tmp_path / "b.safetensors")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Evil()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no file of tensors"):
        convert(tmp_path / "w.pth", find("tiny-d0"))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def couple(tmp_path):
    """A teacher's file, and a student's that leaves out what it shares with it."""
    teacher = build(find("tiny-d0"), seed=5)
    weights.save(teacher, tmp_path / "teacher.safetensors", half=True)
    student = build(find("tiny-d0-bw"), seed=6, teacher=teacher)
    with torch.no_grad():
        student.encoder.conv_stem.weight.add_(0.25)
    return student, tmp_path / "teacher.safetensors", tmp_path / "student.safetensors"


def test_a_student_without_its_teachers_decoder_comes_back_whole(couple):
    student, base, path = couple
    weights.save(student, path, half=True)
    whole, entire = weights.load(path).state_dict(), path.stat().st_size
    weights.save(student, path, half=True, base=base)
    again = weights.load(path).state_dict()

    assert path.stat().st_size < 0.2 * entire
    assert again.keys() == whole.keys()
    assert all(torch.equal(again[key], value) for key, value in whole.items())


def test_a_student_is_refused_beside_another_teacher(couple):
    student, base, path = couple
    weights.save(student, path, half=True, base=base)
    weights.save(build(find("tiny-d0"), seed=7), base, half=True)
    with pytest.raises(WeightsError, match=r"builds on another teacher\.safetensors"):
        weights.load(path)
    base.unlink()
    with pytest.raises(WeightsError, match=r"builds on teacher\.safetensors, which does not lie"):
        weights.load(path)
