"""What a scenario may ask of a recording, and what it is told otherwise."""

from __future__ import annotations

import pytest
from small_recording import MACS, OFFLOAD, WIDE, write_recording

from testbed.errors import InputErrors
from testbed.model import LOCAL, SKIP
from testbed.scenario.recorded import points
from testbed.scenario.schema import LadderSpec


@pytest.fixture
def refused(small_recording, world):
    """Return a function that loads a scenario on the recording and returns what is wrong."""

    def messages(ladder, source=None, **more):
        with pytest.raises(InputErrors) as caught:
            world(
                "clients.0.detector", str(small_recording.folder), "clients.0.ladder", ladder,
                "clients.0.source", source or {"fps": 15}, "policies", {"any": {"kind": "random"}},
            )  # fmt: skip
        return [(problem.key, problem.message) for problem in caught.value.problems]

    return messages


@pytest.mark.parametrize(
    ("ladder", "key", "message"),
    [
        ({"widths": [0.3]}, "widths", "not recorded with this; it has 0.5, 1"),
        ({"bits": [2]}, "bits", "it has 4, 8"),
        ({"codecs": ["range"]}, "codecs", "it has zstd, raw, jpeg-75"),
        ({"codecs": ["jpeg-30"], "modes": ["offload"]}, "codecs", "zstd, raw, jpeg-75"),
        ({"codecs": ["raw", "jpeg-75"]}, "codecs", "jpeg-75 is of mode offload"),
        ({"codecs": ["jpeg-75"], "modes": ["split", "offload"]}, "codecs", "has none for the mode"),
        ({"modes": ["skip"]}, "modes", "must hold more than 'skip'"),
        ({"widths": [0.5], "bits": [8]}, "ladder", "was not recorded at α=0.5 8 bit"),
    ],
)  # fmt: skip
def test_what_was_not_recorded_is_refused_with_what_was(ladder, key, message, refused):
    problems = refused({"widths": [1.0]} | ladder)

    assert all(
        f"clients.0.ladder{'.' if key != 'ladder' else ''}" in place for place, _ in problems
    )
    assert any(key in place and message in said for place, said in problems)


def test_other_pictures_than_the_recorded_are_refused(refused):
    (problem,) = refused({"widths": [1.0]}, {"fps": 15, "dataset": "coco"})

    assert problem[0] == "clients.0.source.dataset"
    assert "was recorded on 'road/val'" in problem[1]


def test_a_recording_without_a_mode_says_so(tmp_path, world):
    with pytest.raises(
        InputErrors, match=r"no detector 'roads'\. Did you mean|no detector 'roads'"
    ):
        world("clients.0.detector", "roads")
    (tmp_path / "road").mkdir()
    (tmp_path / "road" / "recording.json").write_text("{}")
    with pytest.raises(InputErrors, match=r"no header of a recording: lacks 'schema'"):
        world("clients.0.detector", str(tmp_path / "road"))


def points_of(world, recording, ladder, policies=None):
    scenario = world(
        "clients.0.detector", str(recording.folder), "clients.0.ladder", ladder,
        "policies", policies or {"any": {"kind": "random"}},
    )  # fmt: skip
    return [rung.point for rung in scenario.clients[0].ladder], scenario


def test_offload_means_every_recorded_codec_unless_some_are_named(small_recording, world):
    split = {"widths": [1.0]}
    all_, _ = points_of(world, small_recording, split | {"modes": ["split", "offload"]})
    named, _ = points_of(
        world, small_recording,
        split | {"modes": ["offload", "local", "skip"], "codecs": ["jpeg-75"]},
    )  # fmt: skip

    assert all_ == [WIDE, OFFLOAD]
    assert named == [SKIP, LOCAL, OFFLOAD]


def test_half_floats_are_sent_without_a_coder(small_recording, world, tmp_path):
    spec = LadderSpec(widths=(1.0,), bits=(16, 4), codecs=("zstd", "range"))
    found = [(point.bits, point.codec) for point in points(spec, small_recording)]

    assert found == [(16, "raw"), (4, "zstd"), (4, "range")]


def test_points_that_nobody_should_choose_are_named(tmp_path, world, monkeypatch):
    recording = write_recording(tmp_path / "road")
    ladder = {"widths": [0.5], "bits": [4], "codecs": ["zstd"],
              "modes": ["split", "local", "offload"]}  # fmt: skip
    _, scenario = points_of(world, recording, ladder)
    assert not [text for text in scenario.warnings if "nobody should choose" in text]

    # Local would compute less than sending a picture if the codec cost more than the network.
    monkeypatch.setitem(MACS, OFFLOAD, (2_000_000_000, 0, 1))
    recording = write_recording(tmp_path / "other")
    _, scenario = points_of(world, recording, ladder)
    (warning,) = [text for text in scenario.warnings if "nobody should choose" in text]
    assert warning.startswith("clients.0.ladder: nobody should choose offload jpeg-75: ")


def test_a_camera_that_is_faster_than_the_recording_is_warned_about(small_recording, world):
    scenario = world(
        "clients.0.detector", str(small_recording.folder), "clients.0.ladder", {"widths": [1.0]},
        "clients.0.source", {"fps": 60}, "policies", {"any": {"kind": "random"}},
    )  # fmt: skip

    assert (
        "clients.0.source.fps: road/val has 30 frames a second, so that at 60 some of them are "
        "captured twice" in scenario.warnings
    )
    assert "clients.0.source: road/val lasts 0.2 s and begins anew within the 10 s of a run" in (
        scenario.warnings
    )
