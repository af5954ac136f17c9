"""Places the names of points so that they cover neither each other nor other points."""

from __future__ import annotations

from collections.abc import Sequence

_PLACES = {
    "top right": (0.5, 0.5),
    "bottom right": (0.5, -0.5),
    "top left": (-0.5, 0.5),
    "bottom left": (-0.5, -0.5),
    "top center": (0.0, 0.75),
    "bottom center": (0.0, -0.75),
}
_CHARACTER, _LINE, _GAP = 7.2, 17.0, 13.0  # pixels, of the page's font
_WIDTH, _HEIGHT = 800.0, 320.0  # pixels, of a chart on a desktop

Box = tuple[float, float, float, float]


def placed(points: Sequence[tuple[float, float]], names: Sequence[str]) -> list[str]:
    """Return where to write each name, in plotly's words, for points in [0, 1] × [0, 1].

    Greedy: each name takes the place that overlaps least with the points and the names before it.
    """
    centres = [(x * _WIDTH, y * _HEIGHT) for x, y in points]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    chosen = []
    for (x, y), name in zip(centres, names, strict=True):
        options = {place: _box(x, y, name, *way) for place, way in _PLACES.items()}
        best = min(options, key=lambda place: sum(_overlap(options[place], t) for t in taken))
        taken.append(options[best])
        chosen.append(best)
    return chosen


def _box(x: float, y: float, name: str, right: float, up: float) -> Box:
    width = _CHARACTER * len(name)
    x += right * (width + _GAP)
    y += up * (_LINE + _GAP)
    return (x - width / 2, y - _LINE / 2, x + width / 2, y + _LINE / 2)


def _overlap(a: Box, b: Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)
