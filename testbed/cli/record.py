"""`testbed record`: what a detector does with every picture, kept for simulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from testbed.datasets.dataset import Dataset
    from testbed.evaluation.record import Plan, Subject

Number = TypeVar("Number", int, float)

EXAMPLES = """
[bold]Examples[/bold]

  testbed record student.safetensors --dataset scenes/video.json --bits 8,4,2

  testbed record student.safetensors --dataset scenes/video.json --teacher teacher.safetensors
  --local --offload jpeg:30,50,75,90 --offload webp:50,75 --codecs raw,range --out road

  testbed record best.safetensors --dataset drones/boxes.csv --split val --limit 300

  testbed show detector road

A scenario then says `detector: road`. A run that was stopped goes on when it is started again.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("record", epilog=EXAMPLES)(record)


def record(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS",
            help="A network with shipped weights, a file that `testbed train` wrote, or somebody's "
            ".pth.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--dataset", help="A .json of COCO, a .csv of boxes, or a folder of Pascal VOC."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the recording; recordings/WEIGHTS-DATASET if left out."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="A list of the data set's pictures.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Names in the order of the labels, separated by commas.")
    ] = None,
    widths: Annotated[str, typer.Option(help="Separated by commas, or all, or none.")] = "all",
    bits: Annotated[str, typer.Option(help="1 to 8, or 16; separated by commas.")] = "8",
    codecs: Annotated[
        str, typer.Option(help="raw, zstd, range, range-adaptive; separated by commas.")
    ] = "raw",
    local: Annotated[
        bool, typer.Option("--local", help="The whole network on the device, too.")
    ] = False,
    offload: Annotated[
        list[str] | None,
        typer.Option(help="Whole pictures, such as jpeg:30,75 or webp:50; as often as you like."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Weights of what runs on the device alone and sees whole pictures on the server; "
            "the detector itself if left out."
        ),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="What somebody's file holds, such as efficientdet-d2.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Of the video, where the data set does not say it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Pictures; all if left out.")] = None,
    scheme: Annotated[
        str, typer.Option(help="Of the quantiser: channel, rounded or published.")
    ] = "channel",
    crop: Annotated[
        bool, typer.Option(help="Leave out the padding of letterboxed pictures.")
    ] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    threads: Annotated[
        int, typer.Option(min=1, help="Of one picture; more seldom help networks of this size.")
    ] = 1,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share the frames; they change no digit.")
    ] = 1,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            help="Pictures decoded together; several take less time and give other "
            "last digits than a live run.",
        ),
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in the keys.")
    ] = False,
) -> None:
    """Record bytes and boxes of a detector for every frame and operating point, for scenarios."""
    from testbed.cli.recordings import page
    from testbed.cli.terminal import progress_bar
    from testbed.errors import EnvironmentLacks, TestbedError

    try:
        from testbed import datasets
        from testbed.evaluation.record import record as take
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(
            f"recording needs {error.name}: install the extra `detect`"
        ) from None
    if fps is not None and not 0 < fps <= 1000:
        raise TestbedError(f"--fps is a number above 0 and up to 1000, not {fps:g}")
    found: Dataset = datasets.load(data, split, classes.split(",") if classes else None)
    if limit is not None:
        found = found.only(limit)
    subject = _subject(weights, teacher, network, scheme, device, crop=crop)
    plan = _plan(subject, widths, bits, codecs, offload or [], local=local)
    name = f"{weights.stem}-{found.name}".replace("/", "-")
    folder = Path("recordings") / name if out is None else out
    try:
        with progress_bar(f"recording {subject.detector.config.name}") as progress:
            recording = take(
                subject,
                found,
                plan,
                folder,
                fps=fps,
                threads=threads,
                workers=workers,
                batch=batch,
                progress=progress,
            )
    except ValueError as error:
        raise TestbedError(str(error)) from error
    shown = page(recording)
    if found.dropped:
        shown.notes.append(f"{found.dropped} boxes without an area were left out.")
    shown.notes.append(f"A scenario names it: `detector: {folder}`.")
    shown.print(as_json=as_json)


def _subject(
    weights: Path,
    teacher: Path | None,
    network: str | None,
    scheme: str,
    device: str,
    *,
    crop: bool,
) -> Subject:
    """Return the networks, ready to run."""
    import hashlib

    from testbed.detectors.configurations import find
    from testbed.detectors.outside import load_any
    from testbed.detectors.pair import SplitPair
    from testbed.detectors.quantise import Scheme
    from testbed.detectors.shipped import locate
    from testbed.errors import UnknownName
    from testbed.evaluation.record import Subject

    weights = locate(weights)
    if scheme not in list(Scheme):
        raise UnknownName("scheme", scheme, list(Scheme))
    detector = load_any(weights, find(network) if network else None).to(device).eval()
    digests = {"detector": hashlib.sha256(weights.read_bytes()).hexdigest()}
    whole = detector
    if teacher is not None:
        teacher = locate(teacher)
        whole = load_any(teacher, None).to(device).eval()
        digests["teacher"] = hashlib.sha256(teacher.read_bytes()).hexdigest()
    if detector.config.kind == "teacher":
        return Subject(None, detector, digests)
    return Subject(SplitPair(detector, scheme=Scheme(scheme), crop=crop), whole, digests)


def _plan(
    subject: Subject, widths: str, bits: str, codecs: str, offload: list[str], *, local: bool
) -> Plan:
    """Return the operating points that the options name."""
    from testbed.detectors.entropy import CODECS
    from testbed.detectors.pictures import PictureCodec
    from testbed.detectors.quantise import check_bits
    from testbed.errors import TestbedError, UnknownName
    from testbed.evaluation.record import Plan

    listed = codecs.split(",")
    for codec in listed:
        if codec not in CODECS:
            raise UnknownName("codec", codec, CODECS)
    depths = _numbers("--bits", bits, int)
    try:
        for depth in depths:
            check_bits(depth)
    except ValueError as error:
        raise TestbedError(f"--bits: {error}") from None
    chosen: list[float] = []
    if widths == "all" and subject.pair is not None:
        chosen = list(subject.detector.widths.values)
    elif widths not in ("all", "none"):
        chosen = _numbers("--widths", widths, float)
    pictures = []
    for entry in " ".join(offload).split():
        kind, _, qualities = entry.partition(":")
        pictures += [str(PictureCodec.parse(f"{kind}-{q}")) for q in qualities.split(",")]
    return Plan(_once(chosen), _once(depths), _once(listed), local, _once(pictures))


T = TypeVar("T")


def _once(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    from testbed.errors import TestbedError

    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise TestbedError(f"{option} takes numbers separated by commas, not '{text}'") from None
