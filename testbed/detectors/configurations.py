"""Every split network by name, as plain data. Building one is `testbed.detectors.split.build`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from testbed.errors import UnknownName

LONGEST = 1333 / 800  # longest side of an R-CNN's picture, as a multiple of the short one

Family = Literal["efficientdet", "faster-rcnn", "mask-rcnn"]
Kind = Literal["teacher", "fixed", "bw", "cp"]
Compressor = Literal["mbconv", "sru-cru", "drop-index", "drop-magnitude", "stack"]

# The lists of widths of the released training configurations (jsiloto/adaptive-cob).
L11 = (0.167, 0.25, 0.33, 0.416, 0.5, 0.58, 0.66, 0.75, 0.83, 0.916, 1.0)
L10 = L11[1:]
L7 = L11[4:]

# Width and depth multiplier of the backbone, side of the picture, channels and cells of the BiFPN
# (Tan et al., EfficientDet, CVPR 2020, table 1). Heads are 3 deep in all of them.
_COEFFICIENTS = {
    0: (1.0, 1.0, 512, 64, 3),
    1: (1.0, 1.1, 640, 88, 4),
    2: (1.1, 1.2, 768, 112, 5),
}


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """One split network, as far as its shape goes.

    Args:
        name: What it is called.
        family: Which library network it is made of.
        kind: `teacher` has no bottleneck; `fixed` runs at one width; `bw` narrows what crosses the
            link; `cp` narrows the encoder too.
        side: The side of the square picture of an EfficientDet, a multiple of 128; the short side
            of the picture of an R-CNN.
        channels: C, the channels of the bottleneck at width 1; 0 for a teacher.
        widths: The widths it can run at.
        compressor: What stands at both ends of the bottleneck; an R-CNN has `stack` only.
        classes: Classes of objects, background not counted.
        coefficient: Of EfficientDet, 0 to 2.
        channel_multiplier: Of its backbone; None for that of the coefficient.
        fpn_channels: Of its BiFPN; None for those of the coefficient.
        fpn_cells: Of its BiFPN; None for those of the coefficient.
        anchor_scale: Side of the smallest anchor of a level, in cells of its grid; 4 as published.
        own_statistics: Whether all of the decompressor normalises with statistics of each width.
            As published, what is not narrowed shares them, which a range of widths as wide as 3 to
            16 channels does not allow: what a first layer adds up grows with its inputs.
    """

    name: str
    family: Family = "efficientdet"
    kind: Kind = "teacher"
    side: int = 768
    channels: int = 0
    widths: tuple[float, ...] = (1.0,)
    compressor: Compressor = "mbconv"
    classes: int = 90
    coefficient: int = 2
    channel_multiplier: float | None = None
    fpn_channels: int | None = None
    fpn_cells: int | None = None
    anchor_scale: float = 4.0
    own_statistics: bool = False

    def __post_init__(self) -> None:
        efficientdet = self.family == "efficientdet"
        if self.coefficient not in _COEFFICIENTS:
            raise ValueError(f"coefficient must be 0, 1 or 2, not {self.coefficient}")
        if efficientdet and (self.side < 128 or self.side % 128):
            raise ValueError(f"side must be a multiple of 128, not {self.side}")
        if self.side < 32:
            raise ValueError(f"side must be at least 32, not {self.side}")
        if (self.channels == 0) != (self.kind == "teacher"):
            raise ValueError("a bottleneck needs channels, and a teacher has none")
        if self.kind in ("teacher", "fixed") and self.widths != (1.0,):
            raise ValueError(f"a network of kind {self.kind} has the width 1 only")
        if self.kind != "teacher" and self.compressor != "stack" and not efficientdet:
            raise ValueError(f"the compressor {self.compressor} is not one of {self.family}")
        if self.kind in ("bw", "cp") and self.compressor != ("mbconv" if efficientdet else "stack"):
            raise ValueError(
                f"the compressor {self.compressor} of {self.family} has one width only"
            )
        if self.kind == "cp" and self.family == "mask-rcnn":
            raise ValueError("no mask-rcnn narrows its encoder")
        if self.classes < 1:
            raise ValueError(f"classes must be at least 1, not {self.classes}")

    @property
    def backbone(self) -> tuple[float, float]:
        """Width and depth multiplier of the EfficientNet."""
        width, depth, *_ = _COEFFICIENTS[self.coefficient]
        return self.channel_multiplier or width, depth

    @property
    def fpn(self) -> tuple[int, int]:
        """Channels and cells of the BiFPN."""
        *_, channels, cells = _COEFFICIENTS[self.coefficient]
        return self.fpn_channels or channels, self.fpn_cells or cells

    @property
    def longest_side(self) -> int:
        """The most that a side of the network's input can have."""
        if self.family == "efficientdet":
            return self.side
        return -(-round(self.side * LONGEST) // 32) * 32

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the bottleneck for a network input of that size."""
        # An eighth after stage 3, a quarter after stem and pooling; each of the four convolutions
        # of a stack adds one.
        less = 8 if self.family == "efficientdet" else 4
        more = 4 if self.compressor == "stack" and self.kind != "teacher" else 0
        return math.ceil(height / less) + more, math.ceil(width / less) + more

    def bottleneck(self, width: float) -> int:
        """Return n = round(C·α), halves to even, the channels that cross the link."""
        return round(self.channels * width)


def _efficientdets() -> list[SplitConfig]:
    found = []
    for coefficient, most in ((1, 40), (2, 48)):
        base = f"efficientdet-d{coefficient}"
        side = _COEFFICIENTS[coefficient][2]

        def student(
            name: str, kind: Kind, channels: int, widths: tuple[float, ...] = (1.0,),
            compressor: Compressor = "mbconv", *, base: str = base, side: int = side,
            coefficient: int = coefficient,
        ) -> SplitConfig:  # fmt: skip
            return SplitConfig(
                name=f"{base}-{name}", kind=kind, channels=channels, widths=widths, side=side,
                coefficient=coefficient, compressor=compressor,
            )  # fmt: skip

        found.append(SplitConfig(name=base, side=side, coefficient=coefficient))
        found += [student(f"c{c}", "fixed", c) for c in range(most // 4, most + 1, most // 4)]
        found.append(student("bw", "bw", most, L11))
        if coefficient == 2:
            found += [
                student("cp-c48-min25", "cp", 48, L10),
                student("cp-c48-min50", "cp", 48, L7),
                student("cp-c24-min50", "cp", 24, L7),
                student("c12-sru-cru", "fixed", 12, compressor="sru-cru"),
                student("c12-stack", "fixed", 12, compressor="stack"),
                student("c12-drop", "fixed", 12, compressor="drop-index"),
                student("c12-drop-magnitude", "fixed", 12, compressor="drop-magnitude"),
            ]
        else:
            found.append(student("cp-c40-min25", "cp", 40, L10))
    return found


def _small() -> list[SplitConfig]:
    """For machines without a GPU: the backbone of D0, as it is and at half its channels."""
    found = []
    for name, side, multiplier, channels, fpn, cells in (
        ("small-d0", 256, None, 40, None, None),
        ("tiny-d0", 128, 0.5, 24, 32, 2),
    ):
        teacher = SplitConfig(
            name=name, side=side, coefficient=0, channel_multiplier=multiplier,
            fpn_channels=fpn, fpn_cells=cells,
        )  # fmt: skip
        found.append(teacher)
        kinds: tuple[Kind, ...] = ("bw", "cp")
        found += [
            replace(
                teacher, name=f"{name}-{kind}", kind=kind, channels=channels,
                widths=(0.25, 0.5, 0.75, 1.0),
            )
            for kind in kinds
        ]  # fmt: skip
    return found


def _scenes() -> list[SplitConfig]:
    """For the synthetic scenes: half of D0's channels, and anchors for objects from 16 px on."""
    teacher = SplitConfig(
        name="scenes-d0", side=256, coefficient=0, channel_multiplier=0.5, fpn_channels=48,
        fpn_cells=2, anchor_scale=2.0, classes=8,
    )  # fmt: skip
    # 3 to 16 channels of 24: with one or two, half of what the whole network finds is lost.
    bw = replace(
        teacher, name="scenes-d0-bw", kind="bw", channels=16,
        widths=(0.1875, 0.25, 0.375, 0.5, 0.75, 1.0), own_statistics=True,
    )  # fmt: skip
    cp = replace(bw, name="scenes-d0-cp", kind="cp", widths=(0.25, 0.375, 0.5, 0.75, 1.0))
    fixed = [
        replace(
            bw,
            name=f"scenes-d0-c{c}",
            kind="fixed",
            channels=c,
            widths=(1.0,),
            own_statistics=False,
        )
        for c in (4, 8)
    ]
    others: tuple[Compressor, ...] = ("sru-cru", "drop-index")
    varied = [
        replace(fixed[1], name=f"{fixed[1].name}-{c.removesuffix('-index')}", compressor=c)
        for c in others
    ]
    return [teacher, bw, cp, *fixed, *varied]


def _rcnns() -> list[SplitConfig]:
    found = []
    families: tuple[Family, ...] = ("faster-rcnn", "mask-rcnn")
    for family in families:

        def student(
            name: str, kind: Kind, channels: int = 12, widths: tuple[float, ...] = L10,
            *, family: Family = family,
        ) -> SplitConfig:  # fmt: skip
            return SplitConfig(
                name=f"{family}-{name}", family=family, kind=kind, side=800, channels=channels,
                widths=widths, compressor="stack",
            )  # fmt: skip

        found.append(SplitConfig(name=family, family=family, side=800, compressor="stack"))
        found.append(student("bw", "bw"))
        if family == "faster-rcnn":
            found.append(student("cp", "cp"))
        found += [student(f"b{c}ch", "fixed", c, (1.0,)) for c in (3, 6, 9, 12)]
    return found


CONFIGURATIONS = {
    config.name: config for config in (*_efficientdets(), *_small(), *_scenes(), *_rcnns())
}


def find(name: str) -> SplitConfig:
    """Return the configuration of that name. Raise `UnknownName` with the nearest otherwise."""
    if name not in CONFIGURATIONS:
        raise UnknownName("network", name, CONFIGURATIONS)
    return CONFIGURATIONS[name]
