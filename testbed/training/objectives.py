"""What a step of training minimises: the distance to a teacher, or to ground truth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from testbed.detectors.slimmable import SlimmableBatchNorm2d, Widths, slim_layers
from testbed.detectors.split import SplitDetector
from testbed.streams import stream
from testbed.training.pictures import Batch


class Objective(Protocol):
    """One way to train."""

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the optimiser changes."""

    def mode(self) -> None:
        """Set every module to the mode of training it needs."""

    def backward(self, batch: Batch, widths: Sequence[float], run: Runner) -> dict[str, float]:
        """Add the gradients of one step; return its losses by name."""


@dataclasses.dataclass(frozen=True)
class Runner:
    """How arithmetic runs: on which device, in which precision.

    Args:
        device: Of the networks.
        dtype: Of the convolutions; None for 32 bits throughout.
        scaler: Of gradients, for 16-bit floats of small range.
    """

    device: torch.device
    dtype: torch.dtype | None = None
    scaler: Any = None

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a network runs forward."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def place(self, x: Tensor) -> Tensor:
        """Return pictures where and as the network wants them."""
        return x.to(self.device, memory_format=torch.channels_last)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        (self.scaler.scale(loss) if self.scaler is not None else loss).backward()


def sandwich(widths: Widths, passes: int, *, seed: int, step: int) -> list[float]:
    """Return the widths of a step: smallest, N − 2 drawn from the whole list, largest.

    Draws are uniform and may repeat, and may be an end of the list, as in the released code. One
    pass is the largest width (Yu and Huang, Universally Slimmable Networks, algorithm 1).
    """
    values = widths.values
    if passes == 1 or len(values) == 1:
        return [values[-1]]
    drawn = stream(seed, "widths", str(step)).choice(len(values), size=passes - 2)
    return [values[0], *(values[k] for k in drawn), values[-1]]


def tap_loss(
    taps: Sequence[Tensor], targets: Sequence[Tensor], reduction: Literal["sum", "mean"]
) -> Tensor:
    """Return the squared error of a student's features, added up over the taps."""
    losses = [
        F.mse_loss(ours.float(), theirs.float(), reduction=reduction)
        for ours, theirs in zip(taps, targets, strict=True)
    ]
    return torch.stack(losses).sum()


class Distillation:
    """Generalised head network distillation (Matsubara and Levorato, ICPR 2020), at many widths.

    The teacher runs once a batch, the student once per width; encoder and bottleneck learn, the
    decoder is frozen. No ground truth is used.

    Args:
        student: With a bottleneck.
        teacher: Of the same shape.
        reduction: `sum` as published, which grows with the batch, or `mean`.
        frozen_statistics: `update` as published: the frozen layers normalise by the batch.
        frozen_encoder: Whether the encoder stays the teacher's, in evaluation mode.
        taps: `all` as published, or `split`, the first alone, for which no decoder runs.
    """

    def __init__(
        self,
        student: SplitDetector,
        teacher: SplitDetector,
        *,
        reduction: Literal["sum", "mean"] = "sum",
        frozen_statistics: Literal["update", "keep"] = "update",
        frozen_encoder: bool = False,
        taps: Literal["all", "split"] = "all",
    ) -> None:
        self.student, self.teacher = student, teacher.eval().requires_grad_(False)
        self.reduction, self.frozen_statistics = reduction, frozen_statistics
        self.frozen_encoder, self.taps = frozen_encoder, taps
        student.decoder.requires_grad_(False)
        student.encoder.requires_grad_(False)
        for parameter in self.trained:  # frozen, if it was copied from a teacher that was
            parameter.requires_grad_(True)

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the optimiser changes: the bottleneck, and the encoder unless it is frozen."""
        parts = [self.student.encoder, self.student.compressor, self.student.decompressor]
        return [p for part in parts[self.frozen_encoder :] for p in part.parameters()]

    def mode(self) -> None:
        """Set every module to the mode of training it needs."""
        self.student.train()
        if self.frozen_statistics == "keep":
            self.student.decoder.eval()
        if self.frozen_encoder:
            self.student.encoder.eval()

    def backward(self, batch: Batch, widths: Sequence[float], run: Runner) -> dict[str, float]:
        """Add the gradients of one step; return the loss of each width.

        Gradients are added width by width, which is the gradient of the sum and needs the memory
        of one pass. An encoder that is the same at every width runs once for all of them, and its
        statistics move once a step.
        """
        x = run.place(batch.x)
        with torch.no_grad(), run.autocast():
            taught = self.teacher.encoder(x)
            targets = self._taps(self.teacher, taught)
        losses: dict[str, float] = {}
        encoded = seen = None
        if self.frozen_encoder:
            seen = taught
        elif not any(True for _ in slim_layers(self.student.encoder)):
            with run.autocast():
                encoded = self.student.encoder(x)
            seen = encoded.detach().requires_grad_()
        for width in widths:
            with self.student.widths.at(width):
                with run.autocast():
                    inner = self.student.encoder(x) if seen is None else seen
                    taps = self._taps(self.student, inner)
                loss = tap_loss(taps, targets, self.reduction)
                run.backward(loss)
            losses[f"{width:g}"] = float(loss.detach())
        if encoded is not None and seen is not None:
            encoded.backward(seen.grad)
        return losses

    def _taps(self, detector: SplitDetector, encoded: Tensor) -> list[Tensor]:
        """Return what is compared, from what the encoder made of a picture."""
        if self.taps == "split":
            return [detector.decompressor(detector.compressor(encoded))]
        return detector.features_of(encoded)


class GroundTruth:
    """Focal loss and Huber loss of effdet, for a teacher of one's own.

    Args:
        detector: An EfficientDet without a bottleneck; all of it learns.
    """

    def __init__(self, detector: SplitDetector) -> None:
        from testbed.detectors._libraries import AnchorLabeler, Anchors, DetectionLoss, effdet

        config = detector.config
        own = effdet.get_efficientdet_config(f"tf_efficientdet_d{config.coefficient}")
        own.image_size, own.num_classes = (config.side, config.side), config.classes
        own.anchor_scale = config.anchor_scale
        self.detector = detector
        self.loss = DetectionLoss(own)
        self.labeler = AnchorLabeler(Anchors.from_config(own), config.classes)
        # From fresh weights the statistics must keep up with them; 0.01 is for fine-tuning.
        for layer in detector.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 0.1
        # A rare object at every anchor: the start that focal loss needs (Lin et al., ICCV 2017).
        head: Any = detector.decoder.class_net
        nn.init.constant_(head.predict.conv_pw.bias, -math.log((1 - 0.01) / 0.01))

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the optimiser changes: everything."""
        return list(self.detector.parameters())

    def mode(self) -> None:
        """Set every module to the mode of training it needs."""
        self.detector.train()

    def backward(self, batch: Batch, widths: Sequence[float], run: Runner) -> dict[str, float]:
        """Add the gradients of one step; return its losses by name."""
        corners = [boxes[:, [1, 0, 3, 2]] for boxes in batch.boxes]  # effdet's order: y before x
        classes, boxes, positives = self.labeler.batch_label_anchors(corners, batch.labels)
        with run.autocast():
            logits, codes = self.detector(run.place(batch.x))
        total, class_loss, box_loss = self.loss(
            [level.float() for level in logits],
            [level.float() for level in codes],
            [level.to(run.device) for level in classes],
            [level.to(run.device) for level in boxes],
            positives.to(run.device),
        )
        run.backward(total)
        named = {"total": total, "class": class_loss, "box": box_loss}
        return {name: float(value.detach()) for name, value in named.items()}


def start_encoder_afresh(student: SplitDetector, seed: int) -> None:
    """Give encoder and bottleneck fresh weights: N(0, 1/fan-in), normalisation at its start."""
    generator = torch.Generator().manual_seed(seed)
    for part in (student.encoder, student.compressor, student.decompressor):
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d):
                fan_in = layer.weight[0].numel()
                with torch.no_grad():
                    layer.weight.normal_(0, fan_in**-0.5, generator=generator)
                    if layer.bias is not None:
                        layer.bias.zero_()
            elif isinstance(layer, nn.BatchNorm2d | SlimmableBatchNorm2d):
                layer.reset_running_stats()
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)


@torch.no_grad()
def centre_kernels(student: SplitDetector) -> None:
    """Add half a pulse to the depthwise kernels of the bottleneck, so that cells keep their place.

    Two random kernels of 5 × 5 in a row blur over 9 × 9 cells, which has to be unlearned first.
    """
    for part in (student.compressor, student.decompressor):
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
                height, width = layer.weight.shape[2:]
                layer.weight[:, :, height // 2, width // 2] += 0.5


@torch.no_grad()
def recalibrate(
    student: SplitDetector, pictures: Sequence[Tensor], device: torch.device, *, batch: int = 1
) -> None:
    """Take the statistics of the trained layers anew at every width, after training.

    The mean over all batches is kept (Yu and Huang; the released code takes the first picture of
    each of 1,001 batches). Layers that all widths share get the mean over the widths too.

    Args:
        student: Its encoder, compressor and decompressor.
        pictures: Each (3, H, W); of one size, if several make a batch.
        device: Of the network.
        batch: Pictures per batch. Of one alone, what sets pictures apart is no variance.
    """
    parts = (student.encoder, student.compressor, student.decompressor)
    norms: list[Any] = [
        layer
        for part in parts
        for layer in part.modules()
        if isinstance(layer, nn.BatchNorm2d | SlimmableBatchNorm2d)
    ]
    momenta = [norm.momentum for norm in norms]
    student.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for width in student.widths.values:
        with student.widths.at(width):
            for start in range(0, len(pictures), batch):
                some = torch.stack(list(pictures[start : start + batch])).to(device)
                student.decompressor(student.bottleneck(some))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    student.eval()
