"""Clients whose detector is a recording: which picture a frame shows, and what it sends."""

from __future__ import annotations

import json

import pytest
from small_recording import FRAMES, NARROW, OFFLOAD, SIZES, WIDE, write_recording

import testbed.simulate.run as engine
from testbed import records
from testbed.clients.film import Film
from testbed.errors import InputErrors
from testbed.model import Policy
from testbed.run import run
from testbed.scenario import dump, load_text
from testbed.simulate import simulate


@pytest.fixture
def recorded(small_recording, world):
    """Return a function that loads a scenario with the small recording and some changes."""

    def make(*changes):
        return world(
            "clients.0.detector", str(small_recording.folder),
            "clients.0.source", {"fps": 15, "phase": 0, "dataset": "road/val"},
            "clients.0.ladder",
            {"bits": [4, 8], "codecs": ["raw", "zstd"], "modes": ["split"], "widths": [1.0]},
            "policies", {"wide": {"kind": "fixed"}},
            *changes,
        )  # fmt: skip

    return make


ALL = {"widths": [0.5], "bits": [4], "codecs": ["zstd", "jpeg-75"],
       "modes": ["split", "local", "offload", "skip"]}  # fmt: skip
POLICIES = {
    "narrow": {"kind": "fixed", "width": 0.5, "bits": 4, "codec": "zstd"},
    "local": {"kind": "fixed", "mode": "local"},
    "offload": {"kind": "fixed", "mode": "offload", "codec": "jpeg-75"},
    "random": {"kind": "random"},
}


@pytest.fixture
def four(small_recording, world):
    """A scenario with a rung of each mode and a policy for each of them."""
    return world(
        "clients.0.detector", str(small_recording.folder),
        "clients.0.source", {"fps": 15, "phase": 0},
        "clients.0.ladder", ALL,
        "policies", POLICIES,
        "seeds", [1, 2],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fps", "seen"),
    [
        (30, [4, 5, 0, 1, 2, 3, 4, 5]),
        (15, [4, 0, 2, 4, 0, 2, 4, 0]),
        (60, [4, 4, 5, 5, 0, 0, 1, 1]),
        (20, [4, 5, 1, 2, 4, 5, 1, 2]),  # every third frame is left out
    ],
)
def test_a_recording_is_played_in_its_own_time(fps, seen, small_recording):
    assert Film(small_recording, fps, 4, 8, ()).seen == seen


def test_rates_are_the_fractions_that_are_written(tmp_path):
    """29.97 on 30 falls behind by one frame in a thousand, after exactly a thousand."""
    dataset = {"name": "d", "sha256": "", "frames": FRAMES, "fps": 29.97, "size": None,
               "sequences": [["a", FRAMES]]}  # fmt: skip
    seen = Film(write_recording(tmp_path / "r", dataset=dataset), 30, 0, 2002, ()).seen
    repeated = [k for k in range(1, 2002) if seen[k] == seen[k - 1]]

    assert repeated == [1, 1001, 2001]


def test_pictures_that_are_no_video_come_one_by_one(tmp_path):
    dataset = {"name": "stills", "sha256": "", "frames": FRAMES, "fps": None, "size": None,
               "sequences": []}  # fmt: skip
    stills = write_recording(tmp_path / "r", dataset=dataset)

    assert Film(stills, 0.5, 5, 4, ()).seen == [5, 0, 1, 2]


def test_each_frame_sends_the_bytes_of_its_picture(four):
    rows = simulate(four, "narrow", 1).frames.to_pylist()

    assert len(rows) == 150
    start = rows[0]["dataset_frame"]
    assert [row["dataset_frame"] for row in rows[:4]] == [(start + 2 * k) % 6 for k in range(4)]
    assert all(row["payload_bytes"] == SIZES[NARROW][row["dataset_frame"]] for row in rows)
    sent = [row["payload_bytes"] for row in rows[:3]]
    assert sent == [SIZES[NARROW][(start + 2 * k) % 6] for k in range(3)]
    assert {row["codec"] for row in rows} == {"zstd"}


def test_policies_meet_the_same_pictures_and_seeds_do_not(four):
    def seen(policy, seed):
        return simulate(four, policy, seed).frames.column("dataset_frame").to_pylist()

    assert seen("narrow", 1) == seen("random", 1)
    assert len({seen("narrow", seed)[0] for seed in range(1, 8)}) > 2


def test_clients_of_a_group_start_at_different_frames(four, world, small_recording):
    many = world(
        "clients.0.detector", str(small_recording.folder), "clients.0.count", 12,
        "clients.0.ladder", ALL, "policies", POLICIES,
    )  # fmt: skip
    rows = simulate(many, "narrow", 1).frames.to_pylist()

    assert len({row["dataset_frame"] for row in rows if row["frame"] == 0}) > 2


def test_a_mode_costs_what_was_recorded_and_nothing_else(four):
    pi5, t4 = four.clients[0].device, four.server
    by_mode = {str(rung.point.mode): rung for rung in four.clients[0].ladder}

    assert by_mode["split"].device_mac == 65_000_000
    assert by_mode["split"].encode_ns == pi5.encode_ns(65_000_000)
    assert by_mode["split"].decode_ns == t4.decode_ns(900_000_000)
    assert (by_mode["local"].device_mac, by_mode["local"].decode_ns) == (1_200_000_000, 0)
    assert by_mode["offload"].point == OFFLOAD
    assert by_mode["offload"].encode_ns == pi5.encode_ns(8_000_000)
    assert by_mode["offload"].decode_ns == t4.decode_ns(1_200_000_000)
    assert by_mode["skip"].accuracy == 0
    rows = simulate(four, "local", 1).frames.to_pylist()
    assert {(row["payload_bytes"], row["codec"], row["fate"]) for row in rows} == {
        (0, "raw", "local")
    }


class Listening(Policy):
    """Takes the narrow point, and keeps what it is told of payloads."""

    def __init__(self):
        self.told = []

    def choose(self, seen, ladder):
        self.told.append(ladder.at(NARROW).payload_bytes)
        return NARROW

    def feedback(self, outcome):
        self.told.append(outcome.payload_bytes)


def test_a_policy_sees_means_before_encoding_and_learns_the_bytes_afterwards(four, monkeypatch):
    policy, made = Listening(), engine.make
    monkeypatch.setattr(
        engine, "make", lambda table, spec: policy if spec.kind == "fixed" else made(table, spec)
    )
    rows = simulate(four, "narrow", 1).frames.to_pylist()

    assert policy.told[0] == 110
    assert sorted(policy.told) == sorted([110] * 150 + [row["payload_bytes"] for row in rows])


def test_a_run_is_scored_by_the_boxes_and_names_the_recording(four, tmp_path):
    folder = run(four, tmp_path / "runs")
    summary = json.loads((folder / "summary.json").read_text())["policies"]
    provenance = json.loads((folder / "provenance.json").read_text())

    # Every object is found, whatever the header says of the mean; what is skipped is not.
    offline = {name: figures["offline_map"]["value"] for name, figures in summary.items()}
    assert [offline[name] for name in ("narrow", "local", "offload")] == [1.0, 1.0, 1.0]
    assert 0.25 < offline["random"] < 1
    ladder = {rung["mode"]: rung["accuracy"] for rung in provenance["ladders"]["camera"]}
    assert ladder == {"split": 0.25, "local": 0.625, "offload": 0.5625, "skip": 0}
    (recording,) = provenance["recordings"]
    assert (recording["kind"], recording["id"], recording["dataset"]) == (
        "measured", "1" * 64, "road/val"
    )  # fmt: skip
    assert recording["weights"] == {"detector": "2" * 64, "teacher": "3" * 64}
    assert provenance["files"][recording["name"]] == recording["sha256"]


def test_two_runs_of_a_recording_are_the_same_to_the_byte(four, tmp_path):
    one = run(four, tmp_path / "a")
    other = run(four, tmp_path / "b", workers=2)

    for name in ("frames.parquet", "energy.parquet", "summary.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    frames = records.read(one).frames
    assert list(frames.columns[-2:]) == ["codec", "dataset_frame"]


def test_the_resolved_scenario_repeats_the_run(four, small_recording):
    again = load_text(dump(four))

    assert again == four
    assert again.files[str(small_recording.folder)] == small_recording.sha256


def test_a_recording_that_changed_since_is_refused(four, small_recording):
    text = dump(four)
    write_recording(small_recording.folder, id="9" * 64)

    with pytest.raises(InputErrors, match="has changed since this was written"):
        load_text(text)


def test_points_of_equal_width_and_bits_differ_by_their_codec(recorded):
    with pytest.raises(InputErrors, match=r"was not recorded at α=1 4 bit"):
        recorded()
    one = recorded("clients.0.ladder", {"widths": [1.0], "bits": [8]})

    assert [rung.point for rung in one.clients[0].ladder] == [WIDE]


def test_payloads_that_would_leave_together_after_the_end_are_not_sent(
    small_recording, world, tmp_path
):
    """One opportunity a second takes several payloads at once; the run ends 0.1 s before it."""
    slow = tmp_path / "slow.up"
    slow.write_text("1000\n")
    scenario = world(
        "clients.0.detector", str(small_recording.folder),
        "clients.0.ladder", {"widths": [0.5], "bits": [4], "codecs": ["zstd"]},
        "clients.0.source", {"fps": 10, "phase": 0},
        "policies", {"narrow": {"kind": "fixed", "width": 0.5, "bits": 4, "codec": "zstd"}},
        "network.uplink", {"kind": "replay", "trace": str(slow)},
        "duration_s", 0.5,
        "deadline_ms", 400,
    )  # fmt: skip
    rows = simulate(scenario, "narrow", 1)

    frames = rows.frames.to_pandas()
    assert set(frames["fate"]) == {"unfinished"}
    assert frames["wire_bytes"].iloc[1:].sum() == 0
