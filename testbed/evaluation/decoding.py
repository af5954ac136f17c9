"""From what reached the server, or stayed on the device, to boxes: one picture or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from testbed.detectors.detections import Detections, Fit
from testbed.detectors.split import SplitDetector


class Input(NamedTuple):
    """What a network is to see.

    Args:
        network: Any split network.
        x: A bottleneck (1, n, h, w), or a picture (1, 3, H, W) if the network is run whole.
        width: α.
        fit: How the picture lay.
        whole: Whether encoder and compressor are run as well, and nothing is quantised.
    """

    network: SplitDetector
    x: Tensor
    width: float
    fit: Fit
    whole: bool


def seen(inputs: Sequence[Input]) -> list[Detections]:
    """Return what is in each picture.

    All inputs are of the same network, width and kind; those of one shape are run together. One
    alone gives what `SplitPair.decode` gives; together, the last digits may be others.
    """
    if len({one.x.shape for one in inputs}) > 1:
        return [found for one in inputs for found in seen([one])]
    network, _, width, _, whole = inputs[0]
    x = torch.cat([one.x for one in inputs]).to(next(network.parameters()).device)
    with torch.inference_mode(), network.widths.at(width):
        return network.detect(network.bottleneck(x) if whole else x, [one.fit for one in inputs])
