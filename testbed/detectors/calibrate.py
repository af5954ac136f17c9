"""Which channels are worth sending, found on pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from testbed.detectors.compressors import ChannelDrop
from testbed.detectors.split import SplitDetector


@torch.inference_mode()
def keep_largest_channels(
    detector: SplitDetector, pictures: Iterable[NDArray[np.uint8]]
) -> list[int]:
    """Let a compressor that drops channels keep those of the largest magnitude; return which.

    The magnitude of a channel is its mean absolute value at the split point over the pictures, each
    counted once and without the padding around it. The choice is a part of the weights: both ends
    have it, and it is not sent.

    Args:
        detector: With the compressor `drop-magnitude`.
        pictures: (H, W, 3) in RGB, at least one.

    Raises:
        ValueError: If the network drops no channels by magnitude, or there is no picture.
    """
    config, compressor = detector.config, detector.compressor
    if config.compressor != "drop-magnitude" or not isinstance(compressor, ChannelDrop):
        raise ValueError(f"{config.name} does not drop channels by magnitude")
    device = next(detector.parameters()).device
    training = detector.training
    detector.eval()
    total: torch.Tensor | None = None
    for image in pictures:
        x, fit = detector.prepare(image)
        rows, columns = config.grid(*fit.resized)
        features = detector.encoder(x[None].to(device))[0, :, :rows, :columns]  # (C, h, w)
        one = features.double().abs().mean((1, 2))
        total = one if total is None else total + one
    detector.train(training)
    if total is None:
        raise ValueError("no picture to find the largest channels on")
    compressor.keep_largest(total)
    return [int(channel) for channel in compressor.kept]
