"""The run folder: the only thing an engine leaves behind, and the only thing analysis reads.

A folder is marked incomplete before its first byte is written and unmarked after its last, so that
a run that was killed can never be mistaken for a result.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testbed.errors import EnvironmentLacks, RunError
from testbed.model import NS_PER_S, Fate, FrameRecord, Mode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

INCOMPLETE = "INCOMPLETE"
SCHEMA = 1

INSTANTS = (
    "encode_start_ns",
    "encode_end_ns",
    "send_start_ns",
    "sent_ns",
    "arrived_ns",
    "batch_start_ns",
    "decoded_ns",
    "answered_ns",
)
"""Columns that are null where the frame never got there, in the order a frame passes them."""

COMPONENTS = ("compute", "radio", "idle")
"""What a client's energy is split into."""


class Span(NamedTuple):
    """One state of one component: a row of `energy.parquet`."""

    component: str
    state: str
    start_ns: int
    end_ns: int
    power_w: float

    @property
    def energy_j(self) -> float:
        """Power times duration."""
        return self.power_w * (self.end_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True)
class Spans:
    """The spans of one client as columns; iterating gives `Span` after `Span`.

    Args:
        component: Place in `COMPONENTS`.
        state: Place in `states`.
        states: Names.
        start_ns: When the state began.
        end_ns: When it ended.
        power_w: What it drew.
    """

    component: NDArray[np.int8]
    state: NDArray[np.int8]
    states: tuple[str, ...]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    power_w: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start_ns)

    def __iter__(self) -> Iterator[Span]:
        columns = (self.component, self.state, self.start_ns, self.end_ns, self.power_w)
        for component, state, start, end, power in zip(*(c.tolist() for c in columns), strict=True):
            yield Span(COMPONENTS[component], self.states[state], start, end, power)


class RadioCounts(NamedTuple):
    """How often a run asked more of a radio's figures than they say.

    Args:
        transfers: All of them.
        out_of_range: Of these, at a rate outside the range that the power line was fitted on.
        unannounced: Of these, begun while the radio slept.
    """

    transfers: int
    out_of_range: int
    unannounced: int


@dataclass(frozen=True)
class RunRows:
    """Everything that happened in one run of one policy on one seed.

    Args:
        frames: One row per captured frame.
        energy: One row per span.
        uplink_bytes: Offered to the uplink, and refused by its queues.
        radios: By name.
    """

    policy: str
    seed: int
    frames: pa.Table
    energy: pa.Table
    uplink_bytes: tuple[int, int]
    radios: dict[str, RadioCounts]


@dataclass(frozen=True)
class Run:
    """A complete run folder, read back."""

    folder: Path
    frames: pd.DataFrame
    energy: pd.DataFrame
    scenario: dict[str, Any]
    provenance: dict[str, Any]
    summary: dict[str, Any] | None
    accuracy: dict[str, Any] | None = None  # what recorded detections were worth


def rows_of(
    policy: str,
    seed: int,
    end_ns: int,
    clients: Mapping[str, tuple[Sequence[FrameRecord], Spans]],
    uplink_bytes: tuple[int, int],
    radios: dict[str, RadioCounts],
) -> RunRows:
    """Turn what the clients of one run recorded into columns.

    Instants after `end_ns` lie beyond the run and become null.
    """
    import pyarrow as pa

    frames, energy = [], []
    for name, (records, spans) in clients.items():
        frames.append(_frame_table(policy, seed, name, end_ns, records))
        energy.append(_energy_table(policy, seed, name, spans))
    return RunRows(
        policy,
        seed,
        pa.concat_tables(frames),
        pa.concat_tables(energy),
        uplink_bytes,
        radios,
    )


def _frame_table(
    policy: str, seed: int, client: str, end_ns: int, records: Sequence[FrameRecord]
) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    def column(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array(list(map(attrgetter(name), records)), kind)

    def instant(name: str) -> pa.Array:
        values = column(name, pa.int64())
        return pc.if_else(pc.greater(values, end_ns), pa.scalar(None, pa.int64()), values)

    points = [record.point for record in records]
    codecs = [None if p is None else p.codec for p in points]
    count = len(records)
    columns = {
        "policy": _same(policy, count),
        "seed": _seed(seed, count),
        "client": _same(client, count),
        "frame": column("frame", pa.int32()),
        "captured_ns": column("captured_ns", pa.int64()),
        **{name: instant(name) for name in INSTANTS},
        "width": pa.array([p and p.width for p in points], pa.float64()),
        "bits": pa.array([p and p.bits for p in points], pa.int8()),
        "mode": _coded(
            [None if p is None else p.mode for p in points], [mode.value for mode in Mode]
        ),
        "payload_bytes": column("payload_bytes", pa.int64()),
        "wire_bytes": column("wire_bytes", pa.int64()),
        "encode_j": column("encode_j", pa.float64()),
        "radio_j": column("radio_j", pa.float64()),
        "fate": _coded([record.fate for record in records], [fate.value for fate in Fate]),
        "stale_ns": column("stale_ns", pa.int64()),
        "battery_j": column("battery_j", pa.float64()),
        "temperature_c": column("temperature_c", pa.float64()),
        "codec": _coded(codecs, sorted({codec for codec in codecs if codec is not None})),
        "dataset_frame": column("dataset_frame", pa.int32()),
    }
    return pa.table(columns)


def _energy_table(policy: str, seed: int, client: str, spans: Spans) -> pa.Table:
    import pyarrow as pa

    count = len(spans)
    return pa.table(
        {
            "policy": _same(policy, count),
            "seed": _seed(seed, count),
            "client": _same(client, count),
            "component": pa.DictionaryArray.from_arrays(spans.component, pa.array(COMPONENTS)),
            "state": pa.DictionaryArray.from_arrays(spans.state, pa.array(spans.states)),
            "start_ns": spans.start_ns,
            "end_ns": spans.end_ns,
            "power_w": spans.power_w,
            "energy_j": spans.power_w * ((spans.end_ns - spans.start_ns) / NS_PER_S),
        }
    )


def _seed(seed: int, count: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.full(count, seed, np.int64))


def _same(value: str, count: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([value]))


def _coded(values: Iterable[str | None], known: list[str]) -> pa.Array:
    import pyarrow as pa

    code = {value: i for i, value in enumerate(known)}
    codes = pa.array([None if value is None else code[value] for value in values], pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string()))


def write_text(path: Path, text: str) -> None:
    """Write a text file outside a run folder. Raise `EnvironmentLacks` if it cannot be."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _cannot_write(path, error) from error


Put = Callable[[str, "str | pa.Table"], None]
"""Writes one file of a run folder, by name: text or a table."""


@contextmanager
def writing(folder: Path) -> Iterator[Put]:
    """Open a run folder for writing; yields `put(name, content)`.

    Text is written as UTF-8, tables as Parquet. The folder is complete when the block ends without
    an error. Raise `EnvironmentLacks` when the file system will not have it.
    """
    marker = folder / INCOMPLETE

    def put(name: str, content: str | pa.Table) -> None:
        path = folder / name
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            # Dictionaries for names only: numbers hardly repeat, and pack better without.
            names = [field.name for field in content.schema if pa.types.is_dictionary(field.type)]
            pq.write_table(content, path, compression="zstd", use_dictionary=names)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(
            "This run did not finish. Run its scenario again to complete it.\n", encoding="utf-8"
        )
        yield put
        marker.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(path: Path, error: OSError) -> EnvironmentLacks:
    reason = {
        errno.ENOSPC: "no space left on the disk; free some or name another folder with --out",
        errno.EACCES: "no permission to write there; name another folder with --out",
        errno.EROFS: "the file system is read-only; name another folder with --out",
        errno.ENOTDIR: "a part of the path is a file; name another folder with --out",
        errno.EEXIST: "a file of that name is in the way; name another folder with --out",
    }.get(error.errno or 0, error.strerror or str(error))
    return EnvironmentLacks(f"cannot write {path}: {reason}")


def tables(rows: Sequence[RunRows]) -> tuple[pa.Table, pa.Table]:
    """Return all runs' frames and all runs' energy spans, in the order given."""
    import pyarrow as pa

    frames = pa.concat_tables(run.frames for run in rows).unify_dictionaries().combine_chunks()
    energy = pa.concat_tables(run.energy for run in rows).unify_dictionaries().combine_chunks()
    return frames, energy


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a DataFrame whose 64-bit integers are nullable, never floats."""
    import pandas as pd
    import pyarrow as pa

    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def check(folder: Path) -> None:
    """Raise a `RunError` if there is no complete run folder here."""
    if not folder.exists():
        raise RunError(f"{folder}: no such run folder")
    if not folder.is_dir():
        raise RunError(f"{folder}: a file, not a run folder")
    if (folder / INCOMPLETE).exists():
        raise RunError(
            f"{folder}: incomplete: the run was interrupted before it ended; "
            f"run its scenario again (a file {INCOMPLETE} marks it)"
        )
    _provenance(folder)


def read(folder: Path) -> Run:
    """Read a run folder. Raise a `RunError` if there is none or if it is not complete."""
    check(folder)
    return read_back(folder)


def read_back(folder: Path) -> Run:
    """Read a run folder that may still be being written, by whoever writes it."""
    import pyarrow.parquet as pq
    from ruamel.yaml import YAML

    provenance = _provenance(folder)
    with _readable(folder):
        return Run(
            folder,
            _frame(pq.read_table(folder / "frames.parquet")),
            _frame(pq.read_table(folder / "energy.parquet")),
            YAML(typ="safe").load((folder / "scenario.yaml").read_text(encoding="utf-8")),
            provenance,
            _json(folder / "summary.json"),
            _json(folder / "accuracy.json"),
        )


def _json(path: Path) -> dict[str, Any] | None:
    """Return the content of a file that need not be there."""
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _provenance(folder: Path) -> dict[str, Any]:
    with _readable(folder):
        text = (folder / "provenance.json").read_text(encoding="utf-8")
        provenance: dict[str, Any] = json.loads(text)
    if provenance.get("schema") != SCHEMA:
        raise RunError(
            f"{folder}: written with run-folder schema {provenance.get('schema')}, "
            f"this version reads {SCHEMA}; run its scenario again"
        )
    return provenance


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise RunError(f"{folder}: not a run folder: {missing} is missing") from None
    except (ValueError, OSError) as error:
        raise RunError(f"{folder}: cannot be read: {error}") from error
