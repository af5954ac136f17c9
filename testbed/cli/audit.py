"""The points of a detector, and which of them nobody should use."""

from __future__ import annotations

from testbed.cli.page import Page, Table
from testbed.detectors.published import DetectorTable


def audit(table: DetectorTable) -> Page:
    """Return the points with what dominates each, the JPEG to beat, and where figures are from.

    A point is dominated if another is no worse in payload, device work and mAP, and better in one.
    """
    ladder = table.ladder
    points = Table(
        "points",
        (
            "width",
            "channels",
            "payload_bytes",
            "map",
            "map50",
            "encoder_mac",
            "compressor_mac",
            "decoder_mac",
            "dominated_by",
        ),
    )
    dominated: list[str] = []
    for rung in ladder:
        point = table.at(rung.point.width)
        better = ladder.dominator(rung)
        if better is not None:
            dominated.append(f"{point.width:g}")
        points.rows.append(
            (
                point.width,
                point.channels,
                point.payload_bytes,
                point.map,
                point.map50,
                point.encoder_mac,
                point.compressor_mac,
                point.decoder_mac,
                None if better is None else better.point.width,
            )
        )
    sources = Table("sources", ("columns", "kind", "source"))
    for source in dict.fromkeys(table.columns.values()):
        covered = [column for column, other in table.columns.items() if other == source]
        sources.rows.append((", ".join(covered), source.kind, source.text))
    facts = {
        "name": table.name,
        "source": table.source,
        "input_side_px": table.input_side,
        "input_bytes": table.input_bytes,
        "bits": table.bits,
        "one_set_of_weights": table.configurable,
        "teacher": table.teacher.title,
        "teacher_map": table.teacher.map,
        "teacher_map50": table.teacher.map50,
        "teacher_mac": table.teacher.mac,
        "jpeg95_bytes": table.jpeg95_bytes,
        "sha256": table.sha256,
    }
    facts = {key: value for key, value in facts.items() if value is not None}
    tables = [points, _other_counts(table), sources]
    return Page(table.title, facts, tables, _remarks(table, dominated))


def _other_counts(table: DetectorTable) -> Table:
    """Return the MACs that were counted in another convention, where there are any."""
    columns = [
        column
        for column in ("compressor_mac_clean", "decoder_mac_clean", "device_mac_biased")
        if column in table.columns
    ]
    rows = [[p.width, *(getattr(p, column) for column in columns)] for p in table.points]
    return Table("other_counts", ("width", *columns), list(rows) if columns else [])


def _remarks(table: DetectorTable, dominated: list[str]) -> list[str]:
    remarks = []
    if dominated:
        remarks.append(
            f"Dominated: α = {', '.join(dominated)}. Another point sends no more, computes no more "
            "on the device and detects no worse, and is better in one of these."
        )
    else:
        remarks.append("No point is dominated by another.")
    if table.jpeg95_bytes is not None:
        larger = [f"{p.width:g}" for p in table.points if p.payload_bytes > table.jpeg95_bytes]
        size = f"One stock photo at this size is a JPEG of {table.jpeg95_bytes:,} bytes at quality"
        if larger:
            remarks.append(
                f"{size} 95, less than α = {', '.join(larger)} sends: there, sending the whole "
                "picture costs fewer bytes."
            )
        else:
            remarks.append(f"{size} 95, more than any point sends.")
    return [*remarks, *table.notes, table.teacher.note]
