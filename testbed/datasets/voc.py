"""Pascal VOC: one XML file per picture, beside it or in `Annotations/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from testbed.datasets.dataset import Box, Dataset, DatasetError, Picture

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def read(path: Path, split: str | None = None, classes: Sequence[str] | None = None) -> Dataset:
    """Return what a folder of XML files holds.

    Args:
        path: The folder; with `Annotations/`, `JPEGImages/` and `ImageSets/Main/`, or with
            pictures and XML files side by side.
        split: The name of a list in `ImageSets/Main/`; every file if left out.
        classes: Names in the order of their labels, counted from 1; those that occur, sorted, if
            left out. Give them where a split lacks some, so that labels agree between splits.

    Boxes without an area are left out and counted. A box reaches from `xmin` to `xmax` as it
    stands, without the extra pixel of VOC's own scripts.
    """
    nested = path / "Annotations"
    folder = nested if nested.is_dir() else path
    files = sorted(folder.glob("*.xml"))
    if split is not None:
        listed = path / "ImageSets" / "Main" / f"{split}.txt"
        if not listed.is_file():
            raise DatasetError(listed, "no such list")
        names = listed.read_text(encoding="utf-8").split()
        files = [folder / f"{name}.xml" for name in names if name not in ("1", "-1", "0")]
    if not files:
        raise DatasetError(path, "no XML file of Pascal VOC in it")
    parsed = [_parse(file) for file in files]
    found = sorted({name for _, objects in parsed for name, *_ in objects})
    names = list(classes or found)
    if unknown := sorted(set(found) - set(names)):
        raise DatasetError(path, f"holds {unknown}, which are not among the classes {names}")
    labels = {name: index for index, name in enumerate(names, start=1)}
    images = _images(path / "JPEGImages" if nested.is_dir() else path)
    pictures, dropped = [], 0
    for key, (file, (size, objects)) in enumerate(zip(files, parsed, strict=True), start=1):
        boxes = []
        for name, left, top, right, bottom in objects:
            width, height = right - left, bottom - top
            if width <= 0 or height <= 0:
                dropped += 1
            else:
                boxes.append(Box(labels[name], left, top, width, height, width * height))
        if file.stem not in images:
            raise DatasetError(file, "no picture of this name")
        pictures.append(Picture(key, images[file.stem], tuple(boxes), *size))
    categories = {label: name for name, label in labels.items()}
    return Dataset(path.name if split is None else f"{path.name}/{split}", categories,
                   tuple(pictures), dropped)  # fmt: skip


def _images(folder: Path) -> dict[str, Path]:
    """Return {stem: picture}. Stems, because the XML may spell the ending in another case."""
    if not folder.is_dir():
        raise DatasetError(folder, "no such folder")
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in PICTURES}


def _parse(
    file: Path,
) -> tuple[tuple[int, int], list[tuple[str, float, float, float, float]]]:
    """Return height and width, and class and edges of each object."""
    try:
        # A picture's boxes from the user's own folder; expat refuses entity bombs.
        root = ElementTree.parse(file).getroot()  # noqa: S314
    except FileNotFoundError:
        raise DatasetError(file, "no such file") from None
    except ElementTree.ParseError as error:
        raise DatasetError(file, f"no XML: {error}", line=error.position[0]) from error

    def text(element: ElementTree.Element, key: str) -> str:
        value = element.findtext(key)
        if value is None:
            raise DatasetError(file, f"lacks {key} in {element.tag}")
        return value.strip()

    try:
        size = int(text(root, "size/height")), int(text(root, "size/width"))
        objects = [
            (
                text(one, "name"),
                float(text(one, "bndbox/xmin")),
                float(text(one, "bndbox/ymin")),
                float(text(one, "bndbox/xmax")),
                float(text(one, "bndbox/ymax")),
            )
            for one in root.iter("object")
        ]
    except ValueError as error:
        raise DatasetError(file, f"a number is none: {error}") from error
    return size, objects
