"""Recordings are what the detector does live: the very bytes, and mAP to the last digit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed.datasets.dataset import Box, Dataset, Picture  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.macs import count_detector  # noqa: E402
from testbed.detectors.pair import SplitPair  # noqa: E402
from testbed.detectors.pictures import PictureCodec  # noqa: E402
from testbed.detectors.recording import load  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import TestbedError  # noqa: E402
from testbed.evaluation import record as recorder  # noqa: E402
from testbed.evaluation.chunks import Store  # noqa: E402
from testbed.evaluation.coco_map import coco_map, found_results, results_of  # noqa: E402
from testbed.evaluation.evaluate import evaluate  # noqa: E402
from testbed.evaluation.offload import MAC_PER_PIXEL, decode  # noqa: E402
from testbed.evaluation.record import Plan, Subject, record  # noqa: E402
from testbed.model import LOCAL, Mode, OperatingPoint  # noqa: E402

PLAN = Plan((0.25, 1.0), (8, 2), ("raw", "range"), local=True, offload=("jpeg-40",))
FRAMES = 5


def network(name):
    """Return a network of fresh weights that sees something everywhere, and is never sure."""
    detector = build(replace(find(name), classes=2))
    generator = torch.Generator().manual_seed(1)
    layer = detector.decoder.class_net.predict.conv_pw
    layer.weight.data.normal_(0, 0.3, generator=generator)
    layer.bias.data.fill_(-2.0)
    return detector


@pytest.fixture(scope="module")
def subject():
    return Subject(SplitPair(network("tiny-d0-bw")), network("tiny-d0"), {"detector": "a" * 64})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A clip of random coarse pictures, wider than high, with an object in each."""
    folder = tmp_path_factory.mktemp("clip")
    rng = np.random.default_rng(0)
    held = []
    for key in range(FRAMES):
        path = folder / f"{key}.png"
        coarse = rng.integers(0, 256, (9, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(path), np.repeat(np.repeat(coarse, 8, 0), 8, 1))
        box = Box(1 + key % 2, 20, 16, 48, 32, 1536, track=3)
        held.append(Picture(key + 1, path, (box,), 72, 160, clip="road"))
    return Dataset("clips/val", {1: "a", 2: "b"}, tuple(held), fps=25.0)


@pytest.fixture(scope="module")
def recorded(subject, dataset, tmp_path_factory):
    return record(subject, dataset, PLAN, tmp_path_factory.mktemp("recorded") / "road")


def test_every_point_is_there_and_coders_share_their_answers(recorded):
    split = [OperatingPoint(w, b, c) for w in (0.25, 1.0) for b in (8, 2) for c in ("raw", "range")]
    whole = [LOCAL, OperatingPoint(1.0, 0, "jpeg-40", Mode.OFFLOAD)]

    assert [point.point for point in recorded.points] == split + whole
    assert [point.answers for point in recorded.points] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    assert (recorded.dataset, recorded.fps, recorded.size) == ("clips/val", 25.0, (72, 160))
    assert recorded.sequences == (("road", FRAMES),)
    assert recorded.truth.track.tolist() == [3] * FRAMES


def test_the_bytes_on_record_are_the_bytes_that_encode_sends(recorded, subject, dataset):
    sizes = {point.point: recorded.payload_bytes[k] for k, point in enumerate(recorded.points)}
    for frame, picture in enumerate(dataset):
        image = dataset.load(picture)
        for point, known in sizes.items():
            if point.mode is Mode.SPLIT:
                assert len(subject.pair.encode(image, point)) == known[frame]
    range_coded = sizes[OperatingPoint(1.0, 8, "range")]
    assert len(set(range_coded.tolist())) > 1
    assert len(set(sizes[OperatingPoint(1.0, 8)].tolist())) == 1


def test_the_boxes_on_record_are_those_that_decode_gives(recorded, subject, dataset):
    found = recorded.found(OperatingPoint(0.25, 2, "range"))
    for frame, picture in enumerate(dataset):
        payload = subject.pair.encode(dataset.load(picture), OperatingPoint(0.25, 2, "range"))
        live = results_of(picture.key, subject.pair.decode(payload))
        rows = slice(found.offsets[frame], found.offsets[frame + 1])

        assert [one["bbox"] for one in live] == found.xywh[rows].tolist()
        assert [one["score"] for one in live] == found.score[rows].tolist()
        assert [one["category_id"] for one in live] == found.label[rows].tolist()


def test_replayed_and_evaluated_live_it_has_the_same_map_to_the_last_digit(
    recorded, subject, dataset
):
    live = evaluate(subject.pair.detector, dataset, widths=[0.25, 1.0], bits=[8, 2])
    keys = [picture.key for picture in dataset]
    for score in live:
        point = OperatingPoint(score.width, score.bits)
        replayed = coco_map(
            dataset.ground_truth(), found_results(keys, recorded.found(point)),
            backend="faster-coco-eval",
        )  # fmt: skip
        assert replayed == score.metrics
        assert recorded.at(point).map == score.metrics["map"]
        assert recorded.at(point).map50 == score.metrics["map50"]
        assert recorded.at(point).payload_bytes == score.payload_bytes
    assert any(score.metrics["map50"] > 0 for score in live)


def test_the_whole_network_is_the_teacher_on_the_device_and_on_the_server(recorded, subject):
    alone = sum(one.mac for one in count_detector(subject.whole))
    student = {(o.width, o.part): o.mac for o in count_detector(subject.pair.detector)}
    local, offload, split = recorded.at(LOCAL), recorded.points[-1], recorded.points[0]

    assert (local.device_mac, local.decoder_mac, local.payload_bytes) == (alone, 0, 0)
    # The picture is sent as it lies in the input, 128 pixels wide: 57 rows of 160 x 72.
    assert offload.device_mac == MAC_PER_PIXEL["jpeg"] * 128 * 57
    assert offload.decoder_mac == alone
    assert split.encoder_mac == student[0.25, "encoder"]
    assert split.compressor_mac == student[0.25, "compressor"]
    assert split.decoder_mac == student[0.25, "decompressor"] + student[0.25, "decoder"]
    assert (recorded.network, recorded.teacher) == ("tiny-d0-bw", "tiny-d0")


def test_boxes_of_a_picture_that_was_sent_smaller_are_of_the_original(recorded):
    edges = recorded.found(recorded.points[-1].point).xywh

    assert 128 < (edges[:, 0] + edges[:, 2]).max() <= 160


def test_a_killed_recording_goes_on_and_ends_the_same(
    recorded, subject, dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(recorder, "CHUNK_FRAMES", 2)
    folder, seen = tmp_path / "road", []

    def killed(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(subject, dataset, PLAN, folder, progress=killed)
    with pytest.raises(TestbedError, match="no recording"):
        load(folder)
    (chunks,) = folder.iterdir()
    (chunks / "000001.npz").write_bytes(b"half a chunk")
    again = record(
        subject, dataset, PLAN, folder, progress=lambda done, total: seen.append((done, total))
    )

    assert seen == [(2, 5), (4, 5), (5, 5)]  # the first chunk was kept
    assert again.sha256 == recorded.sha256
    assert sorted(path.name for path in folder.iterdir()) == [
        "detections.parquet", "frames.parquet", "recording.json", "truth.parquet"
    ]  # fmt: skip


@pytest.mark.slow
def test_several_workers_record_the_same(recorded, subject, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "CHUNK_FRAMES", 2)
    again = record(subject, dataset, PLAN, tmp_path / "road", workers=2)

    assert again.sha256 == recorded.sha256


def test_what_is_there_is_not_done_again_and_what_is_another_is_refused(recorded, subject, dataset):
    seen = []
    again = record(subject, dataset, PLAN, recorded.folder, progress=lambda *at: seen.append(at))
    assert (again, seen) == (recorded, [])

    for other in (
        lambda: record(subject, dataset.only(2), PLAN, recorded.folder),
        lambda: record(subject, dataset, Plan((1.0,)), recorded.folder),
        lambda: record(subject, dataset, PLAN, recorded.folder, fps=30),
        lambda: record(replace(subject, weights={"detector": "b"}), dataset, PLAN, recorded.folder),
    ):
        with pytest.raises(TestbedError, match="holds a recording of other weights, pictures or"):
            other()


def test_pictures_decoded_together_send_the_same_and_find_nearly_the_same(
    recorded, subject, dataset, tmp_path
):
    together = record(subject, dataset, PLAN, tmp_path / "road", batch=3)
    first, other = recorded.found(0), together.found(0)

    assert together.id != recorded.id
    assert (together.payload_bytes == recorded.payload_bytes).all()
    assert np.abs(first.score[:5] - other.score[:5]).max() <= 2 / 65_535
    assert [p.map for p in together.points] == pytest.approx(
        [p.map for p in recorded.points], abs=0.02
    )


def test_half_floats_are_recorded_once_whatever_the_coders():
    plan = Plan((1.0,), (16, 8), ("zstd", "range"))

    assert [(p.bits, p.codec) for p in plan.points] == [(16, "raw"), (8, "zstd"), (8, "range")]
    assert plan.answers == [0, 1, 1]


def test_a_network_without_a_bottleneck_has_whole_pictures_only(dataset, tmp_path):
    teacher = Subject(None, network("tiny-d0"), {"detector": "a" * 64})
    pictures = dataset.only(1)

    with pytest.raises(TestbedError, match="tiny-d0 has no bottleneck to send"):
        record(teacher, pictures, Plan((1.0,)), tmp_path / "a")
    with pytest.raises(TestbedError, match="there is nothing to record"):
        record(teacher, pictures, Plan(()), tmp_path / "a")
    alone = record(teacher, pictures, Plan((), local=True, offload=("webp-60",)), tmp_path / "a")
    assert [str(point.point) for point in alone.points] == ["local", "offload webp-60"]
    assert (alone.teacher, alone.widths) == (None, ())


def test_single_pictures_are_taken_by_number(dataset):
    single = tuple(replace(picture, clip=None) for picture in reversed(dataset.pictures))
    mixed = Dataset("stills", dataset.categories, single)

    assert [picture.key for picture in recorder.in_order(mixed)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jepg-75", "no picture codec 'jepg'. Did you mean 'jpeg'?"),
        ("jpeg", "from 1 to 100: 'jpeg'"),
        ("jpeg-0", "from 1 to 100: 'jpeg-0'"),
        ("webp-101", "from 1 to 100: 'webp-101'"),
    ],
)
def test_a_picture_codec_of_no_sense_is_refused(name, message):
    with pytest.raises(TestbedError) as caught:
        PictureCodec.parse(name)

    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_picture_arrives_in_its_colours_and_better_at_more_bytes(kind):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, 0] = 220  # red
    image[::4, 32:, 2] = 200  # blue
    sizes, errors = [], []
    for quality in (10, 90):
        data = PictureCodec(kind, quality).encode(image)
        sizes.append(len(data))
        errors.append(np.abs(decode(data).astype(int) - image).mean())

    assert decode(data)[:, 4:28, 0].mean() > 200 > 60 > decode(data)[:, 4:28, 2].mean()
    assert sizes[0] < sizes[1]
    assert errors[0] > errors[1]


def test_a_chunk_that_is_not_there_is_none(tmp_path):
    assert Store(tmp_path / "none").get(0) is None
    Store(tmp_path / "none").remove()


def test_the_header_says_what_the_recording_rests_on(recorded):
    header = json.loads((recorded.folder / "recording.json").read_text())

    assert header["settings"]["scheme"] == "channel"
    assert header["settings"]["engine"] == "EagerEncoder"
    assert 0 < header["settings"]["quality_threshold"] <= 1
    assert header["settings"]["torch"] == torch.__version__
    assert header["weights"] == {"detector": "a" * 64}
    assert recorded.quality.shape == (10, FRAMES)
    assert 0 <= recorded.quality.min() <= recorded.quality.max() <= 1
