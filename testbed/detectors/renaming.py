"""Weights of other projects under our names: what changes with the project, and with its age."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]


def with_counters(state: State, network: torch.nn.Module) -> State:
    """Add the counters of batches that older files lack; no inference depends on them."""
    own = network.state_dict()
    missing = {k: v for k, v in own.items() if k.endswith("num_batches_tracked") and k not in state}
    return state | missing


def today(state: State) -> State:
    """Return torchvision's weights of 2019 under today's names."""
    found: State = {}
    for key, value in state.items():
        new = re.sub(r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2", key)
        new = re.sub(r"^rpn\.head\.conv\.(weight|bias)$", r"rpn.head.conv.0.0.\1", new)
        new = re.sub(
            r"mask_head\.mask_fcn(\d)\.(weight|bias)$",
            lambda m: f"mask_head.{int(m[1]) - 1}.0.{m[2]}",
            new,
        )
        if not new.endswith("num_batches_tracked") or "layer1." in new:
            found[new] = value  # frozen normalisation counts nothing
    return found


def without_epsilon(state: State, network: Any) -> State:
    """Make up for the ε of frozen normalisation, which was 0 when these weights were trained.

    As torchvision does for them, but in the scales, so that nothing but weights need be kept.
    """
    from torchvision.ops.misc import FrozenBatchNorm2d

    found = dict(state)
    for name, layer in network.named_modules():
        if isinstance(layer, FrozenBatchNorm2d) and f"{name}.running_var" in state:
            variance = state[f"{name}.running_var"].double()
            factor = ((variance + layer.eps) / variance).sqrt()
            found[f"{name}.weight"] = (state[f"{name}.weight"].double() * factor).float()
    return found


def from_yaed(state: State) -> State:
    """Return the weights of Yet-Another-EfficientDet under effdet's names."""
    blocks = _stages(state)
    found: State = {}
    for key, value in state.items():
        if re.match(r"backbone_net\.model\.(_conv_head|_bn1|_fc)\.", key):
            continue  # of the classifier that the backbone once was
        new = key.replace(".conv.weight", ".weight").replace(".conv.bias", ".bias")
        found[_yaed_key(new, blocks)] = value
    return found


def _stages(state: State) -> list[tuple[int, int]]:
    """Return stage and place in it of each block, counted over the whole backbone.

    A stage begins where the kernel, or the number of channels that come out, changes.
    """
    prefix = "backbone_net.model._blocks"
    places: list[tuple[int, int]] = []
    before: tuple[int, int] | None = None
    while (project := state.get(f"{prefix}.{len(places)}._project_conv.conv.weight")) is not None:
        kernel = state[f"{prefix}.{len(places)}._depthwise_conv.conv.weight"].shape[-1]
        here = (kernel, project.shape[0])
        stage, place = places[-1] if places else (-1, 0)
        places.append((stage, place + 1) if here == before else (stage + 1, 0))
        before = here
    return places


MBCONV = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
# A block without expansion calls its projection and normalisations otherwise.
_PARTS_PLAIN = MBCONV | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_NODES = (
    "conv6_up", "conv5_up", "conv4_up", "conv3_up",
    "conv4_down", "conv5_down", "conv6_down", "conv7_down",
)  # fmt: skip
_WEIGHTS = ("p6_w1", "p5_w1", "p4_w1", "p3_w1", "p4_w2", "p5_w2", "p6_w2", "p7_w2")
_LATERALS = {  # node and input of the first cell
    "p5_down_channel": "cell.0.fnode.1.combine.resample.2",
    "p4_down_channel": "cell.0.fnode.2.combine.resample.1",
    "p3_down_channel": "cell.0.fnode.3.combine.resample.0",
    "p4_down_channel_2": "cell.0.fnode.4.combine.resample.1",
    "p5_down_channel_2": "cell.0.fnode.5.combine.resample.2",
    "p5_to_p6": "resample.3",
}
_SEPARABLE = {"depthwise_conv": "conv_dw", "pointwise_conv": "conv_pw", "bn": "bn"}


def _yaed_key(key: str, blocks: list[tuple[int, int]]) -> str:
    """Return effdet's name for one of YAED's, whose `.conv` between layer and weight is gone."""
    if found := re.match(r"backbone_net\.model\._blocks\.(\d+)\.(\w+?)\.(\w+)$", key):
        stage, place = blocks[int(found[1])]
        parts = _PARTS_PLAIN if stage == 0 else MBCONV
        return f"backbone.blocks.{stage}.{place}.{parts[found[2]]}.{found[3]}"
    key = key.replace("backbone_net.model._conv_stem.", "backbone.conv_stem.")
    key = key.replace("backbone_net.model._bn0.", "backbone.bn1.")
    if found := re.match(r"bifpn\.(\d+)\.(\w+)$", key):
        return f"fpn.cell.{found[1]}.fnode.{_WEIGHTS.index(found[2])}.combine.edge_weights"
    if found := re.match(r"bifpn\.(\d+)\.(conv\d_\w+)\.(\w+)\.(\w+)$", key):
        node, part = _NODES.index(found[2]), _SEPARABLE[found[3]]
        return f"fpn.cell.{found[1]}.fnode.{node}.after_combine.conv.{part}.{found[4]}"
    if found := re.match(r"bifpn\.0\.(p\w+)\.([01])\.(\w+)$", key):
        return f"fpn.{_LATERALS[found[1]]}.conv.{('conv', 'bn')[int(found[2])]}.{found[3]}"
    if found := re.match(r"(regressor|classifier)\.(.+)$", key):
        head = {"regressor": "box_net", "classifier": "class_net"}[found[1]]
        rest = re.sub(r"^conv_list\.(\d+)\.(\w+)\.", _list_part, found[2])
        rest = re.sub(r"^bn_list\.(\d+)\.(\d+)\.", r"bn_rep.\2.\1.bn.", rest)
        rest = re.sub(r"^header\.(\w+)\.", _header_part, rest)
        return f"{head}.{rest}"
    return key


def _list_part(found: re.Match[str]) -> str:
    return f"conv_rep.{found[1]}.{_SEPARABLE[found[2]]}."


def _header_part(found: re.Match[str]) -> str:
    return f"predict.{_SEPARABLE[found[1]]}."
