"""A recording as a page: what each operating point costs and delivers, and which to leave alone."""

from __future__ import annotations

from typing import Any

from testbed.cli.page import Page, Table
from testbed.detectors.recording import Recording
from testbed.model import Ladder

COLUMNS = (
    "mode",
    "width",
    "bits",
    "codec",
    "payload_bytes_mean",
    "payload_bytes_min",
    "payload_bytes_max",
    "device_mac",
    "server_mac",
    "map",
    "map50",
    "f1",
    "dominated_by",
)


def line(recording: Recording) -> str:
    """Return one line about a recording."""
    return (
        f"Recording of {recording.network} on {recording.dataset}: {len(recording.points)} points, "
        f"{recording.frames} frames"
    )


def page(recording: Recording) -> Page:
    """Return the points of a recording, each with another one that leaves no reason for it.

    Raise a `RecordingError` if its tables are damaged.
    """
    ladder = recording.ladder
    points = Table("points", COLUMNS)
    for place, point in enumerate(recording.points):
        what, sizes = point.point, recording.payload_bytes[place]
        better = ladder.dominator(point.rung)
        points.rows.append(
            (
                what.mode.value,
                what.width,
                what.bits or None,
                what.codec if point.payload_bytes else None,
                round(point.payload_bytes, 1),
                int(sizes.min()),
                int(sizes.max()),
                point.device_mac,
                point.decoder_mac,
                round(point.map, 4),
                round(point.map50, 4),
                round(float(recording.quality[place].mean()), 4),
                None if better is None else str(better.point),
            )
        )
    truth = recording.truth
    size = None if recording.size is None else "x".join(map(str, recording.size[::-1]))
    facts: dict[str, Any] = {
        "name": recording.name,
        "network": recording.network,
        "input_side_px": recording.side,
        "teacher": recording.teacher,
        "dataset": recording.dataset,
        "frames": recording.frames,
        "clips": len(recording.sequences) or None,
        "fps": recording.fps,
        "picture_px": size,
        "objects": len(truth.label),
        "categories": ", ".join(filter(None, recording.categories)),
        "id": recording.id,
        "sha256": recording.sha256,
        **{f"{of}_sha256": digest for of, digest in recording.weights.items()},
        "dataset_sha256": recording.dataset_sha256,
    }
    known = {key: value for key, value in facts.items() if value is not None}
    return Page(f"detector {recording.name}: {line(recording)}", known, [points], _notes(ladder))


def _notes(ladder: Ladder) -> list[str]:
    beaten = [str(rung.point) for rung in ladder if ladder.dominator(rung) is not None]
    notes = [
        f"Dominated: {'; '.join(beaten)}. Beside each there is a point that sends no more, "
        "computes no more on the device and detects no worse, and is better in one of these."
        if beaten
        else "No point is dominated by another."
    ]
    return [*notes, "f1 is the mean over the frames; map is COCO's over all frames, without delay."]
