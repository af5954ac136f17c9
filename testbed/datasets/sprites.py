"""What the synthetic scenes are painted with: textured shapes, distractors, backgrounds.

Pictures are float32 in grey levels of 0 to 255; masks are float32 in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHAPES = ("disc", "square", "triangle", "star")
TEXTURES = ("stripe", "checker")
CLASSES = tuple(f"{shape} {texture}" for shape in SHAPES for texture in TEXTURES)
"""Shape tells four groups, texture the two classes of each; colour tells nothing."""

DISTRACTORS = ("bar", "arc", "blob")

_DETAIL = 192  # pixels of the side of a sprite before it is shrunk to its size
_CELLS = 4.0  # periods of the texture along a side


@dataclass(frozen=True, eq=False)
class Sprite:
    """One painted thing, not turned, at its size.

    Args:
        colour: (s, s, 3).
        mask: (s, s), how much of each pixel it covers.
    """

    colour: Floats
    mask: Floats


def _polygon(shape: str) -> NDArray[np.float64]:
    """Return the corners of a shape that fills the square from −1 to 1."""
    if shape == "square":
        return np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
    if shape == "bar":
        return np.array([(-1.0, -0.22), (1.0, -0.22), (1.0, 0.22), (-1.0, 0.22)])
    corners, inner = {"triangle": (3, 1.0), "star": (5, 0.42)}.get(shape, (48, 1.0))
    turns = 2 * corners if inner < 1 else corners
    angle = -np.pi / 2 + 2 * np.pi * np.arange(turns) / turns
    radius = np.where(np.arange(turns) % 2, inner, 1.0) if inner < 1 else np.ones(turns)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


def _outline(shape: str, rng: np.random.Generator) -> Floats:
    import cv2

    canvas = np.zeros((_DETAIL, _DETAIL), np.uint8)
    half = _DETAIL / 2
    reach = half - 4
    if shape == "arc":
        centre, axes = (int(half), int(half)), (int(reach * 0.8), int(reach * 0.8))
        start = float(rng.uniform(0, 360))
        cv2.ellipse(canvas, centre, axes, 0, start, start + 200, 255, int(reach * 0.3), cv2.LINE_AA)
        return np.float32(1 / 255) * canvas.astype(np.float32)
    corners = _polygon("disc" if shape == "blob" else shape)
    if shape == "blob":
        waves = sum(
            rng.uniform(0.05, 0.2) * np.cos(k * np.arctan2(corners[:, 1], corners[:, 0]) + phase)
            for k, phase in ((2, rng.uniform(0, 6.28)), (3, rng.uniform(0, 6.28)))
        )
        corners = corners * (0.7 + np.asarray(waves))[:, None]
    points = np.round((corners * reach + half) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [points], 255, cv2.LINE_AA, shift=4)
    return np.float32(1 / 255) * canvas.astype(np.float32)


def _texture(kind: str | None, rng: np.random.Generator) -> Floats:
    """Return a pattern of ±1 with soft edges, at a phase and an angle drawn."""
    angle, phase_x, phase_y = rng.uniform(0, np.pi), *rng.uniform(0, 2 * np.pi, 2)
    if kind is None:
        return np.zeros((_DETAIL, _DETAIL), np.float32)
    axis = (np.arange(_DETAIL, dtype=np.float32) + 0.5) / _DETAIL
    x, y = np.meshgrid(axis, axis)
    turn = 2 * np.pi * _CELLS
    u = np.sin(turn * (x * np.cos(angle) + y * np.sin(angle)) + phase_x)
    if kind == "stripe":
        return np.asarray(np.tanh(4 * u), np.float32)
    v = np.sin(turn * (-x * np.sin(angle) + y * np.cos(angle)) + phase_y)
    return np.asarray(np.tanh(6 * u * v), np.float32)


def sprite(
    shape: str, texture: str | None, side: float, aspect: float, rng: np.random.Generator
) -> Sprite:
    """Return a thing of that shape in a colour drawn, at its size, not turned.

    Args:
        shape: Of `SHAPES` or `DISTRACTORS`.
        texture: Of `TEXTURES`; None for one colour.
        side: Of the square it fills, in pixels, before `aspect`.
        aspect: Its width is side·√aspect, its height side/√aspect.
        rng: Draws colour, contrast, phase and angle.
    """
    import cv2

    mask = _outline(shape, rng)
    base = rng.uniform(40, 215, 3)
    contrast = rng.uniform(35, 80)
    tint = base + rng.uniform(-25, 25, 3)
    pattern = _texture(texture, rng)[..., None]
    colour = np.where(pattern > 0, tint, base) + contrast * pattern
    size = (max(3, round(side * aspect**0.5)), max(3, round(side / aspect**0.5)))
    # Shrunk by areas, because a texture that is merely sampled turns into another one.
    return Sprite(
        cv2.resize(np.clip(colour, 0, 255).astype(np.float32), size, interpolation=cv2.INTER_AREA),
        cv2.resize(mask, size, interpolation=cv2.INTER_AREA),
    )


def background(side: int, rng: np.random.Generator) -> Floats:
    """Return a (side, side, 3) picture of 1/f noise (β = 1.6) on one colour.

    Args:
        side: In pixels, even.
        rng: Draws the colour from [70, 185] per channel and the deviation from [14, 34].
    """
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    shape = (side, side // 2 + 1)
    layers = []
    for _ in range(2):
        spectrum = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        spectrum = spectrum / frequency**0.8
        spectrum[0, 0] = 0
        noise = np.fft.irfft2(spectrum, (side, side))
        layers.append(noise / noise.std())
    colour, deviation = rng.uniform(70, 185, 3), rng.uniform(14, 34)
    mix = rng.uniform(-0.6, 0.6, 3)
    picture = colour + deviation * (layers[0][..., None] + mix * layers[1][..., None])
    return np.asarray(np.clip(picture, 0, 255), np.float32)


def paste(canvas: Floats, thing: Sprite, x: float, y: float, angle: float, blur: int) -> Cover:
    """Paint a thing onto a canvas in place; return where it lies.

    Args:
        canvas: (H, W, 3).
        thing: What is painted.
        x: Of its centre, in pixels; it may lie outside the canvas.
        y: Of its centre.
        angle: By which it is turned, radians.
        blur: Pixels of travel during the exposure; blurred along both axes alike.
    """
    import cv2

    height, width = thing.mask.shape
    reach = int(np.ceil(np.hypot(height, width) / 2)) + 2 + blur
    left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
    size = 2 * reach + 1
    cos, sin = np.cos(angle), np.sin(angle)
    centre = (width - 1) / 2, (height - 1) / 2
    matrix = np.array(
        [
            [cos, -sin, x - left - cos * centre[0] + sin * centre[1]],
            [sin, cos, y - top - sin * centre[0] - cos * centre[1]],
        ]
    )
    mask = cv2.warpAffine(thing.mask, matrix, (size, size), flags=cv2.INTER_LINEAR)
    sharp = mask
    colour = cv2.warpAffine(
        thing.colour, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if blur > 1:
        mask = cv2.blur(mask, (blur, blur))
        colour = cv2.blur(colour, (blur, blur))
    rows = slice(max(top, 0), min(top + size, canvas.shape[0]))
    columns = slice(max(left, 0), min(left + size, canvas.shape[1]))
    inside = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return Cover(rows, columns, np.zeros((0, 0), np.bool_), int((sharp > 0.5).sum()))
    share = mask[inside][..., None]
    part = canvas[rows, columns]
    part += share * (colour[inside] - part)
    return Cover(rows, columns, sharp[inside] > 0.5, int((sharp > 0.5).sum()))


@dataclass(frozen=True, eq=False)
class Cover:
    """Where a painted thing lies on the canvas.

    Args:
        rows: Of the canvas that it may touch.
        columns: Of the canvas that it may touch.
        solid: Which of those pixels it covers by more than a half, were nothing in front.
        whole: Pixels of all of it, those beyond the canvas too.
    """

    rows: slice
    columns: slice
    solid: NDArray[np.bool_]
    whole: int

    @property
    def box(self) -> tuple[int, int, int, int] | None:
        """Left, top, width, height of what lies on the canvas; None if nothing does."""
        ys, xs = np.flatnonzero(self.solid.any(1)), np.flatnonzero(self.solid.any(0))
        if not len(ys) or not len(xs):
            return None
        left, top = self.columns.start + int(xs[0]), self.rows.start + int(ys[0])
        return left, top, int(xs[-1] - xs[0]) + 1, int(ys[-1] - ys[0]) + 1
