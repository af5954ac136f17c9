"""Networks that others trained, from their own files of weights.

| files | network | known by the key |
|---|---|---|
| effdet, `tf_efficientdet_d1_40-a30f94af.pth`, `tf_efficientdet_d2_43-8107aa99.pth` | teacher | `backbone.conv_stem.weight` |
| zylo117/Yet-Another-EfficientDet-Pytorch, `efficientdet-d1.pth`, `efficientdet-d2.pth` | teacher | `backbone_net.model._conv_stem.conv.weight` |
| torchvision, `fasterrcnn_resnet50_fpn_coco-258fb6c6.pth`, `maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth` | teacher | `backbone.body.layer1.0.conv1.weight` |
| jsiloto/adaptive-cod, the paper's own students | student | `backbone_net.bottleneck.…`, `backbone.body.layer0.…` |
| yoshitomo-matsubara/hnd-ghnd-object-detectors, b3ch to b12ch | student | `backbone.body.layer1.decoder.…` |

The second are the weights the paper started from. Their network pads what it pools with zeros where
effdet's pads with minus infinity, which no weights can make up for; so the two differ a little at
the edges, and so do students made of them.
"""  # noqa: E501

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import torch
from torch import Tensor

from testbed.detectors.configurations import SplitConfig
from testbed.detectors.renaming import (
    MBCONV,
    State,
    from_yaed,
    today,
    with_counters,
    without_epsilon,
)
from testbed.detectors.split import SplitDetector, build
from testbed.detectors.weights import WeightsError, fill, load, read_state

_BOTTLENECK = "backbone_net.bottleneck."  # of an EfficientDet
_STACK = "backbone.body.layer1.decoder."  # of an R-CNN, where a teacher has layer1.0, .1 and .2


def convert(path: Path, config: SplitConfig) -> SplitDetector:
    """Return a network with the weights of somebody's file.

    Args:
        path: The file.
        config: The network; of a student only the shape of its teacher counts, unless the file
            holds a student.

    Raise a `WeightsError` if the file is damaged or does not hold that network.
    """
    state = read_state(path)
    teacher = dataclasses.replace(config, kind="teacher", channels=0, widths=(1.0,))
    if any(key.startswith((_BOTTLENECK, _STACK)) for key in state):
        return _student(state, config, path)
    if "backbone_net.model._conv_stem.conv.weight" in state:
        state = from_yaed(state)
    if "backbone.conv_stem.weight" in state:
        return _effdet(state, teacher, path)
    if "backbone.body.layer1.0.conv1.weight" in state:
        return _torchvision(state, teacher, path)
    raise WeightsError(
        f"{path}: neither effdet's, nor Yet-Another-EfficientDet's, torchvision's, the paper's or "
        "GHND's keys"
    )


def load_any(path: Path, config: SplitConfig | None) -> SplitDetector:
    """Return a network from our own file, or else from somebody's if it is said which it is.

    Args:
        path: The file.
        config: Of the network in somebody's file; our own say themselves what they are.
    """
    if path.suffix == ".safetensors" or config is None:
        return load(path)
    return convert(path, config)


def _effdet(state: State, config: SplitConfig, path: Path) -> SplitDetector:
    if config.family != "efficientdet":
        raise WeightsError(f"{path}: holds an EfficientDet, not a {config.family}")
    from testbed.detectors.efficientdet import from_library, library_model

    network = library_model(config)
    fill(network, with_counters(state, network), path)
    return from_library(network, config)


def _torchvision(state: State, config: SplitConfig, path: Path) -> SplitDetector:
    if config.family == "efficientdet":
        raise WeightsError(f"{path}: holds an R-CNN, not an {config.family}")
    from testbed.detectors.rcnn import from_library, library_model

    network = library_model(config)
    fill(network, without_epsilon(today(state), network), path)
    return from_library(network, config)


def _student(state: State, config: SplitConfig, path: Path) -> SplitDetector:
    efficientdet = any(key.startswith(_BOTTLENECK) for key in state)
    if efficientdet != (config.family == "efficientdet"):
        held = "an EfficientDet" if efficientdet else "an R-CNN"
        raise WeightsError(f"{path}: holds {held}, not {config.name}, which is {config.family}")
    if config.kind == "teacher":
        names = "efficientdet-d2-bw" if efficientdet else f"{config.family}-bw, or b3ch to b12ch"
        raise WeightsError(f"{path}: holds a network with a bottleneck; name one, such as {names}")
    detector = build(config)
    state = _statistics_per_width(state)
    renamed = _efficientdet_student(state) if efficientdet else _rcnn_student(state)
    if config.compressor == "drop-index":
        renamed["compressor.kept"] = torch.arange(config.channels)
    renamed = with_counters(without_epsilon(renamed, detector), detector)
    fill(detector, renamed, path)
    return detector


def _statistics_per_width(state: State) -> State:
    """Return the state with the statistics of slimmable normalisations as one tensor, a row each.

    The released code keeps a normalisation without scale and shift per width (`bn.0`, `bn.1` …)
    within one that has both, and whose own statistics no width uses. Rows are filled up with those.
    """
    found: State = {}
    rows: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        if slim := re.match(r"(.+)\.bn\.(\d+)\.(running_mean|running_var|num_batches_\w+)$", key):
            rows.setdefault(f"{slim[1]}.{slim[3]}", {})[int(slim[2])] = value
        else:
            found[key] = value
    for key, by_width in rows.items():
        values = [by_width[row] for row in sorted(by_width)]
        if values[0].ndim == 0:
            found[key] = torch.stack(values)
            continue
        whole = found[key].repeat(len(values), 1)
        for row, value in zip(whole, values, strict=True):
            row[: len(value)] = value
        found[key] = whole
    return found


def _efficientdet_student(state: State) -> State:
    """Return the weights of an EfficientDet of the released code under our names."""
    network = {key: value for key, value in state.items() if not key.startswith(_BOTTLENECK)}
    found: State = {}
    for key, value in from_yaed(network).items():
        new = re.sub(r"^backbone\.blocks\.([0-2])\.", r"encoder.blocks.\1.", key)
        new = re.sub(
            r"^backbone\.blocks\.([3-6])\.", lambda m: f"decoder.blocks.{int(m[1]) - 3}.", new
        )
        new = re.sub(r"^backbone\.", "encoder.", new)
        found[re.sub(r"^(?=fpn|class_net|box_net)", "decoder.", new)] = value
    for key, value in state.items():
        if key.startswith(_BOTTLENECK):
            end, layer, rest = key.removeprefix(_BOTTLENECK).split(".", 2)
            part = {"encoder": "compressor", "decoder": "decompressor"}[end]
            found[f"{part}.{MBCONV.get(layer, layer)}.{rest.removeprefix('conv.')}"] = value
    return found


_RCNN_PARTS = (
    (r"backbone\.body\.layer1\.encoder\.(encoder\.)?", "compressor."),
    (r"backbone\.body\.layer1\.decoder\.", "decompressor."),
    (r"backbone\.body\.layer0\.0\.", "encoder.conv1."),
    (r"backbone\.body\.layer0\.1\.", "encoder.bn1."),
    (r"backbone\.body\.(layer0\.)?(?=conv1|bn1)", "encoder."),
    (r"backbone\.body\.", "decoder."),
    (r"backbone\.fpn\.", "decoder.fpn."),
    (r"(?=rpn|roi_heads)", "decoder."),
)


def _rcnn_student(state: State) -> State:
    """Return the weights of an R-CNN of GHND, or of the released code after it, under our names."""
    renamed: State = {}
    for key, value in today(state).items():
        for theirs, ours in _RCNN_PARTS:
            new, changed = re.subn("^" + theirs, ours, key)
            if changed:
                renamed[new] = value
                break
        else:
            renamed[key] = value
    return renamed
