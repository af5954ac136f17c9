"""Synthetic scenes: the same everywhere, exact boxes, COCO's sizes, the law of motion."""

import json

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="the scenes are painted with OpenCV")

from testbed import datasets  # noqa: E402
from testbed.datasets import scenes_files  # noqa: E402
from testbed.datasets.scenes import FPS, SIDE, Scene  # noqa: E402
from testbed.datasets.scenes_files import Extent, make  # noqa: E402
from testbed.datasets.sprites import CLASSES, SHAPES, TEXTURES, paste, sprite  # noqa: E402
from testbed.streams import stream  # noqa: E402


def test_a_scene_is_the_same_whenever_it_is_made():
    first, second = (list(Scene("val", 3).frames(4, every=3)) for _ in range(2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert [a.seen for a in first] == [b.seen for b in second]


def test_splits_numbers_and_seeds_are_other_scenes():
    images = [
        next(Scene(split, number, seed=seed).frames(1)).image
        for split, number, seed in (("val", 0, 1), ("val", 1, 1), ("train", 0, 1), ("val", 0, 2))
    ]
    for k, image in enumerate(images):
        assert all(not np.array_equal(image, other) for other in images[k + 1 :])


def test_a_frame_does_not_depend_on_whether_earlier_ones_were_painted():
    painted, quick = Scene("video", 0), Scene("video", 0)
    for _ in range(3):
        painted.frame()
        quick.frame(paint=False)
        painted.step()
        quick.step()
    assert np.array_equal(painted.frame().image, quick.frame().image)


GOLDEN = {
    0: [142.7, 142.8, 150.2, 132.9, 138.8, 127.4, 126.7, 125.9],
    5: [104.0, 96.5, 99.7, 99.2, 100.3, 89.5, 96.5, 102.1],
    11: [112.0, 103.7, 130.2, 175.0, 171.3, 155.3, 152.9, 144.5],
}


@pytest.mark.parametrize("number", sorted(GOLDEN))
def test_the_pictures_are_those_of_every_other_machine(number):
    """Means over squares of 32 pixels, which a level's difference between builds hardly moves."""
    image = next(Scene("val", number).frames(1)).image
    means = image.reshape(8, 32, 8, 32, 3).mean((1, 3, 4))
    assert np.abs(np.diag(means) - GOLDEN[number]).max() < 1.0


def test_sizes_are_spread_like_those_of_coco_and_few_are_hidden():
    areas, hidden, count = [], 0, []
    for number in range(60):
        frame = Scene("train", number).frame(paint=False)
        count.append(len(frame.seen))
        areas += [one.xywh[2] * one.xywh[3] for one in frame.seen]
        hidden += sum(one.crowd for one in frame.seen)
    small, large = np.mean(np.array(areas) < 32**2), np.mean(np.array(areas) >= 96**2)
    assert 0.25 < small < 0.5
    assert 0.12 < large < 0.35
    assert 0.02 < hidden / len(areas) < 0.15
    assert 3.5 < np.mean(count) < 6


def test_every_class_occurs_and_colour_does_not_tell_it():
    colours = {label: [] for label in range(len(CLASSES))}
    for label in colours:
        shape, texture = SHAPES[label // len(TEXTURES)], TEXTURES[label % len(TEXTURES)]
        for k in range(60):
            one = sprite(shape, texture, 40.0, 1.0, stream(7, str(label), str(k)))
            colours[label].append(one.colour.mean((0, 1)))
    means = np.array([np.mean(colours[label], 0) for label in colours])
    spread = np.std([c for some in colours.values() for c in some], 0)
    # A mean over 60 lies within three standard errors of that over all classes.
    assert (np.abs(means - means.mean(0)) < 3.5 * spread / 60**0.5).all()


def test_a_box_is_that_of_the_covered_pixels():
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    square = sprite("square", "checker", 40.0, 1.0, stream(1, "square"))
    box = paste(canvas, square, 100.0, 60.0, 0.0, 0).box
    ys, xs = np.nonzero(canvas.sum(2) > 1)
    assert box is not None
    left, top, width, height = box
    assert abs(left - 82) <= 1
    assert abs(top - 42) <= 1
    assert abs(width - 36) <= 2
    assert abs(height - 36) <= 2
    assert xs.min() <= left
    assert ys.min() <= top


def test_a_box_ends_at_the_border_and_what_is_beyond_counts_as_hidden():
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    disc = sprite("disc", "stripe", 80.0, 1.0, stream(1, "disc"))
    cover = paste(canvas, disc, 0.0, 128.0, 0.3, 0)
    assert cover.box is not None
    assert cover.box[0] == 0
    assert abs(cover.box[2] - 39) <= 2
    assert cover.solid.sum() / cover.whole == pytest.approx(0.5, abs=0.03)
    assert paste(canvas, disc, -200.0, 128.0, 0.0, 0).box is None


def test_what_lies_in_front_hides_what_is_behind():
    frames = [next(Scene("val", k).frames(1)) for k in range(25)]
    shares = [one.visibility for frame in frames for one in frame.seen]
    assert max(shares) == 1
    assert any(share < 0.9 for share in shares)
    assert all(0 <= share <= 1 for share in shares)


def test_a_box_that_stays_behind_loses_overlap_as_fast_as_the_law_of_motion_says():
    """Held for 3 frames, 0.74 of overlap on average; for 6, 0.58 (a prototype of the same law)."""

    def overlap(a, b):
        w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        inner = max(0, w) * max(0, h)
        return inner / (a[2] * a[3] + b[2] * b[3] - inner)

    found = {1: [], 3: [], 6: []}
    for number in range(12):
        scene = Scene("video", number)
        boxes = []
        for _ in range(40):
            boxes.append({o.track: o.xywh for o in scene.frame(paint=False).seen if not o.crowd})
            scene.step()
        for lag, some in found.items():
            for k in range(len(boxes) - lag):
                both = boxes[k].keys() & boxes[k + lag].keys()
                some += [overlap(boxes[k][t], boxes[k + lag][t]) for t in both]
    means = {lag: np.mean(some) for lag, some in found.items()}
    assert means[1] > means[3] > means[6]
    assert 0.82 < means[1] < 0.96
    assert 0.62 < means[3] < 0.86
    assert 0.42 < means[6] < 0.74


def test_the_files_are_read_back_as_they_were_made(tmp_path):
    path = make(tmp_path, "val", extent=Extent(2, 3, 6))
    found = datasets.load(path)
    assert len(found) == 6
    assert list(found.categories.values()) == list(CLASSES)
    expected = list(Scene("val", 1).frames(3, every=6))[2]
    assert np.array_equal(found.load(found[5]), expected.image)
    boxes = [(b.label, b.x, b.y, b.width, b.height, b.crowd) for b in found[5].boxes]
    assert boxes == [(o.label, *map(float, o.xywh), o.crowd) for o in expected.seen]
    told = json.loads(path.read_text())
    assert [image["timestamp"] for image in told["images"][:3]] == [0, 6 / FPS, 12 / FPS]
    assert {a["track_id"] for a in told["annotations"]}
    assert told["sequences"] == ["val-0000", "val-0001"]


def test_an_interrupted_making_goes_on_and_ends_the_same(tmp_path):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Stop

    extent = Extent(3, 2, 6)
    with pytest.raises(Stop):
        make(tmp_path / "a", "val", extent=extent, told=stop)
    assert not (tmp_path / "a" / "val.json").exists()
    kept = (tmp_path / "a" / "images" / "val-0001" / "0000.png").stat().st_mtime_ns
    make(tmp_path / "a", "val", extent=extent)
    make(tmp_path / "b", "val", extent=extent)
    assert (tmp_path / "a" / "images" / "val-0001" / "0000.png").stat().st_mtime_ns == kept
    assert (tmp_path / "a" / "val.json").read_bytes() == (tmp_path / "b" / "val.json").read_bytes()


def test_a_scene_of_another_extent_is_made_anew(tmp_path):
    make(tmp_path, "val", extent=Extent(1, 2, 6))
    path = make(tmp_path, "val", extent=Extent(1, 3, 6))
    assert len(datasets.load(path)) == 3
    assert set(scenes_files.SPLITS) == {"train", "val", "video"}
