"""The folder of a recording: what is written is what is read, or it is refused by name."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from small_recording import FRAMES, NARROW, OFFLOAD, SIZES, WIDE, answers, truth, write_recording

from testbed.detectors import recording
from testbed.detectors.answers import MOST_BOXES, joined, read_back, written
from testbed.detectors.recording import RecordingError, load
from testbed.model import LOCAL, Mode, OperatingPoint


def test_every_point_keeps_its_bytes_and_its_boxes(small_recording):
    assert [point.point for point in small_recording.points] == list(SIZES)
    assert small_recording.payload_bytes.tolist() == [list(sizes) for sizes in SIZES.values()]
    for place, point in enumerate(SIZES):
        found = small_recording.found(point)
        assert found.offsets.tolist() == [0, 1, 2, 3, 4, 5, 5]
        assert found.xywh[3].tolist() == [30 + place / 16, 10, 20, 20]
        assert found.score.tolist() == [1 / 3] * 5
        assert found.label.tolist() == [2] * 5


def test_the_truth_is_kept_to_the_last_digit(tmp_path):
    odd = truth()
    odd.xywh[2] = [0.1, 1 / 3, 17.77, 1e-3]
    written_ = write_recording(tmp_path / "a").truth

    assert written_.xywh.tolist() == truth().xywh.tolist()
    assert written_.crowd.tolist() == [False] * 5 + [True]
    assert written_.sequence.tolist() == [0, 0, 0, 0, 1, 1]
    assert written_.track.tolist() == [7] * 6
    assert written_.categories == ("", "car")
    assert len(written_) == FRAMES


def test_pictures_without_clips_are_a_sequence_each(tmp_path):
    dataset = {"name": "stills", "sha256": "4" * 64, "frames": FRAMES, "fps": None,
               "size": None, "sequences": []}  # fmt: skip
    stills = write_recording(tmp_path / "stills", dataset=dataset)

    assert stills.truth.sequence.tolist() == [0, 1, 2, 3, 4, 5]
    assert (stills.fps, stills.size) == (None, None)


def test_a_ladder_has_a_rung_for_each_point(small_recording):
    rung = small_recording.ladder.at(NARROW)

    assert (rung.payload_bytes, rung.accuracy) == (110, 0.25)
    assert (rung.device_mac, rung.server_mac) == (65_000_000, 900_000_000)
    assert small_recording.widths == (0.5, 1.0)
    assert small_recording.at(LOCAL).decoder_mac == 0
    assert small_recording.at(OFFLOAD).point.mode is Mode.OFFLOAD


def test_a_point_that_was_not_recorded_is_refused_with_those_that_were(small_recording):
    with pytest.raises(RecordingError, match=r"no recording of α=0\.25 8 bit; it has α=0\.5 4 bit"):
        small_recording.found(OperatingPoint(0.25))


def test_reading_takes_no_torch(small_recording):
    code = (
        "import sys; from pathlib import Path; from testbed.detectors.recording import load; "
        f"r = load(Path({str(small_recording.folder)!r})); r.truth; r.found(0); r.payload_bytes; "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_was_read_does_not_travel_with_it(small_recording):
    before = len(pickle.dumps(small_recording))
    small_recording.found(WIDE)
    copy = pickle.loads(pickle.dumps(small_recording))

    assert len(pickle.dumps(small_recording)) == before
    assert copy == small_recording
    assert copy.found(WIDE).xywh.tolist() == small_recording.found(WIDE).xywh.tolist()


def test_the_same_content_has_the_same_checksum(tmp_path):
    one, other = write_recording(tmp_path / "a"), write_recording(tmp_path / "b")

    assert one.sha256 == other.sha256
    assert one.sha256 != write_recording(tmp_path / "c", id="9" * 64).sha256


@pytest.mark.parametrize("name", recording.FILES)
def test_a_damaged_file_is_refused_by_name(name, small_recording):
    path = small_recording.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=f"{name}: damaged"):
        _ = small_recording.payload_bytes, small_recording.found(0), small_recording.truth


def test_a_recording_that_lost_a_file_says_which(small_recording):
    (small_recording.folder / "truth.parquet").unlink()

    with pytest.raises(RecordingError, match=r"truth\.parquet: No such file"):
        _ = load(small_recording.folder).truth


def test_a_folder_that_is_still_being_written_is_none(tmp_path, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    write_recording(tmp_path / "road")
    monkeypatch.setattr("testbed.detectors.recording_file._truth", stop)
    with pytest.raises(KeyboardInterrupt):
        write_recording(tmp_path / "road")

    with pytest.raises(RecordingError, match=r"road: no recording: it has no recording\.json"):
        load(tmp_path / "road")
    assert recording.find(str(tmp_path / "road")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "of schema 2, and this version reads 1"),
        ({"points": []}, "no operating point"),
        ({"dataset": {}}, "lacks 'size'"),
        ({"files": {}}, "lacks 'frames.parquet'"),
        ({"side": "wide"}, "invalid literal"),
    ],
)
def test_a_header_of_no_sense_is_refused(change, message, small_recording):
    path = small_recording.folder / recording.HEADER
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(RecordingError, match=message):
        load(small_recording.folder)


def test_sequences_must_hold_all_frames(small_recording):
    path = small_recording.folder / recording.HEADER
    path.write_text(path.read_text().replace('"frames": 6', '"frames": 7'))

    with pytest.raises(RecordingError, match="7 frames in sequences of 6"):
        load(small_recording.folder)


def test_a_folder_without_a_recording_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="none: no such folder"):
        load(tmp_path / "none")


def test_stretches_of_frames_are_joined_in_order():
    both = joined([answers(0), answers(5)])

    assert both.offsets.tolist() == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert both.frame.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert both.edges[5].tolist() == answers(5).edges[0].tolist()


def test_an_answer_is_rounded_to_a_sixteenth_of_a_pixel_and_to_16_bits():
    boxes = np.array([[0.03, 0.04, 10.5, 20.49]] * (MOST_BOXES + 1), np.float32)
    edges, levels = written(boxes, np.full(MOST_BOXES + 1, 0.5, np.float32))
    xywh, scores = read_back(edges, levels)

    assert len(edges) == len(levels) == MOST_BOXES
    assert edges[0].tolist() == [0, 1, 168, 328]
    assert xywh[0].tolist() == [0, 1 / 16, 10.5, 20.4375]
    assert scores[0] == 32768 / 65535
    again, _ = written(boxes=np.float32(edges / 16), scores=np.float32(scores))
    assert again.tolist() == edges.tolist()
