"""Scores as a file and as a picture: mAP over the bytes of a frame."""

from __future__ import annotations

import csv
import html
from collections.abc import Sequence
from pathlib import Path

from testbed.evaluation.evaluate import Score

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 400, 60, 50
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")


def write(scores: Sequence[Score], folder: Path, *, title: str) -> list[Path]:
    """Write `scores.csv` with every metric, and `curve.svg` where payloads have a size."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "scores.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        names = [*scores[0].metrics, *(f"mask_{name}" for name in scores[0].mask_metrics)]
        writer.writerow(["width", "bits", "codec", "payload_bytes_mean", *names])
        for one in scores:
            metrics = [*one.metrics.values(), *one.mask_metrics.values()]
            size = "" if one.payload_bytes is None else one.payload_bytes
            writer.writerow([one.width, one.bits, one.codec, size, *metrics])
    sent = [one for one in scores if one.payload_bytes]
    if not sent:
        return [table]
    curve = folder / "curve.svg"
    curve.write_text(svg(sent, title), encoding="utf-8")
    return [table, curve]


def svg(scores: Sequence[Score], title: str) -> str:
    """Return a drawing of mAP over payload, a line per number of bits, a point per width."""
    most = max(one.payload_bytes or 0 for one in scores) * 1.05
    best = max(max(one.metrics["map"] for one in scores), 0.01) * 1.1

    def place(one: Score) -> tuple[float, float]:
        x = _LEFT + (one.payload_bytes or 0) / most * (_WIDTH - _LEFT - 20)
        return x, _HEIGHT - _BOTTOM - max(one.metrics["map"], 0) / best * (_HEIGHT - _BOTTOM - 40)

    bottom = _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{html.escape(title)}: mAP over payload</title>",
        f'<text x="{_LEFT}" y="20" font-size="14">{html.escape(title)}</text>',
        f'<path d="M{_LEFT} 30V{bottom}H{_WIDTH - 20}" fill="none" stroke="black"/>',
        f'<text x="{_WIDTH // 2}" y="{_HEIGHT - 12}" text-anchor="middle">'
        "payload, kB per frame</text>",
        f'<text x="15" y="{bottom // 2}" transform="rotate(-90 15 {bottom // 2})" '
        'text-anchor="middle">mAP</text>',
    ]
    for k in range(5):
        x = _LEFT + k / 4 / 1.05 * (_WIDTH - _LEFT - 20)
        y = bottom - k / 4 / 1.1 * (bottom - 40)
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{most / 1.05 * k / 4 / 1000:.3g}</text>"
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{best / 1.1 * k / 4:.3f}</text>"
        )
    for index, bits in enumerate(sorted({one.bits for one in scores})):
        colour = _COLOURS[index % len(_COLOURS)]
        line = sorted((one for one in scores if one.bits == bits), key=lambda one: one.width)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        for one in line:
            x, y = place(one)
            said = f"α={one.width:g}, {bits} bit: mAP {one.metrics['map']:.4f}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
                f"<title>{said}, {one.payload_bytes:.0f} B</title></circle>"
            )
        parts.append(
            f'<text x="{_WIDTH - 70}" y="{50 + 16 * index}" fill="{colour}">{bits} bit</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
