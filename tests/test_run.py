"""One scenario in, one run folder out: complete, and the same bytes every time."""

from __future__ import annotations

import json

import pytest

from testbed import records
from testbed.run import run
from testbed.scenario import load

CONTENT = ["frames.parquet", "energy.parquet", "scenario.yaml", "summary.json", "provenance.json"]
COLUMNS = (
    "policy seed client frame captured_ns encode_start_ns encode_end_ns send_start_ns sent_ns "
    "arrived_ns batch_start_ns decoded_ns answered_ns width bits mode payload_bytes wire_bytes "
    "encode_j radio_j fate stale_ns battery_j temperature_c codec dataset_frame"
).split()


@pytest.fixture
def small(world):
    """Return a scenario of two policies, two seeds and two clients."""
    return world(
        "seeds",
        [1, 2],
        "duration_s",
        4,
        "clients.0.count",
        2,
        "clients.0.source.phase",
        "random",
        "network.uplink",
        {"kind": "replay", "trace": "lte/drive-a.up", "start_s": "random"},
        "policies.adaptive",
        {"kind": "goodput"},
    )


def content(folder):
    return {name: (folder / name).read_bytes() for name in CONTENT}


def test_a_run_folder_has_every_file_and_every_column(small, tmp_path):
    folder = run(small, tmp_path)

    assert folder.name == f"world-{small.digest}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*CONTENT, "report.html", "report.md"]
    )
    read = records.read(folder)
    assert list(read.frames.columns) == COLUMNS
    assert len(read.frames) == 2 * 2 * 2 * 20
    assert list(read.energy.columns) == (
        "policy seed client component state start_ns end_ns power_w energy_j".split()
    )


def test_credibility_20_two_runs_give_the_same_bytes(small, tmp_path):
    first = content(run(small, tmp_path / "a"))

    assert content(run(small, tmp_path / "b")) == first
    assert content(run(small, tmp_path / "a")) == first  # over a folder that is there already


def test_credibility_20_the_number_of_workers_changes_nothing(small, tmp_path):
    alone = content(run(small, tmp_path / "one", workers=1))

    assert content(run(small, tmp_path / "three", workers=3)) == alone


def test_the_dumped_scenario_alone_repeats_the_run(small, tmp_path):
    folder = run(small, tmp_path / "first")

    again = run(load(folder / "scenario.yaml"), tmp_path / "again")

    assert again.name == folder.name
    assert content(again) == content(folder)


def test_progress_is_told_after_each_policy_and_seed(small, tmp_path):
    steps = []

    run(small, tmp_path, progress=lambda done, total: steps.append((done, total)))

    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_provenance_names_every_input_and_its_kind(small, tmp_path):
    folder = run(small, tmp_path)

    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["digest"] == small.digest
    assert provenance["seeds"] == [1, 2]
    assert {len(sha256) for sha256 in provenance["files"].values()} == {64}
    assert "traces/lte/drive-a.up" in provenance["files"]
    assert {figure["kind"] for figure in provenance["figures"]} <= {
        "measured",
        "published",
        "assumed",
    }
    assert all(figure["source"] for figure in provenance["figures"])
    assert set(provenance["ladders"]) == {"camera", "camera-2"}
    assert provenance["capacity_mbps"]["cell"]["bin_s"] == 0.25


def test_the_run_on_a_measured_trace(shared, tmp_path):
    """The quickstart runs on a real LTE uplink instead of the synthetic one."""
    trace = shared / "traces" / "mahimahi" / "Verizon-LTE-short.up"
    if not trace.is_file():
        pytest.skip(f"no {trace.name} in the folder of measured data")
    scenario = load("quickstart", [f"network.uplink.trace={trace}", "duration_s=20", "seeds=[1,2]"])

    folder = run(scenario, tmp_path)

    provenance = json.loads((folder / "provenance.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    assert str(trace.resolve()) in provenance["files"]
    assert summary["policies"]["narrow"]["captured"]["value"] == 40
    assert 0.3 < summary["policies"]["narrow"]["on_time_map"]["value"] <= 0.3705
