"""Multiply-accumulates and parameters of a network, part by part and width by width.

Counted by ptflops in its convention: a convolution costs k²·cin·cout/groups·H·W, and cout·H·W more
if it has a bias; batch normalisation 2 per input element; ReLU, pooling and up-sampling 1 per
element; swish, sigmoid, additions and frozen normalisation nothing. That count is `clean`. The
counter released with arXiv 2105.00591 charges slimmable convolutions of EfficientDet a bias that
they do not have; with those terms, and what else its versions counted otherwise, the count is
`published`.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from ptflops import get_model_complexity_info
from ptflops.pytorch_ops import (
    bn_flops_counter_hook,
    conv_flops_counter_hook,
    upsample_flops_counter_hook,
)
from torch import Tensor, nn

from testbed.detectors._libraries import (
    BatchNormAct2d,
    Conv2dSame,
    FpnCombine,
    Interpolate2d,
    MaxPool2dSame,
)
from testbed.detectors.configurations import SplitConfig
from testbed.detectors.slimmable import (
    SameConv2d,
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    pad_same,
)
from testbed.detectors.split import SplitDetector

PARTS = ("encoder", "compressor", "decompressor", "decoder")


@dataclass(frozen=True, slots=True)
class PartCount:
    """What one part costs at one width.

    Args:
        width: α.
        part: `encoder`, `compressor`, `decompressor` or `decoder`.
        mac: Multiply-accumulates in ptflops' convention.
        mac_published: As the counter released with the paper counts.
        parameters: Stored, which is the same at every width.
        active_parameters: In use at this width.
        shape: What the part hands on, without the batch; empty for a decoder.
    """

    width: float
    part: str
    mac: int
    mac_published: int
    parameters: int
    active_parameters: int
    shape: tuple[int, ...]


def _slim_conv(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    kernel = layer.kernel_size[0] * layer.kernel_size[1]
    per_place = kernel * layer.active_in * layer.active_out // layer.active_groups
    places = output.shape[0] * output.shape[2] * output.shape[3]
    bias = 0 if layer.bias is None else output.numel()
    layer.__flops__ += per_place * places + bias


def _slim_norm(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    layer.__flops__ += 2 * inputs[0].numel()


def _same_pool(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    layer.__flops__ += pad_same(inputs[0], layer.kernel_size, layer.stride).numel()


HOOKS: dict[type[nn.Module], Callable[..., None]] = {
    SlimmableConv2d: _slim_conv,
    SlimmableBatchNorm2d: _slim_norm,
    SameConv2d: conv_flops_counter_hook,
    Conv2dSame: conv_flops_counter_hook,
    BatchNormAct2d: bn_flops_counter_hook,
    MaxPool2dSame: _same_pool,
    Interpolate2d: upsample_flops_counter_hook,
}


def count(module: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    """Return the multiply-accumulates of a module for one input, and its output."""
    outputs: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        with torch.no_grad():
            mac, _ = get_model_complexity_info(
                module,
                tuple(x.shape[1:]),
                as_strings=False,
                print_per_layer_stat=False,
                input_constructor=lambda _shape: x,
                ost=io.StringIO(),
                custom_modules_hooks=HOOKS,
                backend="pytorch",
                backend_specific_config={"count_functional": False},
            )
    finally:
        handle.remove()
    if mac is None:
        raise RuntimeError(f"ptflops could not count {type(module).__name__}")
    return int(mac) + _fusion_weights(module), outputs[-1]


def _fusion_weights(module: nn.Module) -> int:
    """Return the ReLUs of the BiFPN's fusion weights, which effdet calls as functions."""
    return sum(m.edge_weights.numel() for m in module.modules() if isinstance(m, FpnCombine))


def _charged(config: SplitConfig, part: str) -> Callable[[str, nn.Module], bool]:
    """Return which convolutions the released counter charges a bias they do not have.

    The class of the slimmable convolution keeps a flag where the counter expects the bias itself.
    It stands for every slimmed convolution of a `cp`, and for expansion and projection of both
    blocks at the bottleneck of a `bw`, which is what the published figures of both add up to.
    """
    if config.family != "efficientdet":
        return lambda name, layer: False
    if config.kind == "cp":
        return lambda name, layer: isinstance(layer, SlimmableConv2d) and layer.bias is None
    if config.kind == "bw" and part in ("compressor", "decompressor"):
        return lambda name, layer: name in ("conv_pw", "conv_pwl")
    return lambda name, layer: False


def _published_extra(config: SplitConfig, part: str, module: nn.Module, x: Tensor) -> int:
    """Return what the released counter, of another version, counts more or less than ours.

    More: an output per charged convolution. Less, in the decoder of an R-CNN: it added the bias of
    a linear layer once for all proposals together, and the network of its day called the ReLU of
    the proposal head as a function, which is not counted.
    """
    charged = _charged(config, part)
    total = 0

    def bias(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output.numel()

    def one_bias(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total -= output.numel() - output.shape[-1]

    def no_activation(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total -= output.numel()

    handles = []
    rcnn_decoder = part == "decoder" and config.family != "efficientdet"
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d) and charged(name, layer):
            handles.append(layer.register_forward_hook(bias))
        elif rcnn_decoder and isinstance(layer, nn.Linear):
            handles.append(layer.register_forward_hook(one_bias))
        elif rcnn_decoder and isinstance(layer, nn.ReLU) and name.startswith("rpn.head"):
            handles.append(layer.register_forward_hook(no_activation))
    if handles:
        with torch.no_grad():
            module(x)
    for handle in handles:
        handle.remove()
    return total


def parameters(module: nn.Module) -> int:
    """Return how many parameters a module stores."""
    return sum(p.numel() for p in module.parameters())


def active_parameters(module: nn.Module) -> int:
    """Return how many of them are used at the width in use."""
    total = 0
    for layer in module.modules():
        if isinstance(layer, SlimmableConv2d):
            weight, bias = layer.sliced()
            total += weight.numel() + (0 if bias is None else bias.numel())
        elif isinstance(layer, SlimmableBatchNorm2d):
            total += 2 * layer.active
        else:
            total += sum(p.numel() for p in layer.parameters(recurse=False))
    return total


def count_detector(
    detector: SplitDetector, *, side: int | None = None, decoder: bool = True
) -> list[PartCount]:
    """Return what every part costs at every width, for a square picture in a batch of one.

    Args:
        detector: Any split network.
        side: Of the picture; as published if left out.
        decoder: Whether to count the server's side as well.
    """
    config = detector.config
    side = side or config.side
    found: list[PartCount] = []
    # Shapes are all that is needed, so nothing is computed ("meta").
    shapes = copy.deepcopy(detector).to("meta")
    picture = torch.empty(1, 3, side, side, device="meta")
    for width in shapes.widths.values:
        with shapes.widths.at(width):
            x = picture
            for part in PARTS[:3] if decoder else PARTS[:2]:
                one, x = _count_part(config, width, part, getattr(shapes, part), x)
                found.append(one)
    if decoder:
        # It has one width, and the same input at each.
        module: Any = shapes.decoder
        if config.family == "efficientdet":
            one, _ = _count_part(config, 1.0, "decoder", module, x)
        else:
            # How many proposals survive depends on the values, so these are values; and on the
            # suppression of overlaps, without which it is as many as can be: a thousand.
            module = detector.decoder
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(x.shape, generator=generator)
            overlap, module.rpn.nms_thresh = module.rpn.nms_thresh, 1.0
            try:
                one, _ = _count_part(config, 1.0, "decoder", module, x)
            finally:
                module.rpn.nms_thresh = overlap
        found += [replace(one, width=width) for width in detector.widths.values]
    return sorted(found, key=lambda one: (one.width, PARTS.index(one.part)))


def _count_part(
    config: SplitConfig, width: float, part: str, module: nn.Module, x: Tensor
) -> tuple[PartCount, Tensor]:
    mac, output = count(module, x)
    one = PartCount(
        width=width,
        part=part,
        mac=mac,
        mac_published=mac + _published_extra(config, part, module, x),
        parameters=parameters(module),
        active_parameters=active_parameters(module),
        shape=() if part == "decoder" else tuple(output.shape[1:]),
    )
    return one, output
