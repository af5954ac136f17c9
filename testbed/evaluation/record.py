"""Records what a detector does with every picture of a data set, at every operating point.

Each picture is read once and its bottleneck computed once for each width; what the payload of every
point weighs is what really comes out of quantiser and coder, and its boxes are what comes out of
the decoder at the other end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import testbed
from testbed.datasets.dataset import Dataset, Picture
from testbed.detectors.answers import Answers, Ints, joined, written
from testbed.detectors.detections import Detections
from testbed.detectors.macs import count_detector
from testbed.detectors.pair import SplitPair
from testbed.detectors.pictures import PictureCodec
from testbed.detectors.recording import HEADER, SCHEMA, RecordedPoint, Recording, load
from testbed.detectors.recording_file import write
from testbed.detectors.split import SplitDetector
from testbed.errors import TestbedError
from testbed.evaluation.chunks import Chunk, Store
from testbed.evaluation.coco_map import coco_map, found_results
from testbed.evaluation.decoding import Input, seen
from testbed.evaluation.offload import MAC_PER_PIXEL, decode, shrunk, whole_picture
from testbed.metrics.boxes import Truth
from testbed.metrics.evaluator import Evaluator
from testbed.metrics.proxy import best_threshold, frame_f1
from testbed.model import LOCAL, Mode, OperatingPoint
from testbed.workers import pool

CHUNK_FRAMES = 8
"""Frames whose recording is lost at most when a run is killed."""

UNCODED_BITS = 16
"""Half floats, which no entropy coder takes."""

Image = NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """Which operating points are recorded.

    Args:
        widths: Of the split network.
        bits: 1 to 8, or 16, which is sent without a coder.
        codecs: Entropy coders.
        local: Whether the whole network is run on the device, too.
        offload: How whole pictures are sent, such as `jpeg-75`.
    """

    widths: tuple[float, ...]
    bits: tuple[int, ...] = (8,)
    codecs: tuple[str, ...] = ("raw",)
    local: bool = False
    offload: tuple[str, ...] = ()

    @property
    def points(self) -> list[OperatingPoint]:
        """All of them, in the order in which they are recorded."""
        found = [
            OperatingPoint(width, bits, codec)
            for width in self.widths
            for bits in self.bits
            for codec in (("raw",) if bits == UNCODED_BITS else self.codecs)
        ]
        found += [LOCAL] * self.local
        return found + [OperatingPoint(1.0, 0, name, Mode.OFFLOAD) for name in self.offload]

    @property
    def answers(self) -> list[int]:
        """Which answers each point has; entropy coders lose nothing, so they share theirs."""
        kinds: dict[object, int] = {}
        return [
            kinds.setdefault(
                (p.mode, p.width, p.bits, p.codec if p.mode is Mode.OFFLOAD else ""), len(kinds)
            )
            for p in self.points
        ]


@dataclass(frozen=True)
class Subject:
    """A detector and the files that it is made of.

    Args:
        pair: Both ends of the split network; None for a network without a bottleneck.
        whole: What runs on the device alone and decodes pictures on the server.
        weights: From `detector` and `teacher` to the sha256 of their files.
    """

    pair: SplitPair | None
    whole: SplitDetector
    weights: dict[str, str]

    @property
    def detector(self) -> SplitDetector:
        """The network that is recorded."""
        return self.whole if self.pair is None else self.pair.detector

    def stretch(self, images: Sequence[Image], plan: Plan) -> Chunk:
        """Return what the points of a plan make of some pictures, which are decoded together."""
        sizes, pixels, inputs = zip(*(self._sent(image, plan) for image in images), strict=True)
        return Chunk(
            np.array(sizes, np.int64).T,
            np.array(pixels, np.int64),
            tuple(_answers(seen(same)) for same in zip(*inputs, strict=True)),
        )

    def _sent(self, image: Image, plan: Plan) -> tuple[list[int], int, list[Input]]:
        """Return the bytes of each point, the pixels offloaded, and what each decoder gets."""
        sizes: list[int] = []
        inputs: list[Input] = []
        pixels = 0
        if self.pair is not None:
            x, fit = self.pair.detector.prepare(image)
            device = next(self.pair.detector.parameters()).device
            for width in plan.widths:
                bottleneck = self.pair.engine.bottleneck(x[None].to(device), width)
                values = bottleneck[0].float().cpu().numpy()
                for bits in plan.bits:
                    codecs = ("raw",) if bits == UNCODED_BITS else plan.codecs
                    plain = self.pair.pack(values, fit, OperatingPoint(width, bits))
                    for codec in codecs:
                        point = OperatingPoint(width, bits, codec)
                        sent = plain if codec == "raw" else self.pair.pack(values, fit, point)
                        sizes.append(len(sent))
                    inputs.append(Input(self.pair.detector, *self.pair.unpack(plain), False))
        original = image.shape[0], image.shape[1]
        if plan.local:
            sizes.append(0)
            inputs.append(whole_picture(self.whole, image, original))
        if plan.offload:
            small = shrunk(image, self.whole.prepare(image)[1])
            pixels = small.shape[0] * small.shape[1]
            for name in plan.offload:
                data = PictureCodec.parse(name).encode(small)
                sizes.append(len(data))
                inputs.append(whole_picture(self.whole, decode(data), original))
        return sizes, pixels, inputs


def _answers(found: Sequence[Detections]) -> Answers:
    return joined([_answer(one) for one in found])


def _answer(found: Detections) -> Answers:
    edges, score = written(found.boxes, found.scores)
    label = found.labels[: len(score)].astype(np.int64)
    return Answers(np.array([0, len(score)]), edges, label, score)


def record(
    subject: Subject,
    dataset: Dataset,
    plan: Plan,
    folder: Path,
    *,
    fps: float | None = None,
    threads: int = 1,
    workers: int = 1,
    batch: int = 1,
    progress: Progress = lambda done, total: None,
) -> Recording:
    """Record a detector on a data set, or go on where a run that was killed has stopped.

    Args:
        subject: The detector.
        dataset: Its labels must be those that the detector was made for.
        plan: The operating points.
        folder: Where; nothing is done if this very recording is there already.
        fps: Of the video; what the data set says if left out.
        threads: Of torch. One is enough for small networks, and fights with nobody.
        workers: Processes that stretches of frames are spread over; they change no digit.
        batch: Pictures that are decoded together. Several take less time, and give other last
            digits than one at a time, which is what a live run does.
        progress: Called with frames done and their number.

    Raises:
        TestbedError: The data set is empty or has other labels; the folder holds another
            recording.
        ValueError: A width or bits that the network does not have.
    """
    pictures = in_order(dataset)
    _check(subject, dataset, plan)
    header = _header(subject, dataset, plan, dataset.fps if fps is None else fps, batch)
    if (folder / HEADER).is_file():
        known = load(folder)
        if known.id != header["id"]:
            raise TestbedError(
                f"{folder}: holds a recording of other weights, pictures or settings; name another "
                "folder with --out, or remove it"
            )
        return known
    store = Store(folder / f"chunks-{header['id'][:12]}")
    stretches = {
        number: pictures[start : start + CHUNK_FRAMES]
        for number, start in enumerate(range(0, len(pictures), CHUNK_FRAMES))
    }
    chunks = {number: chunk for number in stretches if (chunk := store.get(number)) is not None}
    todo = [number for number in stretches if number not in chunks]
    done = sum(len(stretches[number]) for number in chunks)
    progress(done, len(pictures))

    def keep(number: int, chunk: Chunk) -> None:
        nonlocal done
        store.put(number, chunk)
        chunks[number] = chunk
        done += len(stretches[number])
        progress(done, len(pictures))

    take = partial(_stretch, subject, dataset, plan, batch, threads)
    if workers == 1:
        for number in todo:
            keep(number, take(stretches[number]))
    else:
        with pool(workers, fresh=True) as executor:
            jobs = {executor.submit(take, stretches[number]): number for number in todo}
            for job in as_completed(jobs):
                keep(jobs[job], job.result())
    whole = _joined([chunks[number] for number in stretches])
    _finish(folder, header, subject, dataset, plan, whole)
    store.remove()
    return load(folder)


def _stretch(
    subject: Subject,
    dataset: Dataset,
    plan: Plan,
    batch: int,
    threads: int,
    pictures: Sequence[Picture],
) -> Chunk:
    """Return what the points of a plan make of a stretch of frames."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        parts = [
            subject.stretch([dataset.load(picture) for picture in pictures[at : at + batch]], plan)
            for at in range(0, len(pictures), batch)
        ]
    finally:
        torch.set_num_threads(before)
    return _joined(parts)


def in_order(dataset: Dataset) -> tuple[Picture, ...]:
    """Return the pictures as they are recorded: clips as they are, single pictures by number.

    COCO's evaluator takes pictures by number, and equal scores in that order.
    """
    if any(picture.clip is not None for picture in dataset):
        return dataset.pictures
    return tuple(sorted(dataset, key=lambda picture: picture.key))


def _check(subject: Subject, dataset: Dataset, plan: Plan) -> None:
    config = subject.detector.config
    if not len(dataset):
        raise TestbedError(f"{dataset.name} has no pictures")
    if dataset.categories and max(dataset.categories) > config.classes:
        raise TestbedError(
            f"{dataset.name} has labels up to {max(dataset.categories)}, "
            f"and {config.name} knows {config.classes} classes"
        )
    if plan.widths and subject.pair is None:
        raise TestbedError(f"{config.name} has no bottleneck to send; record --local or --offload")
    for width in plan.widths:
        subject.detector.widths.find(width)
    if not plan.points:
        raise TestbedError("there is nothing to record; see --widths, --local and --offload")


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    return Chunk(
        np.concatenate([chunk.payload_bytes for chunk in chunks], axis=1),
        np.concatenate([chunk.picture_pixels for chunk in chunks]),
        tuple(joined(parts) for parts in zip(*(chunk.answers for chunk in chunks), strict=True)),
    )


def _header(
    subject: Subject, dataset: Dataset, plan: Plan, fps: float | None, batch: int
) -> dict[str, Any]:
    """Return what `recording.json` says before anything is recorded, with the id of it all."""
    config = subject.detector.config
    pictures = in_order(dataset)
    truth = dataset.truth()
    sizes = {(picture.height, picture.width) for picture in pictures}
    clips: list[tuple[str, int]] = []
    for picture in pictures:
        if picture.clip is None:
            continue
        if clips and clips[-1][0] == picture.clip:
            clips[-1] = picture.clip, clips[-1][1] + 1
        else:
            clips.append((picture.clip, 1))
    video = sum(frames for _, frames in clips) == len(pictures)
    settings: dict[str, Any] = {"testbed": testbed.__version__, "batch": batch}
    if subject.pair is not None:
        engine = type(subject.pair.engine).__name__
        settings |= {
            "scheme": subject.pair.scheme.value, "crop": subject.pair.crop, "engine": engine,
        }  # fmt: skip
    made_of = {
        "schema": SCHEMA,
        "weights": subject.weights,
        "dataset": _sha256_of(dataset),
        "points": [str(point) for point in plan.points],
        "fps": fps if video else None,
        "settings": settings,
    }
    return {
        "id": hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest(),
        "network": config.name,
        "side": config.side,
        "teacher": None if subject.whole is subject.detector else subject.whole.config.name,
        "weights": subject.weights,
        "dataset": {
            "name": dataset.name,
            "sha256": made_of["dataset"],
            "frames": len(pictures),
            "fps": made_of["fps"],
            "size": list(sizes.pop()) if len(sizes) == 1 else None,
            "sequences": clips if video else [],
        },
        "categories": truth.categories,
        "configurable": True,  # one file of weights
        "settings": settings | {"torch": torch.__version__},
    }


def _sha256_of(dataset: Dataset) -> str:
    """Return a checksum of pictures, boxes and labels."""
    total = hashlib.sha256(json.dumps(sorted(dataset.categories.items())).encode())
    files: dict[Path, str] = {}
    for picture in in_order(dataset):
        if picture.path not in files:
            with picture.path.open("rb") as stream:
                files[picture.path] = hashlib.file_digest(stream, "sha256").hexdigest()
        boxes = [
            (b.label, b.x, b.y, b.width, b.height, b.area, b.crowd, b.track) for b in picture.boxes
        ]
        one = (files[picture.path], picture.frame, picture.clip, boxes)
        total.update(json.dumps(one).encode())
    return total.hexdigest()


def _finish(
    folder: Path,
    header: dict[str, Any],
    subject: Subject,
    dataset: Dataset,
    plan: Plan,
    whole: Chunk,
) -> None:
    """Score what was recorded and write the recording."""
    pictures = in_order(dataset)
    ordered = Dataset(dataset.name, dataset.categories, pictures, dataset.dropped, dataset.fps)
    truth, reference = ordered.truth(), ordered.ground_truth()
    keys = [picture.key for picture in pictures]
    scores = [
        coco_map(reference, found_results(keys, answers.found()), backend="faster-coco-eval")
        for answers in whole.answers
    ]
    threshold, quality = _quality(truth, whole.answers, [score["map"] for score in scores])
    macs = _macs(subject, plan, whole.picture_pixels)
    points = [
        RecordedPoint(
            point,
            answers,
            payload_bytes=float(sizes.mean()),
            map=scores[answers]["map"],
            map50=scores[answers]["map50"],
            encoder_mac=macs[place][0],
            compressor_mac=macs[place][1],
            decoder_mac=macs[place][2],
        )
        for place, (point, answers, sizes) in enumerate(
            zip(plan.points, plan.answers, whole.payload_bytes, strict=True)
        )
    ]
    settings = header["settings"] | {"quality_threshold": threshold}
    write(
        folder,
        header | {"settings": settings},
        points,
        whole.payload_bytes,
        quality[plan.answers],
        whole.answers,
        truth,
    )


def _quality(
    truth: Truth, answers: Sequence[Answers], maps: Sequence[float]
) -> tuple[float, NDArray[np.float64]]:
    """Return the score above which boxes count, and with it F1 of (answers, frames).

    The threshold is the one that suits the answers with the highest mAP, and is that of all.
    """
    evaluator = Evaluator(truth, [one.found() for one in answers])
    frames = np.arange(len(truth))
    matches = [
        evaluator.matches(frames, np.full(len(truth), place), frames)
        for place in range(len(answers))
    ]
    threshold = best_threshold(matches[int(np.argmax(maps))])
    return threshold, np.array([frame_f1(one, threshold) for one in matches])


def _macs(subject: Subject, plan: Plan, picture_pixels: Ints) -> list[tuple[int, int, int]]:
    """Return the multiply-accumulates of encoder, compressor and server for each point."""
    split: dict[float, dict[str, int]] = {}
    if subject.pair is not None:
        for count in count_detector(subject.pair.detector):
            split.setdefault(count.width, {})[count.part] = count.mac
    parts = count_detector(subject.whole)
    alone = sum(count.mac for count in parts if count.width == 1.0)
    pixels = float(picture_pixels.mean()) if len(picture_pixels) else 0.0
    found = []
    for point in plan.points:
        if point.mode is Mode.SPLIT:
            of = split[point.width]
            server = of["decompressor"] + of["decoder"]
            found.append((of["encoder"], of["compressor"], server))
        elif point.mode is Mode.LOCAL:
            found.append((alone, 0, 0))
        else:
            kind = PictureCodec.parse(point.codec).kind
            found.append((round(pixels * MAC_PER_PIXEL[kind]), 0, alone))
    return found
