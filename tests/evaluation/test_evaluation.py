"""mAP is COCO's, whoever computes it; a detector is judged through the bytes it would send."""

from __future__ import annotations

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
pytest.importorskip("pycocotools", reason="needs the extra `detect`")
pytest.importorskip("faster_coco_eval", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed.datasets.dataset import Box, Dataset, Picture  # noqa: E402
from testbed.detectors.configurations import find  # noqa: E402
from testbed.detectors.detections import Detections  # noqa: E402
from testbed.detectors.pair import SplitPair  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.errors import TestbedError  # noqa: E402
from testbed.evaluation.coco_map import METRICS, coco_map, results_of  # noqa: E402
from testbed.evaluation.curve import write  # noqa: E402
from testbed.evaluation.evaluate import UNQUANTISED, evaluate  # noqa: E402
from testbed.model import OperatingPoint  # noqa: E402


def square(x, y, side):
    outline = [[x, y, x + side, y, x + side, y + side, x, y + side]]
    return {"bbox": [x, y, side, side], "area": side * side, "segmentation": outline}


def truth(boxes):
    """Ground truth of {picture: [(label, box)]}."""
    annotations = [
        {"id": k, "image_id": key, "category_id": label, "iscrowd": 0, **box}
        for k, (key, label, box) in enumerate(
            ((key, label, box) for key, held in boxes.items() for label, box in held), start=1
        )
    ]
    images = [{"id": key, "height": 200, "width": 200} for key in boxes]
    return {"info": {}, "images": images, "annotations": annotations,
            "categories": [{"id": k, "name": str(k)} for k in (1, 2, 3)]}  # fmt: skip


def random_case(seed, masks):
    rng = np.random.default_rng(seed)
    boxes, results = {}, []
    for key in range(1, 13):
        held = []
        for _ in range(rng.integers(0, 6)):
            x, y, side = rng.integers(0, 120), rng.integers(0, 120), rng.integers(8, 70)
            held.append((int(rng.integers(1, 4)), square(int(x), int(y), int(side))))
        boxes[key] = held
        found = []
        for label, box in held:
            x, y, side, _ = box["bbox"]
            dx, dy, ds = rng.normal(0, 5, 3)
            found.append((label if rng.random() < 0.8 else 1, x + dx, y + dy, side + abs(ds)))
        found += [(int(rng.integers(1, 4)), *rng.uniform(5, 100, 3)) for _ in range(3)]
        corners = np.array([(x, y, x + s, y + s) for _, x, y, s in found], np.float32)
        drawn = np.zeros((len(found), 200, 200), bool)
        for k, (left, top, right, bottom) in enumerate(corners.clip(0, 200).astype(int)):
            drawn[k, top:bottom, left:right] = True
        results += results_of(
            key,
            Detections(
                corners,
                rng.random(len(found)).astype(np.float32),
                np.array([label for label, *_ in found]),
                drawn if masks else None,
            ),
        )
    return truth(boxes), results


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(4))
def test_both_libraries_give_the_same_numbers(kind, seed):
    reference, results = random_case(seed, masks=kind == "segm")
    slow = coco_map(reference, results, backend="pycocotools", kind=kind)
    fast = coco_map(reference, results, backend="faster-coco-eval", kind=kind)

    assert 0.05 < slow["map"] < 0.95
    assert slow.keys() == fast.keys() == set(METRICS)
    for name in METRICS:
        assert abs(slow[name] - fast[name]) <= 1e-12


@pytest.mark.parametrize("backend", ["pycocotools", "faster-coco-eval"])
def test_two_of_three_objects_found_at_half_the_thresholds(backend):
    """IoU 0.75 passes 6 of 10 thresholds; at recall 2/3, 67 of 101 points have precision 1."""
    reference = truth({1: [(1, square(10, 10, 40)), (1, square(100, 10, 40))],
                       2: [(1, square(50, 50, 40))]})  # fmt: skip
    found = np.array([[10, 10, 50, 40], [100, 10, 140, 40]], np.float32)  # 40 x 30 of 40 x 40
    results = results_of(1, Detections(found, np.array([0.9, 0.8], np.float32), np.array([1, 1])))
    scores = coco_map(reference, results, backend=backend)

    assert scores["map50"] == pytest.approx(67 / 101, abs=1e-12)
    assert scores["map75"] == pytest.approx(67 / 101, abs=1e-12)
    assert scores["map"] == pytest.approx(0.6 * 67 / 101, abs=1e-12)
    assert scores["map_large"] == -1


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined():
    assert coco_map(truth({1: [(1, square(1, 1, 9))]}), [])["map"] == 0
    assert coco_map(truth({1: []}), [])["map"] == -1


def test_what_it_is_given_stays_as_it_was():
    reference, results = random_case(0, masks=True)
    before = repr((reference, results))
    for backend in ("pycocotools", "faster-coco-eval"):
        coco_map(reference, results, backend=backend, kind="segm")

    assert repr((reference, results)) == before


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    held = []
    for key in (1, 2, 3):
        path = tmp_path / f"{key}.png"
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(path), np.repeat(np.repeat(coarse, 8, 0), 8, 1))
        held.append(Picture(key, path, (Box(2, 20, 20, 30, 30, 900),), 72, 128))
    return Dataset("three", {1: "a", 2: "b"}, tuple(held))


@pytest.fixture
def student():
    detector = build(find("tiny-d0-cp"))
    # So that something is found: nothing is sure, everything is possible.
    detector.decoder.class_net.predict.conv_pw.bias.data.fill_(0.0)
    return detector


def test_every_width_and_depth_is_scored_in_one_pass(student, pictures):
    seen = []
    scores = evaluate(student, pictures, widths=[0.5, 1.0], bits=[4, UNQUANTISED],
                      progress=lambda done, total: seen.append((done, total)))  # fmt: skip

    assert [(s.width, s.bits) for s in scores] == [(0.5, 4), (0.5, 32), (1.0, 4), (1.0, 32)]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    pair = SplitPair(student)
    sizes = [len(pair.encode(pictures.load(p), OperatingPoint(0.5, 4))) for p in pictures]
    assert scores[0].payload_bytes == sum(sizes) / 3
    assert scores[1].payload_bytes is None


def test_a_score_is_that_of_the_boxes_decoded_from_the_payloads(student, pictures):
    (score,) = evaluate(student, pictures, widths=[1.0], bits=[6], backend="pycocotools")
    pair = SplitPair(student)
    results = []
    for picture in pictures:
        payload = pair.encode(pictures.load(picture), OperatingPoint(1.0, 6))
        results += results_of(picture.key, pair.decode(payload))

    expected = coco_map(pictures.ground_truth(), results)
    assert score.metrics == pytest.approx(expected, abs=2e-3)  # the engine folds normalisation
    assert len(results) == 300


def test_a_teacher_has_a_single_score_and_no_payload(pictures):
    (score,) = evaluate(build(find("tiny-d0")), pictures)

    assert (score.width, score.bits, score.payload_bytes) == (1.0, UNQUANTISED, None)


def test_labels_that_the_detector_does_not_know_are_refused(student, pictures):
    wide = Dataset("wide", {1: "a", 91: "z"}, pictures.pictures)

    with pytest.raises(TestbedError, match="labels up to 91, and tiny-d0-cp knows 90 classes"):
        evaluate(student, wide)


def test_the_curve_has_a_point_per_score(student, pictures, tmp_path):
    scores = evaluate(student, pictures, widths=[0.25, 1.0], bits=[4, 8])
    table, curve = write(scores, tmp_path / "out", title="tiny <d0>")

    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(float(r["width"]), int(r["bits"])) for r in rows] == [
        (0.25, 4), (0.25, 8), (1.0, 4), (1.0, 8),
    ]  # fmt: skip
    assert float(rows[0]["map"]) == scores[0].metrics["map"]
    drawn = curve.read_text()
    assert drawn.count("<circle") == 4
    assert drawn.count("<polyline") == 2
    assert "tiny &lt;d0&gt;" in drawn
