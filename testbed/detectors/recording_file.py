"""Writes the folder of a recording: tables as small as they get, the header last."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.answers import Answers
from testbed.detectors.recording import FILES, HEADER, SCHEMA, RecordedPoint
from testbed.metrics.boxes import Truth

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]


def write(
    folder: Path,
    header: Mapping[str, Any],
    points: Sequence[RecordedPoint],
    payload_bytes: Ints,
    quality: NDArray[np.float64],
    answers: Sequence[Answers],
    truth: Truth,
) -> None:
    """Write a recording. Without its header, which comes last and in one step, it is none.

    Args:
        folder: Made if it is not there.
        header: All of `recording.json` but `schema`, `points` and `files`.
        points: In the order of the rows of the next two.
        payload_bytes: (points, frames).
        quality: (points, frames).
        answers: Those that the points refer to by their place.
        truth: What is in each frame.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HEADER).unlink(missing_ok=True)
    tables = (
        _frames(payload_bytes, quality),
        _detections(answers),
        _truth(truth),
    )
    files = {}
    for name, table in zip(FILES, tables, strict=True):
        content = _parquet(table)
        (folder / name).write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
    whole = {"schema": SCHEMA, **header, "points": [_plain(p) for p in points], "files": files}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    part = folder / f"{HEADER}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / HEADER)


def _plain(point: RecordedPoint) -> dict[str, Any]:
    what = point.point
    return {
        "mode": what.mode.value,
        "width": what.width,
        "bits": what.bits,
        "codec": what.codec,
        "answers": point.answers,
        "payload_bytes_mean": point.payload_bytes,
        "map": point.map,
        "map50": point.map50,
        "encoder_mac": point.encoder_mac,
        "compressor_mac": point.compressor_mac,
        "decoder_mac": point.decoder_mac,
    }


def _frames(payload_bytes: Ints, quality: NDArray[np.float64]) -> pa.Table:
    import pyarrow as pa

    point, frame = np.indices(payload_bytes.shape)
    return pa.table(
        {
            "point": point.reshape(-1).astype(np.int16),
            "frame": frame.reshape(-1).astype(np.int32),
            "payload_bytes": payload_bytes.reshape(-1).astype(np.int32),
            "quality": quality.reshape(-1).astype(np.float32),
        }
    )


def _detections(answers: Sequence[Answers]) -> pa.Table:
    import pyarrow as pa

    def whole(columns: Sequence[Ints], kind: type) -> NDArray[Any]:
        return np.concatenate(columns or [np.zeros(0, np.int64)]).astype(kind)

    places = [np.full(len(a.score), place) for place, a in enumerate(answers)]
    edges = {
        name: whole([a.edges[:, column] for a in answers], np.int32)
        for column, name in enumerate(("left", "top", "right", "bottom"))
    }
    return pa.table(
        {
            "answers": whole(places, np.int16),
            "frame": whole([a.frame for a in answers], np.int32),
            **edges,
            "label": whole([a.label for a in answers], np.int16),
            "score": whole([a.score for a in answers], np.uint16),
        }
    )


def _truth(truth: Truth) -> pa.Table:
    import pyarrow as pa

    frame = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    x, y, width, height = truth.xywh.T
    return pa.table(
        {
            "frame": frame.astype(np.int32),
            "x": x,
            "y": y,
            "width": width,
            "height": height,
            "label": truth.label.astype(np.int16),
            "area": truth.area,
            "crowd": truth.crowd,
            "track": truth.track.astype(np.int32),
        }
    )


def _parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet: bytes of equal weight side by side, then zstandard."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = [f.name for f in table.schema if pa.types.is_floating(f.type) or f.type == "int32"]
    others = [f.name for f in table.schema if f.name not in numbers and f.type != "bool"]
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        compression_level=15,
        use_dictionary=others,
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
    )
    return stream.getvalue()
