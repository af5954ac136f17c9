"""The learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Sequence


def learning_rate(
    base: float,
    *,
    epoch: int,
    batch: int,
    batches: int,
    milestones: Sequence[int],
    decay: float,
    warmup_steps: int,
    epochs: int | None = None,
) -> float:
    """Return the rate of a step: warm-up within the first epoch, then decay at each milestone.

    The warm-up is linear from a thousandth over min(`warmup_steps`, batches − 1) steps, as
    torchvision's reference training does it.

    Args:
        base: The rate between warm-up and the first milestone.
        epoch: Counted from 0; a milestone of 3 acts from epoch 3 on.
        batch: Of the epoch, counted from 0.
        batches: Of the epoch.
        milestones: Epochs.
        decay: Factor at each.
        warmup_steps: At most; 0 for no warm-up.
        epochs: Of the whole run, if the rate is to fall as half a cosine over all of it instead.
    """
    if epochs is None:
        rate = base * decay ** sum(epoch >= milestone for milestone in milestones)
    else:
        rate = base * (1 + math.cos(math.pi * (epoch + batch / batches) / epochs)) / 2
    steps = min(warmup_steps, batches - 1)
    if epoch == 0 and batch < steps:
        share = batch / steps
        rate *= 1e-3 * (1 - share) + share
    return rate
