"""`testbed evaluate`: mAP per width and bits on a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from testbed.evaluation.evaluate import Score

Number = TypeVar("Number", int, float)

EXAMPLES = """
[bold]Examples[/bold]

  testbed evaluate best.safetensors coco/annotations/instances_val2017.json

  testbed evaluate efficientdet-d2.pth instances_val2017.json --network efficientdet-d2

  testbed evaluate best.safetensors cards --split val --bits 8,4,2 --codec zstd --out evaluation
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog=EXAMPLES)(evaluate)


def evaluate(
    weights: Annotated[
        Path, typer.Argument(help="A file that `testbed train` wrote, or somebody's .pth.")
    ],
    data: Annotated[
        Path, typer.Argument(help="A .json of COCO, a .csv of boxes, or a folder of Pascal VOC.")
    ],
    split: Annotated[str | None, typer.Option(help="A list of the data set's pictures.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Names in the order of the labels, separated by commas.")
    ] = None,
    widths: Annotated[str, typer.Option(help="Separated by commas, or all.")] = "all",
    bits: Annotated[
        str, typer.Option(help="1 to 8, 16, or 32 for no quantiser; separated by commas.")
    ] = "8",
    codec: Annotated[str, typer.Option(help="raw, zstd, range or range-adaptive.")] = "raw",
    scheme: Annotated[
        str, typer.Option(help="Of the quantiser: channel, rounded or published.")
    ] = "channel",
    crop: Annotated[
        bool, typer.Option(help="Leave out the padding of letterboxed pictures.")
    ] = True,
    network: Annotated[
        str | None, typer.Option(help="What somebody's file holds, such as efficientdet-d2.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Pictures; all if left out.")] = None,
    backend: Annotated[
        str, typer.Option(help="faster-coco-eval or pycocotools; the numbers are the same.")
    ] = "faster-coco-eval",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="Folder for a table and a curve.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with units in the keys.")
    ] = False,
) -> None:
    """Say how well a detector detects at every width and number of bits, through real payloads."""
    from testbed.cli.page import Page, Table
    from testbed.cli.terminal import progress_bar
    from testbed.errors import EnvironmentLacks, TestbedError, UnknownName

    try:
        from testbed import datasets
        from testbed.detectors.accelerator import device_of
        from testbed.detectors.configurations import find
        from testbed.detectors.outside import load_any
        from testbed.detectors.pair import SplitPair
        from testbed.detectors.quantise import Scheme
        from testbed.evaluation.evaluate import evaluate as judge
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(
            f"evaluation needs {error.name}: install the extra `detect`"
        ) from None
    if backend not in ("faster-coco-eval", "pycocotools"):
        raise UnknownName("backend", backend, ("faster-coco-eval", "pycocotools"))
    if scheme not in list(Scheme):
        raise UnknownName("scheme", scheme, list(Scheme))
    found = datasets.load(data, split, classes.split(",") if classes else None)
    if limit is not None:
        found = found.only(limit)
    detector = load_any(weights, find(network) if network else None).to(device_of(device))
    pair = None
    if detector.config.kind != "teacher":
        pair = SplitPair(detector, scheme=Scheme(scheme), crop=crop)
    try:
        depths = _numbers("--bits", bits, int)
        chosen = None if widths == "all" else _numbers("--widths", widths, float)
        with progress_bar(f"evaluating {detector.config.name}") as progress:
            scores = judge(
                detector, found, widths=chosen, bits=depths, codec=codec, pair=pair,
                backend=backend, progress=progress,  # type: ignore[arg-type]
            )  # fmt: skip
    except ValueError as error:
        raise TestbedError(str(error)) from error
    table = Table("scores", tuple(_row(scores[0])), [tuple(_row(s).values()) for s in scores])
    notes = [f"{found.name}: {len(found)} pictures"]
    if found.dropped:
        notes.append(f"boxes without an area, left out: {found.dropped}")
    if out is not None:
        from testbed.evaluation.curve import write

        notes += [str(path) for path in write(scores, out, title=detector.config.name)]
    Page(tables=[table], notes=notes).print(as_json=as_json)


def _numbers(option: str, text: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} takes numbers separated by commas, not '{text}'") from None


def _row(score: Score) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None or value < 0 else round(value, 4)

    names = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
    row: dict[str, Any] = {
        "width": score.width,
        "bits": score.bits,
        "codec": score.codec or None,
        "payload_bytes_mean": score.payload_bytes and round(score.payload_bytes, 1),
    }
    row |= {name: rounded(score.metrics[name]) for name in names}
    row |= {
        f"mask_{name}": rounded(score.mask_metrics[name])
        for name in names[:3]
        if score.mask_metrics
    }
    return row
