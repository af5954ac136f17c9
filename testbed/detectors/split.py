"""A detector in four parts: encoder, compressor, decompressor, decoder."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from testbed.detectors.configurations import SplitConfig
from testbed.detectors.detections import Detections, Fit
from testbed.detectors.slimmable import Widths


class Decoder(Protocol):
    """What every decoder can do; it is a module as well."""

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the tensors that distillation compares, the split point's first."""

    def detect(self, x: Tensor, fits: list[Fit]) -> list[Detections]:
        """Return what is in each picture of a batch."""

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Tensor, Fit]:
        """Return a picture as (3, H, W) of the network's input, and how it lies there."""


class SplitDetector(nn.Module):
    """A detector whose middle crosses a link.

    Encoder and compressor run on the device, decompressor and decoder on the server; a teacher has
    nothing between encoder and decoder. `widths` switches all four parts.

    Args:
        config: Its shape.
        encoder: Picture (N, 3, H, W) to features.
        compressor: Features to bottleneck (N, n, h, w).
        decompressor: Bottleneck to the features that the decoder expects.
        decoder: Those to boxes.
        widths: Shared by its slimmable layers.
    """

    def __init__(
        self,
        config: SplitConfig,
        encoder: nn.Module,
        compressor: nn.Module,
        decompressor: nn.Module,
        decoder: nn.Module,
        widths: Widths,
    ) -> None:
        super().__init__()
        self.config, self.widths = config, widths
        self.encoder, self.compressor = encoder, compressor
        self.decompressor, self.decoder = decompressor, decoder

    @property
    def _decoder(self) -> Decoder:
        return cast(Decoder, self.decoder)

    def bottleneck(self, x: Tensor) -> Tensor:
        """Return what crosses the link, before it is quantised."""
        return self.compressor(self.encoder(x))  # type: ignore[no-any-return]

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the tensors that distillation compares; no heads are run."""
        return self.features_of(self.encoder(x))

    def features_of(self, encoded: Tensor) -> list[Tensor]:
        """Return the same, from what the encoder made of a picture."""
        return self._decoder.features(self.decompressor(self.compressor(encoded)))

    def forward(self, x: Tensor) -> object:
        """Return what the decoder's heads say, in the library's own form."""
        return self.decoder(self.decompressor(self.bottleneck(x)))

    def detect(self, bottleneck: Tensor, fits: list[Fit]) -> list[Detections]:
        """Return what is in each picture, from the bottleneck of a batch."""
        return self._decoder.detect(self.decompressor(bottleneck), fits)

    def prepare(self, image: NDArray[np.uint8]) -> tuple[Tensor, Fit]:
        """Return a picture (H, W, 3) in RGB as the network's input, and how it lies there."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"a picture is (H, W, 3) of uint8, not {image.shape} of {image.dtype}")
        return self._decoder.prepare(image)


def build(
    config: SplitConfig, *, seed: int = 0, teacher: SplitDetector | None = None
) -> SplitDetector:
    """Return a network with fresh weights where no teacher has any.

    A student takes over every weight of the teacher that it has a place for; only what stands at
    the bottleneck is new. The global random state is left as it was.

    Args:
        config: Which network.
        seed: Of the fresh weights.
        teacher: A network of the same family and size; made afresh if left out.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = "efficientdet" if config.family == "efficientdet" else "rcnn"
        family: Any = import_module(f"testbed.detectors.{module}")
        if teacher is None:
            teacher = family.make_teacher(config)
        elif teacher.config.kind != "teacher":
            raise ValueError(f"{teacher.config.name} has a bottleneck itself and cannot teach")
        elif shape(teacher.config) != shape(config):
            raise ValueError(f"{teacher.config.name} cannot teach {config.name}: of another shape")
        if config.kind == "teacher":
            return cast(SplitDetector, teacher)
        student: SplitDetector = family.make_student(config, copy.deepcopy(teacher))
        return student


def shape(config: SplitConfig) -> tuple[object, ...]:
    """Return what teacher and student must have in common."""
    return (config.family, config.side, config.classes, *config.backbone, *config.fpn)
