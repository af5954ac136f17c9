"""Synthetic video: textured shapes that move before a moving camera, with exact boxes.

Eight classes, four shapes times two textures; colour says nothing about the class, so that telling
classes apart takes more bits per place than finding the objects. Speeds follow the sizes of the
objects, because what a late box loses depends on their ratio only. Everything follows from a seed,
a split and the number of a scene; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.datasets.sprites import (
    CLASSES,
    DISTRACTORS,
    SHAPES,
    TEXTURES,
    Cover,
    Floats,
    Sprite,
    background,
    paste,
    sprite,
)
from testbed.streams import stream

SIDE = 256
FPS = 30
SEED = 2021

# Sides in pixels and how often. By area of the box, cut off at the border, 39 % of the objects
# of the training split are small, 47 % medium and 14 % large; of COCO's 41, 34 and 24 %.
_SIZES, _SHARES = ((16, 32), (32, 96), (96, 150)), (0.28, 0.42, 0.30)
_FULL_VIEW = 0.3  # an object of which less is seen is neither a miss nor a find
_PAUSE = 0.989  # chance that a regime lasts another frame: 3 s on average
_SPEED = {"calm": 0.5, "normal": 1.0, "fast": 2.0}
_NOISE = {"clean": 1.0, "noisy": 1.5}


@dataclass(frozen=True, slots=True)
class Seen:
    """One object as a frame shows it.

    Args:
        label: Counted from 1, in the order of `CLASSES`.
        track: The object across frames; one that comes back is another.
        xywh: The box of all of it that lies on the canvas, hidden parts too, in pixels.
        area: Pixels that are seen.
        visibility: Share of the object that is seen.
    """

    label: int
    track: int
    xywh: tuple[int, int, int, int]
    area: int
    visibility: float

    @property
    def crowd(self) -> bool:
        """Whether so little is seen that finding it or not should not count."""
        return self.visibility < _FULL_VIEW


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Args:
        image: (SIDE, SIDE, 3) of uint8, RGB.
        seen: What is in it.
    """

    image: NDArray[np.uint8]
    seen: tuple[Seen, ...]


@dataclass
class _Thing:
    sprite: Sprite
    side: float
    label: int  # 0 for a distractor
    track: int
    x: float
    y: float
    heading: float
    speed: float  # pixels per frame
    angle: float
    spin: float  # radians per frame


class Scene:
    """One clip of any length.

    Args:
        split: `train`, `val` or `video`; scenes of different splits share nothing.
        number: Of the scene.
        seed: Of all scenes.
    """

    def __init__(self, split: str, number: int, *, seed: int = SEED) -> None:
        self._rng = stream(seed, "scenes", split, str(number))
        rng = self._rng
        self._tracks = 0
        self._cuts = split == "video" and rng.random() < 0.2
        self._regime = [str(rng.choice(list(_SPEED))), str(rng.choice(list(_NOISE)))]
        self._start()

    def _start(self) -> None:
        """Draw a new place: background, camera, objects."""
        rng = self._rng
        self._background = background(2 * SIDE, rng)
        self._at = rng.uniform(0, SIDE, 2)
        pan = rng.uniform(3, 6) if rng.random() < 0.1 else abs(rng.normal(0, 0.5))
        turn = rng.uniform(0, 2 * np.pi)
        self._pan = pan * np.array([np.cos(turn), np.sin(turn)])
        self._shaky = rng.random() < 0.3
        self._shake = np.zeros(2)
        self._sigma = rng.uniform(2, 4)
        self._gain = float(rng.uniform(0.85, 1.15))
        empty = rng.random() < 0.05
        self._things = [self._distractor() for _ in range(rng.integers(2, 6))]
        self._things += [
            self._object(inside=True) for _ in range(0 if empty else rng.integers(3, 8))
        ]

    def _side(self) -> float:
        low, high = _SIZES[int(self._rng.choice(len(_SIZES), p=_SHARES))]
        return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))

    def _object(self, *, inside: bool) -> _Thing:
        rng = self._rng
        label = int(rng.integers(len(CLASSES)))
        shape, texture = SHAPES[label // len(TEXTURES)], TEXTURES[label % len(TEXTURES)]
        side = self._side()
        aspect = float(np.exp(rng.uniform(-0.25, 0.25)))
        painted = sprite(shape, texture, side, aspect, rng)
        self._tracks += 1
        return self._placed(painted, side, label + 1, self._tracks, inside=inside)

    def _distractor(self) -> _Thing:
        rng = self._rng
        side = self._side()
        painted = sprite(str(rng.choice(DISTRACTORS)), None, side, 1.0, rng)
        return self._placed(painted, side, 0, 0, inside=True)

    def _placed(
        self, painted: Sprite, side: float, label: int, track: int, *, inside: bool
    ) -> _Thing:
        rng = self._rng
        x, y = rng.uniform(0.05 * SIDE, 0.95 * SIDE, 2)
        heading = float(rng.uniform(0, 2 * np.pi))
        if not inside:  # it enters from a border, heading for the middle
            edge = int(rng.integers(4))
            x = (-0.45 * side, SIDE + 0.45 * side, x, x)[edge]
            y = (y, y, -0.45 * side, SIDE + 0.45 * side)[edge]
            heading = float(np.arctan2(SIDE / 2 - y, SIDE / 2 - x) + rng.normal(0, 0.4))
        speed = side * float(np.exp(rng.uniform(np.log(0.008), np.log(0.08))))
        angle, spin = float(rng.uniform(0, 2 * np.pi)), float(rng.normal(0, np.pi / 180))
        return _Thing(painted, side, label, track, float(x), float(y), heading, speed, angle, spin)

    def step(self) -> None:
        """Let one frame's time pass."""
        rng = self._rng
        for index, kinds in enumerate((list(_SPEED), list(_NOISE))):
            if rng.random() > _PAUSE:
                self._regime[index] = str(rng.choice(kinds))
        if self._cuts and rng.random() < 1 / (10 * FPS):
            self._start()
            return
        self._shake = 0.8 * self._shake + (rng.normal(0, 0.6, 2) if self._shaky else 0)
        pan = self._pan + (self._shake if self._shaky else 0)
        self._at = self._at + pan
        self._gain = float(np.clip(self._gain + rng.normal(0, 0.01), 0.8, 1.2))
        factor = _SPEED[self._regime[0]]
        for place, thing in enumerate(self._things):
            thing.heading += float(rng.normal(0, 0.03 * 2 * np.pi))
            thing.x += factor * thing.speed * float(np.cos(thing.heading)) - float(pan[0])
            thing.y += factor * thing.speed * float(np.sin(thing.heading)) - float(pan[1])
            thing.angle += thing.spin
            margin = 0.5 * thing.side
            if not (-margin <= thing.x <= SIDE + margin and -margin <= thing.y <= SIDE + margin):
                new = self._object(inside=False) if thing.label else self._distractor()
                self._things[place] = new

    def frame(self, *, paint: bool = True) -> Frame:
        """Return the frame of now.

        Args:
            paint: Whether its picture is wanted; without, `image` is of no use but quick.
        """
        import cv2

        matrix = np.array([[1, 0, -(self._at[0] % SIDE)], [0, 1, -(self._at[1] % SIDE)]])
        canvas: Floats = cv2.warpAffine(
            self._background, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        ).astype(np.float32)  # fmt: skip
        covers = [self._paste(canvas, thing) for thing in self._things]
        seen = self._seen(covers)
        sigma = self._sigma * _NOISE[self._regime[1]]
        noise = self._rng.standard_normal(canvas.shape, np.float32) * np.float32(sigma)
        if not paint:
            return Frame(np.zeros((SIDE, SIDE, 3), np.uint8), seen)
        canvas = cv2.GaussianBlur(canvas, (5, 5), 0.6) * np.float32(self._gain) + noise
        return Frame(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), seen)

    def _paste(self, canvas: Floats, thing: _Thing) -> Cover:
        travel = 0.5 * thing.speed * _SPEED[self._regime[0]]
        return paste(canvas, thing.sprite, thing.x, thing.y, thing.angle, round(travel))

    def _seen(self, covers: list[Cover]) -> tuple[Seen, ...]:
        owner = np.zeros((SIDE, SIDE), np.int16)
        for index, cover in enumerate(covers, start=1):
            owner[cover.rows, cover.columns][cover.solid] = index
        found = []
        for index, (thing, cover) in enumerate(zip(self._things, covers, strict=True), start=1):
            box = cover.box
            if not thing.label or box is None or box[2] < 2 or box[3] < 2:
                continue
            area = int((owner[cover.rows, cover.columns] == index).sum())
            found.append(Seen(thing.label, thing.track, box, area, area / max(1, cover.whole)))
        return tuple(found)

    def frames(self, count: int, *, every: int = 1) -> Iterator[Frame]:
        """Yield `count` frames, `every` frames of time apart."""
        for index in range(count):
            if index:
                for _ in range(every):
                    self.step()
            yield self.frame()
