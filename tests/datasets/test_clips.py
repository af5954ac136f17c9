"""Frames of video as a data set: clips, rates and tracks."""

from __future__ import annotations

import json

import pytest

from testbed.datasets import load


@pytest.fixture
def video(tmp_path):
    """Return a function that writes and reads two clips of three frames with given instants."""

    def make(step_s=1 / 30, **last):
        images, annotations = [], []
        for clip in (1, 2):
            for frame in range(3):
                key = len(images) + 1
                images.append({"id": key, "file_name": f"{key}.png", "width": 64, "height": 48,
                               "video_id": clip, "timestamp": frame * step_s})  # fmt: skip
                annotations.append({"id": key, "image_id": key, "category_id": 3, "area": 50.0,
                                    "bbox": [frame, 2, 10, 5], "iscrowd": int(frame == 2),
                                    "track_id": clip + 6})  # fmt: skip
        images[-1] |= last
        content = {
            "images": images, "annotations": annotations,
            "categories": [{"id": 1, "name": "car"}, {"id": 3, "name": "bus"}],
            "videos": [{"id": 1, "name": "north"}, {"id": 2, "name": "south"}],
        }  # fmt: skip
        path = tmp_path / "video.json"
        path.write_text(json.dumps(content))
        return load(path)

    return make


def test_clips_and_their_rate_come_from_the_frames(video):
    found = video()

    assert [picture.clip for picture in found] == ["north"] * 3 + ["south"] * 3
    assert found.fps == 30.0
    assert video(step_s=0.2).fps == 5.0
    assert found.only(2).fps == 30.0


def test_instants_of_no_single_rate_give_none(video):
    assert video(timestamp=9.0).fps is None
    assert video(step_s=0.0).fps is None


def test_truth_in_flat_arrays(video):
    truth = video().truth()

    assert truth.offsets.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert truth.xywh[1].tolist() == [1, 2, 10, 5]
    assert truth.label.tolist() == [3] * 6
    assert truth.crowd.tolist() == [False, False, True] * 2
    assert truth.track.tolist() == [7] * 3 + [8] * 3
    assert truth.sequence.tolist() == [0, 0, 0, 1, 1, 1]
    assert truth.categories == ("car", "", "bus")


def test_pictures_of_their_own_are_a_sequence_each(tmp_path):
    images = [{"id": k, "file_name": f"{k}.png", "width": 9, "height": 9} for k in (1, 2, 3)]
    path = tmp_path / "stills.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    found = load(path)

    assert (found.fps, found.truth().sequence.tolist()) == (None, [0, 1, 2])
    assert found.truth().xywh.shape == (0, 4)


def test_measured_clips_say_their_rate(shared):
    found = load(shared / "data" / "drone_video" / "boxes.csv", "val")

    assert found.fps == 30.0
    assert len({picture.clip for picture in found}) == 7
    assert found.truth().sequence.max() == 6
