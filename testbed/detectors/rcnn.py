"""Faster and Mask R-CNN on ResNet-50 with FPN, split within stage 1, made of torchvision.

The bottleneck replaces the first stage of the ResNet. In a teacher that stage is what stands on
the server's side of the split, so that encoder and decoder are the same modules everywhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import paste_masks_in_image
from torchvision.ops.misc import FrozenBatchNorm2d

from testbed.detectors.compressors import stack_pair
from testbed.detectors.configurations import LONGEST, SplitConfig
from testbed.detectors.detections import Detections, Fit
from testbed.detectors.slimmable import (
    SlimmableBatchNorm2d,
    SlimmableConv2d,
    Widths,
    make_slimmable,
)
from testbed.detectors.split import SplitDetector


class RCNNDecoder(nn.Module):
    """Stages 2 to 4 of the ResNet, FPN, region proposals and heads.

    Args:
        network: The library's model, whose parts it takes over.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        body = network.backbone.body
        self.layer2, self.layer3, self.layer4 = body["layer2"], body["layer3"], body["layer4"]
        self.fpn, self.rpn, self.roi_heads = network.backbone.fpn, network.rpn, network.roi_heads
        self.transform = network.transform

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of stage 1 (the input) to stage 4."""
        found = [x]
        for stage in (self.layer2, self.layer3, self.layer4):
            found.append(stage(found[-1]))
        return found

    def forward(self, x: Tensor, fits: list[Fit] | None = None) -> list[dict[str, Tensor]]:
        """Return boxes, labels, scores and masks per picture, in pixels of the network's input."""
        height, width = 4 * x.shape[2], 4 * x.shape[3]
        if fits is None:
            fits = [Fit((height, width), (height, width), (height, width))] * len(x)
        levels = self.fpn({str(k): level for k, level in enumerate(self.features(x))})
        # Region proposals want to know the size of the pictures, never their content.
        canvas = x.new_zeros(1).expand(len(x), 3, height, width)
        images = ImageList(canvas, [fit.resized for fit in fits])
        proposals, _ = self.rpn(images, levels)
        found, _ = self.roi_heads(levels, proposals, images.image_sizes)
        return found  # type: ignore[no-any-return]

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Tensor, Fit]:
        """Return a picture as the network's input, its sides padded to a multiple of 32."""
        picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        images, _ = self.transform([picture])
        canvas = images.tensors[0]
        height, width = canvas.shape[1:]
        return canvas, Fit(image.shape[:2], images.image_sizes[0], (height, width))

    def detect(self, x: Tensor, fits: list[Fit]) -> list[Detections]:
        """Return boxes, and masks where there are any, in pixels of the original pictures."""
        return [_detections(one, fit) for one, fit in zip(self(x, fits), fits, strict=True)]


def _detections(found: dict[str, Tensor], fit: Fit) -> Detections:
    (height, width), (h, w) = fit.original, fit.resized
    boxes = found["boxes"] * found["boxes"].new_tensor([width / w, height / h] * 2)
    masks = None
    if "masks" in found:
        pasted = paste_masks_in_image(found["masks"], boxes, fit.original)
        masks = (pasted[:, 0] > 0.5).cpu().numpy()
    return Detections(
        boxes.cpu().numpy(), found["scores"].cpu().numpy(), found["labels"].cpu().numpy(), masks
    )


def library_model(config: SplitConfig) -> Any:
    """Return torchvision's own model, with fresh weights and frozen normalisation."""
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = _resnet_fpn_extractor(body, trainable_layers=5)
    model = FasterRCNN if config.family == "faster-rcnn" else MaskRCNN
    return model(
        backbone,
        num_classes=config.classes + 1,
        min_size=config.side,
        max_size=round(config.side * LONGEST),
    ).eval()


def from_library(network: Any, config: SplitConfig) -> SplitDetector:
    """Return torchvision's model as a teacher in parts; it takes over the modules."""
    body = network.backbone.body
    encoder = nn.Sequential()
    for name in ("conv1", "bn1", "relu", "maxpool"):
        encoder.add_module(name, body[name])
    return SplitDetector(
        dataclasses.replace(config, kind="teacher", channels=0, widths=(1.0,)),
        encoder,
        nn.Identity(),
        body["layer1"],
        RCNNDecoder(network),
        Widths(),
    ).eval()


def make_teacher(config: SplitConfig) -> SplitDetector:
    """Return a teacher with fresh weights."""
    return from_library(library_model(config), config)


def make_student(config: SplitConfig, teacher: SplitDetector) -> SplitDetector:
    """Return a student made of the teacher's modules and a fresh bottleneck.

    The encoder of a `cp` starts afresh, as in the released code, where the teacher's weights of
    the first convolution do not load.
    """
    widths = Widths(config.widths)
    compressor: Any
    decompressor: Any
    compressor, decompressor = stack_pair(config.channels)
    if config.kind in ("bw", "cp"):
        decompressor[0] = SlimmableBatchNorm2d(decompressor[0], widths)
        decompressor[2] = SlimmableConv2d(decompressor[2], widths, slim_out=False)
    if config.kind == "bw":
        compressor[-1] = SlimmableConv2d(compressor[-1], widths, slim_in=False)
    elif config.kind == "cp":
        make_slimmable(compressor, widths)
        stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        encoder: Any = teacher.encoder
        encoder.conv1 = SlimmableConv2d(stem, widths, slim_in=False)
        encoder.bn1 = SlimmableBatchNorm2d(nn.BatchNorm2d(64), widths)
    return SplitDetector(
        config, teacher.encoder, compressor, decompressor, teacher.decoder, widths
    ).eval()
