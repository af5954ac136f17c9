"""What a detector did with every picture of a data set, at every operating point, for replay.

A recording is a folder that `testbed record` writes. Reading one needs no torch.

| file | a row for each | columns |
|---|---|---|
| `recording.json` | | which weights, data and settings; cost and mAP of each point; sha256 of the others |
| `frames.parquet` | point, frame | `payload_bytes`, as really sent; `quality`, F1 of the frame |
| `detections.parquet` | box found | `answers`, `frame`; edges in 1/16 px; `label`; `score` in 1/65535 |
| `truth.parquet` | object | `frame`, box, `label`, `area`, `crowd`, `track` |

Points that differ in their entropy coder alone decode to the same values, hence have the same
`answers`. Shipped recordings lie in `recordings/` beside this module.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.detectors.answers import Answers
from testbed.detectors.published import point_name
from testbed.errors import TestbedError
from testbed.metrics.boxes import Found, Truth
from testbed.model import Ladder, Mode, OperatingPoint, Rung

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1
HEADER = "recording.json"
FILES = ("frames.parquet", "detections.parquet", "truth.parquet")


class RecordingError(TestbedError):
    """A recording is missing, damaged, of another version, or lacks what is asked of it."""


@dataclass(frozen=True, slots=True)
class RecordedPoint:
    """What one operating point costs and delivers, as a mean over the frames.

    Args:
        point: The operating point; for `offload` its codec is that of the picture, with its
            quality, such as `jpeg-75`.
        answers: Which of the recorded answers are its.
        payload_bytes: Mean of what crosses the uplink.
        map: mAP@[.50:.95] over all frames, each answered at this point without delay.
        map50: The same at an overlap of one half.
        encoder_mac: Multiply-accumulates on the device up to the compressor; of the whole network
            for `local`, of the picture's codec for `offload`.
        compressor_mac: Of the compressor.
        decoder_mac: On the server; of the whole network for `offload`.
    """

    point: OperatingPoint
    answers: int
    payload_bytes: float
    map: float
    map50: float
    encoder_mac: int
    compressor_mac: int
    decoder_mac: int

    @property
    def device_mac(self) -> int:
        """Multiply-accumulates on the device."""
        return self.encoder_mac + self.compressor_mac

    @property
    def rung(self) -> Rung:
        """The point for a ladder, without times and energies, which are a device's to say."""
        return Rung(
            self.point,
            payload_bytes=round(self.payload_bytes),
            accuracy=max(self.map, 0.0),
            device_mac=self.device_mac,
            server_mac=self.decoder_mac,
        )


@dataclass(frozen=True)
class Recording:
    """A detector's outputs on a data set.

    Args:
        name: What scenarios call it: of a shipped one its folder, else the path.
        folder: Where it lies.
        sha256: Of `recording.json`, which holds those of the other files.
        id: sha256 of what it was made of: weights, pictures and labels, settings.
        network: The configuration of the network that was recorded.
        side: Of the network's input, pixels.
        teacher: The network that decodes whole pictures and runs on the device alone; None where
            the recorded network itself does the latter.
        weights: From `detector` and `teacher` to the sha256 of their files.
        dataset: The name of the pictures.
        dataset_sha256: Of pictures and labels.
        frames: How many pictures.
        fps: Of the video; None for pictures that do not follow one another in time.
        size: Height and width of the pictures; None where they differ.
        sequences: Name and number of frames of each clip, in order; empty where every picture
            stands for itself.
        categories: What the labels mean, from 1 on; empty for a label that is not used.
        configurable: Whether one set of weights holds every width.
        settings: Whatever else the content depends on.
        points: The operating points that were recorded.
        files: From the name of each other file to its sha256.
    """

    name: str
    folder: Path
    sha256: str
    id: str
    network: str
    side: int
    teacher: str | None
    weights: dict[str, str]
    dataset: str
    dataset_sha256: str
    frames: int
    fps: float | None
    size: tuple[int, int] | None
    sequences: tuple[tuple[str, int], ...]
    categories: tuple[str, ...]
    configurable: bool
    settings: dict[str, Any]
    points: tuple[RecordedPoint, ...]
    files: dict[str, str]

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be read again, so that a scenario travels light."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    @property
    def timed_as(self) -> str:
        """What the files of devices and servers call it, where its times were measured."""
        return point_name(self.network, self.side)

    @property
    def widths(self) -> tuple[float, ...]:
        """The widths that were recorded, rising."""
        return tuple(
            sorted({p.point.width for p in self.points if p.point.mode is Mode.SPLIT}),
        )

    @property
    def ladder(self) -> Ladder:
        """All points as a ladder, without times and energies, which are a device's to say."""
        return Ladder(tuple(point.rung for point in self.points))

    def index(self, point: OperatingPoint) -> int:
        """Return the place of a point in `points`. Raise a `RecordingError` if it is not there."""
        for index, recorded in enumerate(self.points):
            if recorded.point == point:
                return index
        listed = "; ".join(str(recorded.point) for recorded in self.points)
        raise RecordingError(f"{self.name} has no recording of {point}; it has {listed}")

    def at(self, point: OperatingPoint) -> RecordedPoint:
        """Return what was recorded of a point. Raise a `RecordingError` if nothing was."""
        return self.points[self.index(point)]

    @cached_property
    def _frames(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        table = self._read("frames.parquet", ("point", "frame", "payload_bytes", "quality"))
        shape = len(self.points), self.frames
        point, frame = np.divmod(np.arange(len(table)), max(self.frames, 1))
        if (
            len(table) != shape[0] * shape[1]
            or (_column(table, "point") != point).any()
            or (_column(table, "frame") != frame).any()
        ):
            raise RecordingError(f"{self.folder}: frames.parquet is not one row a point and frame")
        sizes = _column(table, "payload_bytes").astype(np.int64).reshape(shape)
        return sizes, _column(table, "quality").astype(np.float64).reshape(shape)

    @property
    def payload_bytes(self) -> NDArray[np.int64]:
        """What each point sent of each frame, (points, frames)."""
        return self._frames[0]

    @property
    def quality(self) -> NDArray[np.float64]:
        """F1 of each point's boxes on each frame, (points, frames)."""
        return self._frames[1]

    @cached_property
    def _detections(self) -> tuple[NDArray[np.int64], ...]:
        columns = ("answers", "frame", "left", "top", "right", "bottom", "label", "score")
        table = self._read("detections.parquet", columns)
        return tuple(_column(table, name).astype(np.int64) for name in columns)

    def found(self, point: OperatingPoint | int) -> Found:
        """Return what was found at a point, or at the point of that index, in every frame."""
        recorded = self.points[point] if isinstance(point, int) else self.at(point)
        answers, frame, *edges, label, score = self._detections
        rows = slice(*np.searchsorted(answers, [recorded.answers, recorded.answers + 1]))
        offsets = np.searchsorted(frame[rows], np.arange(self.frames + 1))
        corners = np.stack([edge[rows] for edge in edges], axis=1)
        return Answers(offsets.astype(np.int64), corners, label[rows], score[rows]).found()

    @cached_property
    def truth(self) -> Truth:
        """What is in each frame."""
        columns = ("frame", "x", "y", "width", "height", "label", "area", "crowd", "track")
        table = self._read("truth.parquet", columns)
        frame, *xywh, label, area, crowd, track = (_column(table, name) for name in columns)
        lengths = [frames for _, frames in self.sequences] or [1] * self.frames
        return Truth(
            offsets=np.searchsorted(frame, np.arange(self.frames + 1)).astype(np.int64),
            xywh=np.stack(xywh, axis=1).astype(np.float64),
            label=label.astype(np.int64),
            area=area.astype(np.float64),
            crowd=crowd.astype(np.bool_),
            track=track.astype(np.int64),
            sequence=np.repeat(np.arange(len(lengths), dtype=np.int64), lengths),
            categories=self.categories,
        )

    def _read(self, name: str, columns: tuple[str, ...]) -> pa.Table:
        """Return a table. Raise a `RecordingError` if it is not what was written."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != self.files[name]:
            raise RecordingError(f"{path}: damaged: not the file that {HEADER} speaks of")
        try:
            # One thread: a few megabytes, and no pool that is still busy when a command ends.
            return pq.read_table(pa.BufferReader(content), columns=list(columns), use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise RecordingError(f"{path}: no table of a recording: {error}") from None


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    found: NDArray[Any] = table.column(name).to_numpy()
    return found


def names() -> list[str]:
    """Return the names of the recordings that ship with the testbed, sorted."""
    return sorted(folder.name for folder in _shelf().iterdir() if (folder / HEADER).is_file())


def _shelf() -> Path:
    return Path(str(resources.files(__package__))) / "recordings"


def find(name: str, beside: Path | None = None) -> Path | None:
    """Return the folder that a name means, None if there is none.

    In this order: a shipped recording, a path as it stands, a path relative to `beside`.
    """
    candidate = Path(name).expanduser()
    for folder in (_shelf() / name, candidate, *([beside / candidate] if beside else [])):
        if (folder / HEADER).is_file():
            return folder
    return None


def load(folder: Path) -> Recording:
    """Read the header of a recording; the rest is read when it is asked for.

    Raise a `RecordingError` for a folder that holds none, or one that this version cannot read.
    """
    path = folder / HEADER
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        why = "no such folder" if not folder.is_dir() else f"no recording: it has no {HEADER}"
        raise RecordingError(f"{folder}: {why}") from None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None
    try:
        data = json.loads(content)
        if data["schema"] != SCHEMA:
            raise RecordingError(
                f"{path}: of schema {data['schema']}, and this version reads {SCHEMA}; "
                "make it anew with testbed record"
            )
        return _parsed(data, folder, hashlib.sha256(content).hexdigest())
    except (ValueError, KeyError, TypeError) as error:
        message = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise RecordingError(f"{path}: no header of a recording: {message}") from None


def _parsed(data: dict[str, Any], folder: Path, sha256: str) -> Recording:
    """Return what a header says. Raise a `ValueError` where it contradicts itself."""
    shipped = folder.resolve().parent == _shelf().resolve()
    dataset = data["dataset"]
    size = dataset["size"]
    points = tuple(_point(entry) for entry in data["points"])
    if not points or len({point.point for point in points}) < len(points):
        raise ValueError("no operating point, or one of them twice")
    lengths = [frames for _, frames in dataset["sequences"]]
    if dataset["frames"] < 1 or (lengths and sum(lengths) != dataset["frames"]):
        raise ValueError(f"{dataset['frames']} frames in sequences of {sum(lengths)}")
    return Recording(
        name=folder.name if shipped else str(folder.resolve()),
        folder=folder.resolve(),
        sha256=sha256,
        id=data["id"],
        network=data["network"],
        side=int(data["side"]),
        teacher=data["teacher"],
        weights=dict(data["weights"]),
        dataset=dataset["name"],
        dataset_sha256=dataset["sha256"],
        frames=int(dataset["frames"]),
        fps=None if dataset["fps"] is None else float(dataset["fps"]),
        size=None if size is None else (int(size[0]), int(size[1])),
        sequences=tuple((str(name), int(frames)) for name, frames in dataset["sequences"]),
        categories=tuple(data["categories"]),
        configurable=bool(data["configurable"]),
        settings=dict(data["settings"]),
        points=points,
        files={name: data["files"][name] for name in FILES},
    )


def _point(entry: dict[str, Any]) -> RecordedPoint:
    return RecordedPoint(
        OperatingPoint(
            float(entry["width"]), int(entry["bits"]), entry["codec"], Mode(entry["mode"])
        ),
        answers=int(entry["answers"]),
        payload_bytes=float(entry["payload_bytes_mean"]),
        map=float(entry["map"]),
        map50=float(entry["map50"]),
        encoder_mac=int(entry["encoder_mac"]),
        compressor_mac=int(entry["compressor_mac"]),
        decoder_mac=int(entry["decoder_mac"]),
    )
