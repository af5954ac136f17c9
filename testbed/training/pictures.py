"""Pictures in batches, in an order and mirrored as the seed says, from any step on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader

from testbed.datasets.dataset import Dataset, Picture
from testbed.detectors.detections import Fit
from testbed.detectors.split import SplitDetector
from testbed.streams import stream

# Seven edges from 1/2 to 2, evenly in the logarithm: eight groups (released configurations).
ASPECT_EDGES = 2.0 ** np.linspace(-1, 1, 7)


@dataclass(frozen=True)
class Batch:
    """Pictures of one step.

    Args:
        x: (N, 3, H, W), padded to the largest.
        boxes: Per picture (n, 4), left, top, right, bottom, in pixels of the input.
        labels: Per picture (n,), counted from 1.
    """

    x: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]


def annotated(dataset: Dataset) -> Dataset:
    """Return a data set without the pictures that have no boxes."""
    kept = tuple(picture for picture in dataset if picture.boxes)
    return Dataset(dataset.name, dataset.categories, kept, dataset.dropped)


def plan(dataset: Dataset, *, seed: int, epoch: int, batch: int) -> list[list[int]]:
    """Return the batches of an epoch, each of pictures of similar aspect.

    Every picture occurs once; the last batch of a group may be smaller.
    """
    rng = stream(seed, "order", str(epoch))
    aspects = np.array([picture.width / picture.height for picture in dataset])
    groups = np.searchsorted(ASPECT_EDGES, aspects, side="right")
    batches: list[list[int]] = []
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group)).tolist()
        batches += [members[k : k + batch] for k in range(0, len(members), batch)]
    return [batches[k] for k in rng.permutation(len(batches))]


class _Prepared(torch.utils.data.Dataset[Any]):
    """Pictures as the network wants them; asked for by (epoch, index)."""

    def __init__(self, dataset: Dataset, detector: SplitDetector, seed: int, flip: float) -> None:
        self.dataset, self.detector, self.seed, self.flip = dataset, detector, seed, flip

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        epoch, index = place
        picture = self.dataset[index]
        image = self.dataset.load(picture)
        mirrored = stream(self.seed, "flip", f"{epoch}/{index}").random() < self.flip
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        x, fit = self.detector.prepare(image)
        boxes, labels = _boxes(picture, fit, mirrored=mirrored)
        return x, boxes, labels


def _boxes(picture: Picture, fit: Fit, *, mirrored: bool) -> tuple[Tensor, Tensor]:
    """Return the boxes of a picture in pixels of the network's input, and their labels."""
    kept = [box for box in picture.boxes if not box.crowd]
    corners = np.array(
        [(b.x, b.y, b.x + b.width, b.y + b.height) for b in kept], np.float32
    ).reshape(-1, 4)
    if mirrored:
        corners[:, [0, 2]] = picture.width - corners[:, [2, 0]]
    (height, width), (h, w) = fit.original, fit.resized
    scale = np.array([w / width, h / height] * 2, np.float32)
    labels = torch.tensor([box.label for box in kept], dtype=torch.long)
    return torch.from_numpy(corners * scale), labels


def _collate(items: list[tuple[Tensor, Tensor, Tensor]]) -> Batch:
    height = max(x.shape[1] for x, _, _ in items)
    width = max(x.shape[2] for x, _, _ in items)
    padded = [F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x, _, _ in items]
    return Batch(torch.stack(padded), [boxes for _, boxes, _ in items], [k for _, _, k in items])


def batches(
    dataset: Dataset,
    detector: SplitDetector,
    chosen: list[list[int]],
    *,
    epoch: int,
    seed: int,
    flip: float,
    workers: int,
) -> Iterator[Batch]:
    """Yield the chosen batches of an epoch."""
    loader = DataLoader(
        _Prepared(dataset, detector, seed, flip),
        batch_sampler=[[(epoch, index) for index in one] for one in chosen],
        collate_fn=_collate,
        num_workers=workers,
    )
    yield from loader
