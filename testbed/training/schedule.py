"""The learning rate of each step."""

from __future__ import annotations

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
    """
    rate = base * decay ** sum(epoch >= milestone for milestone in milestones)
    steps = min(warmup_steps, batches - 1)
    if epoch == 0 and batch < steps:
        share = batch / steps
        rate *= 1e-3 * (1 - share) + share
    return rate
