"""The operating points that the paper and its released code report, as tables.

One YAML file each in `published/`, beside this module; `published/efficientdet-d2-bw` names one.
A table says per width what crosses the uplink, what device and server compute, and the mAP on
COCO val2017; every column names where its figures are from.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

from testbed.detectors.configurations import find
from testbed.detectors.table_file import payload_bytes, read
from testbed.errors import UnknownName
from testbed.model import LOCAL, Ladder, OperatingPoint, Rung

PREFIX = "published/"

Kind = Literal["published", "computed"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure is from.

    Args:
        kind: `published` by the paper or its code, or `computed` by this project from what is.
        text: The citation, or how it was computed.
    """

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class TablePoint:
    """One operating point as a table has it.

    Args:
        width: α; for networks trained one by one, n as a share of the widest.
        channels: n, the channels of the bottleneck; 0 where there is none.
        payload_bytes: What crosses the uplink at the bits of the table, without any header.
        map: mAP@[.50:.95] on COCO val2017, in [0, 1].
        map50: mAP at an overlap of one half, in [0, 1].
        encoder_mac: Multiply-accumulates of the encoder up to the compressor.
        compressor_mac: Of the compressor.
        decoder_mac: Of everything on the server.
        compressor_mac_clean: The compressor without the bias terms which the released counter
            charges to convolutions that have none; None where `compressor_mac` has none either.
        decoder_mac_clean: The same for the decoder.
        device_mac_biased: Encoder and compressor with those bias terms, where `compressor_mac`
            lacks them and a comparison with such a count may be wanted.
        source: Where the figures are from, one clause per source.
    """

    width: float
    channels: int
    payload_bytes: int
    map: float
    map50: float
    encoder_mac: int
    compressor_mac: int
    decoder_mac: int
    compressor_mac_clean: int | None = None
    decoder_mac_clean: int | None = None
    device_mac_biased: int | None = None
    source: str = ""

    @property
    def device_mac(self) -> int:
        """Multiply-accumulates on the device."""
        return self.encoder_mac + self.compressor_mac

    @property
    def server_mac(self) -> int:
        """Multiply-accumulates on the server."""
        return self.decoder_mac


@dataclass(frozen=True, slots=True)
class Teacher:
    """The network without a bottleneck, from which the others were distilled.

    Args:
        title: Its name.
        map: mAP@[.50:.95] on COCO val2017, in [0, 1].
        map50: mAP at an overlap of one half, in [0, 1].
        mac: Multiply-accumulates of a frame; None where nobody has published any.
        parameters: How many it has, where known.
        source: Where the figures are from.
        note: What a reader should know about them.
    """

    title: str
    map: float
    map50: float
    mac: int | None
    parameters: int | None
    source: str
    note: str


@dataclass(frozen=True)
class DetectorTable:
    """Everything published about one detector.

    Args:
        name: Such as `published/efficientdet-d2-bw`.
        title: For people.
        source: The publication.
        input_side: Height and width of the picture, pixels.
        grid: Height and width of the bottleneck.
        full_channels: Channels of the bottleneck at width 1.
        configurable: Whether one set of weights holds every point.
        bits: Bits per value at which `payload_bytes` and the accuracies hold.
        points: By rising width.
        teacher: The same detector without a bottleneck.
        jpeg95_bytes: A JPEG of quality 95 of one stock photo at this size.
        columns: Where the figures of each column of `points` are from.
        notes: What a reader should know, a sentence or two each.
        sha256: Of the file.
    """

    name: str
    title: str
    source: str
    input_side: int
    grid: tuple[int, int]
    full_channels: int
    configurable: bool
    bits: int
    points: tuple[TablePoint, ...]
    teacher: Teacher
    jpeg95_bytes: int | None
    columns: dict[str, Source] = field(hash=False)
    notes: tuple[str, ...]
    sha256: str

    @property
    def input_bytes(self) -> int:
        """Bytes of the picture, three a pixel."""
        return 3 * self.input_side**2

    @property
    def timed_as(self) -> str:
        """What the files of devices and servers call it, where its times were measured."""
        return self.name

    @property
    def widths(self) -> tuple[float, ...]:
        """The widths that have a point, rising."""
        return tuple(point.width for point in self.points)

    def at(self, width: float) -> TablePoint:
        """Return the point at `width`. Raise a `ValueError` that lists the widths there are."""
        for point in self.points:
            if math.isclose(point.width, width, rel_tol=1e-9):
                return point
        known = ", ".join(f"{known:g}" for known in self.widths)
        raise ValueError(f"{self.name} has no width {width:g}; it has {known}")

    def payload_bytes_at(self, width: float, bits: int) -> int:
        """Return the bytes of the bottleneck at `width` with `bits` per value, rounded up.

        n·H·W·bits/8. Raise a `ValueError` if there is no such width, or bits are not 1 to 16.
        """
        if not 1 <= bits <= 16:
            raise ValueError(f"bits must be in 1 to 16, not {bits}")
        return payload_bytes(self.at(width).channels, self.grid, bits)

    @property
    def local(self) -> TablePoint | None:
        """The teacher run whole on the device; None where its MACs are not known."""
        if self.teacher.mac is None:
            return None
        return TablePoint(
            width=LOCAL.width,
            channels=0,
            payload_bytes=0,
            map=self.teacher.map,
            map50=self.teacher.map50,
            encoder_mac=self.teacher.mac,
            compressor_mac=0,
            decoder_mac=0,
            source=self.teacher.source,
        )

    @property
    def ladder(self) -> Ladder:
        """The points as a ladder, without times and energies, which are a device's to say."""
        return Ladder(
            tuple(
                Rung(
                    point=OperatingPoint(width=point.width, bits=self.bits),
                    payload_bytes=point.payload_bytes,
                    accuracy=point.map,
                    device_mac=point.device_mac,
                    server_mac=point.server_mac,
                )
                for point in self.points
            )
        )


def point_name(network: str, side: int) -> str:
    """Return what a network with pictures of that size is called in the file of a device.

    The published table where there is one of this size, because that is what a scenario names; a
    size that is not the network's own is part of the name, lest a time be used for another size.
    """
    table = f"{PREFIX}{network}"
    if table in names() and load(table).input_side == side:
        return table
    return network if find(network).side == side else f"{network}@{side}"


def names() -> list[str]:
    """Return the names of all tables, sorted."""
    return sorted(
        PREFIX + entry.name.removesuffix(".yaml")
        for entry in (resources.files(__package__) / "published").iterdir()
        if entry.name.endswith(".yaml")
    )


def load(name: str) -> DetectorTable:
    """Return the table of that name.

    Raise `UnknownName` with the nearest if there is none, `InputErrors` if its file is wrong.
    """
    known = names()
    if name not in known:
        raise UnknownName("detector", name, known)
    file = resources.files(__package__) / "published" / (name.removeprefix(PREFIX) + ".yaml")
    return parse(name, file.read_bytes(), file=str(file))


def parse(name: str, content: bytes, *, file: str) -> DetectorTable:
    """Return the table that a file holds.

    Args:
        name: What the table shall be called.
        content: The YAML.
        file: What error messages call the file.

    Raise `InputErrors` with everything that is wrong in it.
    """
    raw = read(content, file)
    sources = {key: Source(entry.kind, entry.text) for key, entry in raw.sources.items()}
    columns: dict[str, Source] = {column: sources[key] for column, key in raw.columns.items()}
    cited = _citation(columns)
    rows: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in raw.points]
    teacher = raw.teacher
    return DetectorTable(
        name=name,
        title=raw.title,
        source=raw.source,
        input_side=raw.input_side,
        grid=(raw.grid[0], raw.grid[1]),
        full_channels=raw.full_channels,
        configurable=raw.configurable,
        bits=raw.bits,
        points=tuple(TablePoint(**row, source=cited) for row in rows),
        teacher=Teacher(
            title=teacher.title,
            map=teacher.map,
            map50=teacher.map50,
            mac=teacher.mac,
            parameters=teacher.parameters,
            source=_citation(
                {"mAP": sources[teacher.source]}
                | ({"MAC": sources[teacher.mac_source]} if teacher.mac_source else {})
            ),
            note=teacher.note,
        ),
        jpeg95_bytes=raw.jpeg95_bytes,
        columns=columns,
        notes=tuple(raw.notes),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _citation(columns: dict[str, Source]) -> str:
    """Return one clause per source: what it covers, its kind and its text."""
    covered: dict[Source, list[str]] = {}
    for column, source in columns.items():
        covered.setdefault(source, []).append(column)
    return "; ".join(
        f"{', '.join(names)} ({source.kind}): {source.text}" for source, names in covered.items()
    )
