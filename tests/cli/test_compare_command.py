"""`testbed compare` over traces and over weights, and claims as JUnit, as a user meets them."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as Xml

import pytest

from testbed.cli import main

SWEEP = """\
schema: 1
scenario: base.yaml
grid:
  network.uplink.mbps: [3, 6, 12, 24]
  utility.energy: [0, 0.5]
"""
CLAIMS = [
    {"metric": "payload_bytes_mean", "better": "narrow", "than": "wide"},
    {"metric": "on_time_map", "better": "narrow", "than": "wide"},
]


@pytest.fixture
def command(monkeypatch, capsys):
    def invoke(*words):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return invoke


@pytest.fixture
def folders(command, tmp_path, world_data):
    policies = {"narrow": {"kind": "fixed", "width": 0.167}, "wide": {"kind": "fixed", "width": 1}}
    world_data["clients"][0] |= {"ladder": {"widths": "all"}, "source": {"fps": 2, "phase": 0}}
    world_data |= {"seeds": [1, 2], "duration_s": 3}
    world_data["policies"] = policies | {"planner": {"kind": "mpc"}}
    (tmp_path / "base.yaml").write_text(json.dumps(world_data), encoding="utf-8")
    (tmp_path / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    code, out, _ = command("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "runs", "--json")
    assert code == 0
    return [point["run"] for point in json.loads(out)["points"]]


def test_over_traces_each_weighting_has_its_own_table_and_rows(command, folders):
    _, out, _ = command("compare", "--across", *folders, "--json")
    rows = json.loads(out)["across"]
    _, printed, _ = command("compare", "--across", *folders)

    assert len(rows) == 6
    assert {row["condition"] for row in rows} == {"utility.energy=0.0", "utility.energy=0.5"}
    assert {row["n"] for row in rows} == {4}
    assert "traces won" in printed
    assert "no difference shown" in printed


def test_over_weights_the_front_and_the_area_are_there(command, folders):
    _, out, _ = command("compare", "--front", *folders, "--json")
    found = json.loads(out)
    _, printed, _ = command("compare", "--front", *folders)

    assert len(found["points"]) == 6
    assert {row["policy"] for row in found["coverage"]} == {"narrow", "wide", "planner"}
    assert max(row["hypervolume"] for row in found["coverage"]) > 0
    assert "energy per frame, J" in printed
    assert "on-time mAP" in printed


def test_a_sweep_prints_metrics_by_their_names(command, folders, tmp_path):
    _, out, _ = command("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "runs")

    assert "its on-time mAP" in out.splitlines()[0]


def test_two_questions_at_once_are_refused(command, folders):
    code, _, err = command("compare", "--across", "--front", *folders)

    assert code == 2
    assert "one at a time" in err


def test_claims_come_out_as_junit_and_one_that_fails_is_exit_code_1(command, tmp_path, world_data):
    world_data["policies"]["wide"] = {"kind": "fixed", "width": 0.416}
    scenario = tmp_path / "claims.yaml"
    scenario.write_text(json.dumps(world_data | {"seeds": [1, 2], "claims": CLAIMS}))
    code, out, _ = command(
        "run", scenario, "--out", tmp_path, "--junit", tmp_path / "a.xml", "--json"
    )
    folder = json.loads(out)["folder"]
    again, _, _ = command("compare", folder, "--junit", tmp_path / "b.xml")
    root = Xml.parse(tmp_path / "a.xml").getroot()

    assert (code, again) == (1, 1)
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert (tmp_path / "b.xml").read_bytes() == (tmp_path / "a.xml").read_bytes()


def test_a_junit_file_that_cannot_be_written_is_exit_code_3(command, tmp_path, world_data):
    scenario = tmp_path / "short.yaml"
    scenario.write_text(json.dumps(world_data | {"duration_s": 1}))
    code, _, err = command("run", scenario, "--out", tmp_path, "--junit", tmp_path / "no" / "a.xml")

    assert code == 3
    assert "a.xml" in err


def test_what_a_run_is_asked_for_besides_is_printed_kept_and_reported(
    command, tmp_path, world_data
):
    world_data["clients"][0]["ladder"] = {"widths": [0.167, 0.25], "modes": ["split", "skip"]}
    world_data["policies"]["planner"] = {"kind": "mpc"}
    scenario = tmp_path / "asked.yaml"
    scenario.write_text(json.dumps(world_data | {"duration_s": 3, "seeds": [1, 2]}))
    code, out, _ = command(
        "run", scenario, "--out", tmp_path / "runs", "--optimum", "--gain-by-knob"
    )
    (folder,) = (tmp_path / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))

    assert code == 0
    assert "How far from the best possible" in out
    assert set(summary["gain_by_knob"]["planner"]["shares"]) == {"width", "skip"}
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "How far from the best possible" in text
        assert "Which knob the gain comes from" in text


def test_the_optimum_of_several_clients_is_refused_before_anything_runs(
    command, tmp_path, world_data
):
    world_data["clients"][0]["count"] = 2
    scenario = tmp_path / "two.yaml"
    scenario.write_text(json.dumps(world_data))
    code, _, err = command("run", scenario, "--out", tmp_path / "runs", "--optimum")

    assert code == 2
    assert "one client" in err
    assert not list((tmp_path / "runs").glob("*/frames.parquet"))
