"""The worlds of the study of policies: a trace and a device, in each of its two halves.

`Table` has EfficientDet-D2 as published, on devices and traces as they are. `Filmed` has a
recording, whose network is a small one; devices and traces are slowed down as much as it is
smaller, so that they are as busy as with EfficientDet-D2 (`docs/study.md` says why).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from testbed import catalog
from testbed.detectors import published, recording
from testbed.detectors.answers import is_picture_codec
from testbed.detectors.recording import Recording
from testbed.devices.profile import load_device
from testbed.errors import TestbedError
from testbed.model import LOCAL, SKIP, Ladder, Mode, OperatingPoint
from testbed.policies.network import read as read_network
from testbed.scenario import Scenario, load_text
from testbed.traces import read
from testbed.traces.synthesise import synthesise
from testbed.traces.write import mahimahi, rate_csv

NETWORKS = Path(__file__).resolve().parent / "learned"
"""What `policy_learned.py` trained, a network for each half and device."""

# Shipped traces, technologies to synthesise more from, and how the radio of each is called.
TECHNOLOGIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "3g": (("3g/drive-a.up",), ("3g-driving-up",), "umts-2012"),
    "lte": (("lte/drive-a.up", "lte/static-a.up"), ("lte-driving-up", "lte-static-up"), "lte-2021"),
    "5g": (
        ("5g/sa-walk-a.csv", "5g/nsa-walk-a.csv"),
        ("5g-sa-walking-up", "5g-nsa-walking-up"),
        "nr-sa-low-2021",
    ),
    "mmwave": (
        ("mmwave/walk-a.csv", "mmwave/drive-a.csv"),
        ("mmwave-walking-down", "mmwave-driving-down"),
        "nr-nsa-mmwave-2021",
    ),
    "wifi": (
        ("wifi/static-a.csv", "wifi/walk-a.up"),
        ("wifi-static-up", "wifi-walking-up"),
        "wifi-modern",
    ),
}
FIRST_SEED = 101  # of the synthetic traces; those that networks learned from have others

KINDS = (
    "goodput festive bba bola drift-plus-penalty mpc robust-mpc stochastic-mpc awstream "
    "neurosurgeon spinn lfp linucb thompson late-drop oboe random"
).split()
POLICIES: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in KINDS},
    "one-at-a-time": {"kind": "frame-filter", "every": 1, "outstanding": 1},
    "careful-mpc": {
        "kind": "mpc",
        "estimator": {"kind": "conformal", "miss": 0.1, "of": {"kind": "kalman"}},
    },
}

DETECTOR = "published/efficientdet-d2-bw"


class Half(Protocol):
    """What the worlds of a half of the study have in common."""

    @property
    def name(self) -> str:
        """Of the half: `table` or `recording`."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Names in the catalogue."""

    @property
    def seconds(self) -> float:
        """How long a run is."""

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The static points that are played."""

    @property
    def forecasts(self) -> bool:
        """Whether there are boxes to be moved to where their objects should be by now."""

    @property
    def dissected(self) -> int:
        """On how many traces of each technology a gain is taken apart by knob."""

    @property
    def sighted_bins(self) -> int | None:
        """Steps of the backlog for the clairvoyant of short sight; None for as many as suit."""

    def data(self, world: World) -> dict[str, Any]:
        """Return a world as a scenario file has it, but for its policies."""

    def seed(self, technology: str, place: int) -> int:
        """Return the seed of the runs on the trace at a place among those of its technology."""


@dataclass(frozen=True)
class World:
    """A trace and a device.

    Args:
        half: Which half of the study it is of.
        technology: Of the trace.
        trace: Its name; of the catalogue, or what it was synthesised from and with which seed.
        path: What the scenario names.
        radio: A name in the catalogue.
        place: Of the trace among those of its technology, from 0.
        device: A name in the catalogue.
        seconds: How long a run is.
    """

    half: Half
    technology: str
    trace: str
    path: str
    radio: str
    place: int
    device: str
    seconds: float

    @property
    def seed(self) -> int:
        """Seed of the runs."""
        return self.half.seed(self.technology, self.place)

    def scenario(self) -> Scenario:
        """Return the world with all policies and all static points in it."""
        static = {static_name(p): _fixed(p) for p in self.half.points}
        return load_text(json.dumps(self.half.data(self) | {"policies": static | self.policies()}))

    def policies(self) -> dict[str, dict[str, Any]]:
        """Return the policies that are no static points, by name."""
        network = network_of(self.half, self.device)
        learned = {"learned": {"kind": "learned", "model": str(network)}} if network else {}
        return POLICIES | learned


@cache
def network_of(half: Half, device: str) -> Path | None:
    """Return the network that learned for a device, if there is one for its ladder."""
    path = NETWORKS / f"{half.name}-{device}.safetensors"
    if not path.exists():
        return None
    world = World(half, "lte", "lte/drive-a.up", "lte/drive-a.up", "lte-2021", 0, device, 1)
    one = {"policies": {"random": {"kind": "random"}}}
    try:
        read_network(path).check(load_text(json.dumps(half.data(world) | one)).clients[0].ladder)
    except ValueError:
        return None
    return path


@dataclass(frozen=True)
class Table:
    """EfficientDet-D2 with a slimmable bottleneck, as published: eleven widths, local, skip."""

    name: str = "table"
    devices: tuple[str, ...] = ("raspberry-pi-4", "raspberry-pi-5", "phone-npu-sd8elite")
    seconds: float = 50
    forecasts: bool = False
    dissected: int = 99
    sighted_bins: int | None = None

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """Every point of the ladder."""
        table = published.load(DETECTOR)
        return *(OperatingPoint(width, table.bits) for width in table.widths), LOCAL, SKIP

    def seed(self, technology: str, place: int) -> int:
        """Return the same seed for every trace: frames are all alike."""
        return 1

    def data(self, world: World) -> dict[str, Any]:
        """Return a world at four frames a second with half a second to answer."""
        uplink = {"kind": "replay", "trace": world.path, "start_s": "random", "delay_ms": 25}
        return _data(
            world,
            deadline_ms=500,
            uplink=uplink,
            client={
                "device": world.device,
                "detector": DETECTOR,
                "source": {"fps": 4},
                "ladder": {"widths": "all", "modes": ["split", "local", "skip"]},
            },
        )


@dataclass(frozen=True)
class Filmed:
    """A recorded film of 30 frames a second.

    Args:
        recording: The folder of the recording.
        folder: Where the slower devices are written.
    """

    recording: Path
    folder: Path
    name: str = "recording"
    devices: tuple[str, ...] = ("jetson-nano", "raspberry-pi-5", "phone-sd8g2")
    seconds: float = 12
    forecasts: bool = True
    dissected: int = 2  # five knobs make 32 plays
    sighted_bins: int | None = 40  # it plans anew for each of 30 frames a second

    @property
    def film(self) -> Recording:
        """The recording."""
        return _loaded(self.recording)

    @cached_property
    def work(self) -> int:
        """How many times the work of the recorded network EfficientDet-D2 is, both whole."""
        whole = published.load(DETECTOR).teacher.mac
        assert whole is not None, "the work of EfficientDet-D2 is published"
        return round(whole / self.film.at(LOCAL).device_mac)

    @cached_property
    def size(self) -> int:
        """How many times the bytes of the recorded bottleneck EfficientDet-D2's are, uncoded."""
        most = max(p.payload_bytes for p in self.film.points if p.point.mode is Mode.SPLIT)
        return round(published.load(DETECTOR).at(1.0).payload_bytes / most)

    @cached_property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The points that no other one beats in bytes, work and mAP."""
        rungs = [self.film.at(point).rung for point in self._ladder]
        return *(rung.point for rung in Ladder(tuple(rungs)).pareto), SKIP

    @cached_property
    def _ladder(self) -> list[OperatingPoint]:
        """Every recorded point, uncoded ones left out where an entropy coder was recorded too."""
        points = [recorded.point for recorded in self.film.points]
        coded = any(p.mode is Mode.SPLIT and p.codec != "raw" for p in points)
        return [p for p in points if not (coded and p.mode is Mode.SPLIT and p.codec == "raw")]

    def seed(self, technology: str, place: int) -> int:
        """Return another seed for each trace: another start in the film, so another observation."""
        return 1 + place + 1000 * [*TECHNOLOGIES, technology].index(technology)

    def data(self, world: World) -> dict[str, Any]:
        """Return a world at 30 frames a second with a fifth of a second to answer."""
        split = [p for p in self._ladder if p.mode is Mode.SPLIT]
        uplink = {
            "kind": "shared",
            "among": self.size,
            "delay_ms": 25,
            "link": {"kind": "replay", "trace": world.path, "start_s": "random"},
        }
        return _data(
            world,
            deadline_ms=200,
            uplink=uplink,
            client={
                "device": self.slowed(world.device),
                "detector": str(self.recording),
                "source": {"fps": 30},
                "queue": {"limit": 1},  # whoever is busy takes the newest frame next
                "ladder": {
                    "widths": "all",
                    "bits": sorted({p.bits for p in split}, reverse=True),
                    "modes": [*dict.fromkeys(p.mode.value for p in self._ladder), "skip"],
                    "codecs": list(dict.fromkeys(p.codec for p in self._ladder if _coded(p))),
                },
            },
        )

    def slowed(self, device: str) -> str:
        """Return the file of a device as many times slower as the network is smaller."""
        profile = load_device(catalog.find("devices/devices", device))
        sheet = profile.sheet
        source = f"{device}, slowed down by {self.work} as its network is smaller"

        def entry(value: float) -> dict[str, Any]:
            return {"value": value, "kind": "assumed", "source": source}

        slow = {
            "title": f"{device}, {self.work} times slower",
            "rate_gmac_per_s": entry(sheet.rate_gmac_per_s.value / self.work),
            "idle_w": entry(sheet.idle_w.value),
            "active_w": entry(sheet.active_w.value),
            "jitter_cv": entry(profile.jitter_cv),
        }
        path = self.folder / f"{device}-{self.work}.yaml"
        return str(_written(path, json.dumps(slow, indent=1) + "\n").resolve())


def _coded(point: OperatingPoint) -> bool:
    return point.mode is Mode.SPLIT or is_picture_codec(point.codec)


@cache
def _loaded(folder: Path) -> Recording:
    return recording.load(folder)


def _data(
    world: World, *, deadline_ms: int, uplink: dict[str, Any], client: dict[str, Any]
) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": "study",
        "seeds": [world.seed],
        "duration_s": world.seconds,
        "deadline_ms": deadline_ms,
        "server": {"profile": "t4-eager-amp"},
        "network": {
            "uplink": uplink,
            "downlink": {"kind": "constant", "mbps": 20, "delay_ms": 25},
        },
        "clients": [{"name": "camera", "radio": world.radio} | client],
    }


def static_name(point: OperatingPoint) -> str:
    """Return what the policy is called that keeps to a point."""
    if point.mode is Mode.SPLIT:
        coder = "" if point.codec == "raw" else f"-{point.codec}"
        bits = "" if not coder and point.bits == 8 else f"-{point.bits}"
        return f"fixed-{point.width:g}{bits}{coder}"
    return f"fixed-{point.codec if point.mode is Mode.OFFLOAD else point.mode.value}"


def _fixed(point: OperatingPoint) -> dict[str, Any]:
    if point.mode is Mode.SPLIT:
        of = {"width": point.width, "bits": point.bits, "codec": point.codec}
    else:
        of = {"mode": point.mode.value}
        of |= {"codec": point.codec} if point.mode is Mode.OFFLOAD else {}
    return {"kind": "fixed"} | of


def halves(wanted: Collection[str], film: str | None, folder: Path) -> list[Half]:
    """Return the halves that are wanted and can be played.

    Args:
        wanted: Of `table` and `recording`.
        film: Name or folder of a recording; the first that ships if None.
        folder: Where slower devices are written.
    """
    found: list[Half] = [Table()] if "table" in wanted else []
    if "recording" in wanted:
        name = film or next(iter(recording.names()), None)
        path = recording.find(name) if name else None
        if path is not None:
            found.append(Filmed(path.resolve(), folder / "devices"))
        elif film:
            raise SystemExit(f"no recording '{film}'")
        else:
            print("no recording ships with this version: only the half of the published table")
    return found


def worlds(
    half: Half,
    folder: Path,
    *,
    count: int,
    technologies: Sequence[str],
    devices: Sequence[str] | None = None,
    seconds: float | None = None,
    measured: Path | None = None,
) -> list[World]:
    """Return the worlds of a half; synthetic traces are written into a folder on the way."""
    found: list[tuple[str, str, str, str, int]] = []  # technology, name, path, radio, place
    for technology in technologies:
        shipped, kinds, radio = TECHNOLOGIES[technology]
        names = [(name, name) for name in shipped[:count]]
        for i in range(count - len(names)):
            kind, seed = kinds[i % len(kinds)], FIRST_SEED + i // len(kinds)
            names.append((f"{kind}-{seed}", synthetic(folder, kind, seed)))
        found += [
            (technology, name, path, radio, place) for place, (name, path) in enumerate(names)
        ]
    found += [(*trace, place) for place, trace in enumerate(_measured(measured))]
    every = half.devices if devices is None else devices
    return [World(half, *trace, d, seconds or half.seconds) for d in every for trace in found]


def _measured(folder: Path | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield the traces of somebody's own."""
    if folder is None:
        return
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            technology = read(path).technology or "measured"
        except TestbedError:
            continue
        radio = TECHNOLOGIES.get(technology, TECHNOLOGIES["lte"])[2]
        yield technology, path.relative_to(folder).as_posix(), str(path), radio


def synthetic(folder: Path, technology: str, seed: int) -> str:
    """Write a synthetic trace of two minutes into a folder and return its path."""
    trace = synthesise(technology, 120, seed)
    rates = trace.rates_bps is not None
    path = folder / f"{technology}-{seed}{'.csv' if rates else '.up'}"
    return str(_written(path, rate_csv(trace) if rates else mahimahi(trace)).resolve())


def _written(path: Path, text: str) -> Path:
    """Write a file unless it is there as it should be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path
