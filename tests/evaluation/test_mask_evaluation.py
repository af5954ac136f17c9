"""Masks go through the payload, are judged by COCO's segm, and come out beside the boxes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `detect`")
pytest.importorskip("effdet", reason="needs the extra `detect`")
mask = pytest.importorskip("pycocotools.mask", reason="needs the extra `detect`")
pytest.importorskip("faster_coco_eval", reason="needs the extra `detect`")
cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed import cli, datasets  # noqa: E402
from testbed.detectors import weights  # noqa: E402
from testbed.detectors.configurations import SplitConfig  # noqa: E402
from testbed.detectors.pair import SplitPair  # noqa: E402
from testbed.detectors.split import build  # noqa: E402
from testbed.evaluation.coco_map import coco_map, results_of  # noqa: E402
from testbed.evaluation.evaluate import UNQUANTISED, evaluate  # noqa: E402
from testbed.model import OperatingPoint  # noqa: E402

CONFIG = SplitConfig(
    name="small-mask", family="mask-rcnn", kind="bw", side=64, channels=12, classes=2,
    widths=(0.25, 1.0), compressor="stack",
)  # fmt: skip


@pytest.fixture(scope="module")
def student():
    detector = build(CONFIG, seed=3)
    heads = detector.decoder.roi_heads
    heads.nms_thresh, heads.detections_per_img = 0.3, 8
    detector.decoder.rpn._post_nms_top_n["testing"] = 40  # of a thousand, which take seconds
    with torch.no_grad():  # masks with holes and edges, instead of all or nothing
        heads.mask_predictor.mask_fcn_logits.weight.mul_(30)
    return detector


@pytest.fixture(scope="module")
def found_by_itself(student, tmp_path_factory):
    """A data set in COCO's form whose objects are what the network finds at full width."""
    folder = tmp_path_factory.mktemp("masks")
    (folder / "images").mkdir()
    rng = np.random.default_rng(1)
    images, annotations = [], []
    for key in (1, 2):
        image = np.repeat(np.repeat(rng.integers(0, 256, (6, 8, 3), np.uint8), 10, 0), 10, 1)
        cv2.imwrite(str(folder / "images" / f"{key}.png"), image[:, :, ::-1])
        images.append({"id": key, "file_name": f"{key}.png", "height": 60, "width": 80})
        x, fit = student.prepare(image)
        with torch.inference_mode():
            (found,) = student.detect(student.bottleneck(x[None]), [fit])
        for box, label, outline in zip(found.boxes, found.labels, found.masks, strict=True):
            code = mask.encode(np.asfortranarray(outline.astype(np.uint8)))
            left, top, right, bottom = box.tolist()
            annotations.append(
                {"id": len(annotations) + 1, "image_id": key, "category_id": int(label),
                 "bbox": [left, top, right - left, bottom - top], "iscrowd": 0,
                 "area": float(mask.area(code)),
                 "segmentation": {"size": [60, 80], "counts": code["counts"].decode()}}
            )  # fmt: skip
    assert len(annotations) > 5
    assert min(one["area"] for one in annotations) > 0
    categories = [{"id": k, "name": str(k)} for k in (1, 2)]
    path = folder / "instances.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


def test_masks_that_are_the_truth_score_one(student, found_by_itself):
    """And at a quarter of the width, where others come out, less."""
    data = datasets.load(found_by_itself)
    narrow, wide = evaluate(student, data, bits=[UNQUANTISED])

    for metrics in (wide.metrics, wide.mask_metrics):
        assert metrics["map"] == pytest.approx(1.0, abs=1e-9)
    assert narrow.mask_metrics["map"] < 0.9


def test_the_score_of_masks_is_that_of_the_decoded_payloads(student, found_by_itself):
    data = datasets.load(found_by_itself)
    (score,) = evaluate(student, data, widths=[1.0], bits=[4], backend="faster-coco-eval")
    pair = SplitPair(student)
    results = []
    for picture in data:
        x, fit = student.prepare(data.load(picture))
        with torch.inference_mode():
            values = student.bottleneck(x[None])[0].numpy()
        payload = pair.pack(values, fit, OperatingPoint(1.0, 4))
        results += results_of(picture.key, pair.decode(payload))

    for kind, metrics in (("segm", score.mask_metrics), ("bbox", score.metrics)):
        expected = coco_map(data.ground_truth(), results, backend="pycocotools", kind=kind)
        assert metrics == pytest.approx(expected, abs=1e-12)
    assert score.mask_metrics["map"] != score.metrics["map"]


def test_other_masks_lower_the_score_of_masks_and_not_of_boxes(student, found_by_itself):
    data = datasets.load(found_by_itself)
    truth = data.ground_truth()
    for one in truth["annotations"]:
        drawn = np.zeros((60, 80), np.uint8)
        left, top, width, height = map(round, one["bbox"])
        drawn[top : top + height, left : left + max(1, width // 2)] = 1  # the left half
        code = mask.encode(np.asfortranarray(drawn))
        one["segmentation"] = {"size": code["size"], "counts": code["counts"].decode()}
    results = []
    for picture in data:
        x, fit = student.prepare(data.load(picture))
        with torch.inference_mode():
            (found,) = student.detect(student.bottleneck(x[None]), [fit])
        results += results_of(picture.key, found)

    assert coco_map(truth, results)["map"] == pytest.approx(1.0, abs=1e-9)
    assert coco_map(truth, results, kind="segm")["map"] < 0.9


@pytest.mark.slow
def test_masks_have_columns_of_their_own_on_the_command_line(
    student, found_by_itself, tmp_path, monkeypatch, capsys
):
    weights.save(student, tmp_path / "mask.safetensors")
    command = ["testbed", "evaluate", str(tmp_path / "mask.safetensors"), str(found_by_itself),
               "--bits", "8", "--widths", "1", "--json"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as left:
        cli.main()
    (row,) = json.loads(capsys.readouterr().out)["scores"]

    assert not left.value.code
    assert 0 <= row["mask_map"] <= row["mask_map50"] <= 1
    assert row["payload_bytes_mean"] > 12 * 20 * 20
