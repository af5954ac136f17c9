"""A width cut out, folded or exported computes what the slimmable network does at that width."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")

from torch import nn  # noqa: E402

from testbed.detectors.accelerator import device_of  # noqa: E402
from testbed.detectors.configurations import SplitConfig, find  # noqa: E402
from testbed.detectors.deploy import EagerEncoder, OnnxEncoder, cut_out  # noqa: E402
from testbed.detectors.slimmable import slice_to, slim_layers  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import EnvironmentLacks, TestbedError  # noqa: E402

SMALL_RCNN = SplitConfig(
    name="small", family="faster-rcnn", kind="cp", side=64, channels=12, classes=3,
    widths=(0.25, 0.5, 1.0), compressor="stack",
)  # fmt: skip


def pictures(side):
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def trained(config):
    """A network whose statistics and scales are no round numbers, and differ between widths."""
    detector = build(config)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*detector.named_parameters(), *detector.named_buffers()]:
        if tensor.is_floating_point() and not name.startswith("decoder"):
            noise = torch.rand(tensor.shape, generator=generator)
            with torch.no_grad():
                if "running_var" in name:
                    tensor.copy_(0.5 + noise)
                elif "running_mean" in name or "bn" in name:
                    tensor.add_(0.3 * noise)
    return detector.eval()


@pytest.mark.parametrize("config", [find("tiny-d0-cp"), find("tiny-d0-bw"), SMALL_RCNN],
                         ids=lambda c: f"{c.family}-{c.kind}")  # fmt: skip
def test_every_width_cut_out_and_folded_agrees_to_a_millionth(config):
    detector = trained(config)
    x = pictures(config.side)
    for width in config.widths:
        module = cut_out(detector, width)
        with detector.widths.at(width), torch.inference_mode():
            expected = detector.bottleneck(x)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in module.modules())
        assert not list(slim_layers(module))
        scale = float(expected.abs().max())
        torch.testing.assert_close(module(x), expected, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_a_width_exported_by_torch_agrees_to_a_millionth(width):
    detector = trained(find("tiny-d0-cp"))
    module = nn.Sequential(slice_to(detector.encoder, width), slice_to(detector.compressor, width))
    x = pictures(128)
    exported = torch.export.export(module.eval(), (x,)).module()
    with detector.widths.at(width), torch.inference_mode():
        torch.testing.assert_close(exported(x), detector.bottleneck(x), rtol=1e-6, atol=1e-6)


def test_a_picture_is_taken_to_where_the_network_is():
    """As from a processor to an accelerator; meta is a device that computes nothing."""
    engine = EagerEncoder(build(find("tiny-d0-bw")).to("meta"))
    found = engine.bottleneck(pictures(128), 0.5)

    assert (found.device.type, found.shape) == ("meta", (1, 12, 16, 16))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("cude", TestbedError, "no device 'cude'; torch has cpu, cuda"),
        ("meta", TestbedError, "no device 'meta'"),
        ("cuda:97", EnvironmentLacks, "this machine has no device 'cuda:97': "),
    ],
)
def test_a_device_that_is_not_there_is_said_in_a_line(name, error, message):
    with pytest.raises(error, match=message) as raised:
        device_of(name)

    assert "\n" not in str(raised.value)
    assert device_of("cpu") == torch.device("cpu")


def test_the_engine_switches_widths_without_touching_the_network():
    detector = trained(find("tiny-d0-cp"))
    engine = EagerEncoder(detector)
    x = pictures(128)
    shapes = [tuple(engine.bottleneck(x, w).shape) for w in (1.0, 0.25, 0.75, 0.25)]

    assert shapes == [(1, n, 16, 16) for n in (24, 6, 18, 6)]
    assert detector.widths.now == 1.0
    with pytest.raises(ValueError, match=r"no width 0\.3"):
        engine.bottleneck(x, 0.3)


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_bottleneck_to_a_ten_thousandth(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra `detect`")
    pytest.importorskip("onnxscript", reason="needs the extra `detect`")
    detector = trained(find("tiny-d0-cp"))
    engine = OnnxEncoder(detector, tmp_path)
    x = pictures(128)
    for width in detector.widths.values:
        with detector.widths.at(width), torch.inference_mode():
            expected = detector.bottleneck(x)
        difference = (engine.bottleneck(x, width) - expected).abs().max() / expected.abs().max()
        assert float(difference) < 1e-4
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sorted(path.name.split("-")[0] for path in written) == ["0.25", "0.5", "0.75", "1"]
    OnnxEncoder(detector, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    with torch.no_grad():
        detector.compressor.conv_pwl.weight.mul_(2)
    OnnxEncoder(detector, tmp_path)  # other weights are other files
    assert len(list(tmp_path.iterdir())) == 8
