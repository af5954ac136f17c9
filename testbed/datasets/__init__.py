"""Pictures, video and scenes with ground truth.

`load` reads a data set of any of the known forms; each form has a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.datasets.dataset import Dataset


def load(path: Path, split: str | None = None, classes: Sequence[str] | None = None) -> Dataset:
    """Return a data set, its form told by what `path` is.

    Args:
        path: A `.json` file of COCO's form, a `.csv` file of boxes, or a folder of Pascal VOC.
        split: The name of a list of pictures, where the form has any.
        classes: Names in the order of their labels, where the form has no labels of its own.

    Raise a `DatasetError` for what is none of these, or breaks its form.
    """
    from testbed.datasets import boxes_csv, coco, voc
    from testbed.datasets.dataset import DatasetError

    suffix = path.suffix.lower()
    if suffix == ".json":
        if split is not None:
            raise DatasetError(path, f"a file of COCO's form has no split '{split}'; name its file")
        return coco.read(path)
    if suffix == ".csv":
        return boxes_csv.read(path, split, classes)
    if path.is_dir():
        return voc.read(path, split, classes)
    raise DatasetError(path, "neither a .json of COCO, a .csv of boxes nor a folder of Pascal VOC")
