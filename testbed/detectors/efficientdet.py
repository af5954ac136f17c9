"""EfficientDet, split before stage 4 of its backbone, made of effdet and timm.

The split is where the network branches: the output of stage 3 feeds stage 4 and is level P3 of the
BiFPN, so exactly one tensor crosses the link.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import batched_nms

from testbed.detectors._libraries import Anchors, DropPath, decode_box_outputs, effdet
from testbed.detectors.compressors import pair_of
from testbed.detectors.configurations import SplitConfig
from testbed.detectors.detections import Detections, Fit
from testbed.detectors.slimmable import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    Widths,
    make_slimmable,
)
from testbed.detectors.split import SplitDetector

ENCODER_STAGES = 3  # of 7; blocks 0 to 7 of D1 and D2
P4_STAGE, P5_STAGE = 4, 6  # counted from 0, in the whole backbone

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)  # of ImageNet, RGB
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

SCORE_THRESHOLD = 0.05
NMS_IOU = 0.5


def letterbox(image: NDArray[np.uint8], side: int) -> tuple[Tensor, Fit]:
    """Return a picture in the top left of a square, padded with zeros after normalisation.

    The longer side fills the square (OpenCV, bilinear), as in the released code.
    """
    import cv2

    height, width = image.shape[:2]
    scale = side / max(height, width)
    resized = max(1, int(height * scale)), max(1, int(width * scale))
    picture = cv2.resize(image, resized[::-1], interpolation=cv2.INTER_LINEAR)
    canvas = np.zeros((side, side, 3), np.float32)
    canvas[: resized[0], : resized[1]] = (picture.astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(canvas).permute(2, 0, 1), Fit((height, width), resized, (side, side))


class EfficientDetDecoder(nn.Module):
    """Stages 4 to 7 of the backbone, BiFPN and heads.

    Args:
        network: The library's model, whose parts it takes over.
        classes: Classes of objects.
    """

    def __init__(self, network: Any, classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*network.backbone.blocks[ENCODER_STAGES:])
        self.fpn, self.class_net, self.box_net = network.fpn, network.class_net, network.box_net
        self.classes, self.side = classes, network.config.image_size[0]
        anchors = Anchors.from_config(network.config).boxes
        self.register_buffer("anchors", anchors, persistent=False)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return P3 (the input), P4 and P5."""
        levels = [x]
        for stage, block in enumerate(self.blocks, start=ENCODER_STAGES):
            x = block(x)
            if stage in (P4_STAGE, P5_STAGE):
                levels.append(x)
        return levels

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return class logits and box codes per level, as effdet's model does."""
        levels = self.fpn(self.features(x))
        return self.class_net(levels), self.box_net(levels)

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Tensor, Fit]:
        """Return a picture as the network's input."""
        return letterbox(image, self.side)

    def detect(self, x: Tensor, fits: list[Fit]) -> list[Detections]:
        """Return the boxes of each picture: best class per anchor, NMS within each class."""
        logits, codes = self(x)
        n = len(x)

        def flat(levels: list[Tensor], size: int) -> Tensor:
            return torch.cat([t.permute(0, 2, 3, 1).reshape(n, -1, size) for t in levels], 1)

        best, labels = flat(logits, self.classes).max(2)
        scores = best.float().sigmoid()
        boxes = flat(codes, 4).float()
        return [self._one(scores[k], labels[k], boxes[k], fits[k]) for k in range(n)]

    def _one(self, scores: Tensor, labels: Tensor, codes: Tensor, fit: Fit) -> Detections:
        likely = scores > SCORE_THRESHOLD
        scores, labels = scores[likely], labels[likely]
        anchors: Tensor = self.anchors  # type: ignore[assignment]
        boxes = decode_box_outputs(codes[likely], anchors[likely], output_xyxy=True)
        (height, width), (h, w) = fit.original, fit.resized
        scale = boxes.new_tensor([width / w, height / h] * 2)
        limit = boxes.new_tensor([width, height] * 2)
        boxes = (boxes * scale).clamp(min=0).minimum(limit)
        kept = batched_nms(boxes, scores, labels, NMS_IOU)
        return Detections(
            boxes[kept].cpu().numpy(), scores[kept].cpu().numpy(), labels[kept].cpu().numpy() + 1
        )


def library_model(config: SplitConfig) -> Any:
    """Return effdet's own model of that shape, with fresh weights."""
    own = effdet.get_efficientdet_config(f"tf_efficientdet_d{config.coefficient}")
    own.image_size = (config.side, config.side)
    own.num_classes, own.anchor_scale = config.classes, config.anchor_scale
    own.fpn_channels, own.fpn_cell_repeats = config.fpn
    own.backbone_args = {"drop_path_rate": 0.0}
    if config.channel_multiplier is not None:
        multiplier, depth = config.backbone
        own.backbone_name = "testbed_efficientnet"
        own.backbone_args |= {"channel_multiplier": multiplier, "depth_multiplier": depth}
    network = effdet.EfficientDet(own, pretrained_backbone=False)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.01  # effdet sets it outside the backbone only
    return network.eval()


def from_library(network: Any, config: SplitConfig) -> SplitDetector:
    """Return effdet's model as a teacher in parts; it takes over the modules, weights and all."""
    backbone = network.backbone
    encoder = nn.Sequential()
    encoder.add_module("conv_stem", backbone.conv_stem)
    encoder.add_module("bn1", backbone.bn1)
    encoder.add_module("blocks", nn.Sequential(*backbone.blocks[:ENCODER_STAGES]))
    return SplitDetector(
        dataclasses.replace(config, kind="teacher", channels=0, widths=(1.0,)),
        encoder,
        nn.Identity(),
        nn.Identity(),
        EfficientDetDecoder(network, config.classes),
        Widths(),
    ).eval()


def make_teacher(config: SplitConfig) -> SplitDetector:
    """Return a teacher with fresh weights."""
    return from_library(library_model(config), config)


def make_student(config: SplitConfig, teacher: SplitDetector) -> SplitDetector:
    """Return a student made of the teacher's modules and a fresh bottleneck."""
    widths = Widths(config.widths)
    blocks: Any = teacher.encoder.blocks
    p3 = blocks[-1][-1].conv_pwl.out_channels
    compressor, decompressor = pair_of(config.compressor, p3, config.channels)
    first: Any = compressor
    last: Any = decompressor
    if config.kind == "bw":
        first.conv_pwl = SlimmableConv2d(first.conv_pwl, widths, slim_in=False)
        first.bn3 = SlimmableBatchNorm2d(first.bn3, widths)
        last.conv_pw = SlimmableConv2d(last.conv_pw, widths, slim_out=False)
    elif config.kind == "cp":
        # Stem and stage 1 stay as they are, so the first block of stage 2 gets all its input.
        make_slimmable(blocks[1], widths, keep_in=["0.conv_pw"])
        make_slimmable(blocks[2], widths)
        make_slimmable(compressor, widths)
        make_slimmable(decompressor, widths, keep_out=["conv_pwl", "bn3"])
    if config.own_statistics:
        for name, layer in dict(decompressor.named_children()).items():
            if isinstance(layer, nn.BatchNorm2d):
                setattr(decompressor, name, SlimmableBatchNorm2d(layer, widths, slim=False))
    return SplitDetector(
        config, teacher.encoder, compressor, decompressor, teacher.decoder, widths
    ).eval()


def set_stochastic_depth(detector: SplitDetector, rate: float) -> None:
    """Drop residual branches in training, from 0 at the first block up to `rate` at the last."""
    if not 0 <= rate < 1:
        raise ValueError(f"a rate of stochastic depth is in [0, 1), not {rate}")
    stages = [*detector.encoder.blocks, *detector.decoder.blocks]  # type: ignore[misc]
    blocks = [block for stage in stages for block in stage]
    for index, block in enumerate(blocks):
        share = rate * index / len(blocks)
        block.drop_path = DropPath(share) if share else nn.Identity()
