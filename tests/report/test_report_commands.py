"""`testbed report` and `testbed compare` over run folders."""

from __future__ import annotations

import json

import pytest
import typer
from sample_run import sample_run, write_sample
from typer.testing import CliRunner

from testbed.cli import compare, report
from testbed.errors import RunError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return two run folders that share the seeds 2 and 3."""
    root = tmp_path_factory.mktemp("runs")
    one = write_sample(root / "one-1a2b", sample_run(seeds=(1, 2, 3), seconds=6))
    two = write_sample(root / "two-3c4d", sample_run(seeds=(2, 3), seconds=6))
    return one, two


@pytest.fixture(scope="module")
def testbed():
    """Return a function that runs a command line and returns what it printed."""
    app = typer.Typer(pretty_exceptions_enable=False)
    report.register(app)
    compare.register(app)

    def call(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return call


def test_report_writes_each_page_and_prints_its_path(testbed, folders):
    printed = testbed("report", *folders)

    assert printed.split() == [str(folder / "report.html") for folder in folders]
    assert all((folder / "report.html").is_file() for folder in folders)
    assert all((folder / "report.md").is_file() for folder in folders)


def test_report_prints_json_on_request(testbed, folders):
    (row,) = json.loads(testbed("report", folders[0], "--json"))

    assert row["run"] == "one-1a2b"
    assert row["report"] == str(folders[0] / "report.html")


def test_report_looks_at_all_folders_before_it_writes_any(testbed, folders, tmp_path):
    fresh = write_sample(tmp_path / "fresh", sample_run(seeds=(1,), seconds=2))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "INCOMPLETE").touch()

    with pytest.raises(RunError, match="broken: incomplete"):
        testbed("report", fresh, broken)
    assert not (fresh / "report.html").exists()


def test_compare_prints_policies_and_paired_differences(testbed, folders):
    printed = testbed("compare", *folders)

    assert "narrow *" in printed
    assert "one-1a2b: adaptive: on-time mAP" in printed
    lines = [line for line in printed.splitlines() if line.startswith("two-3c4d  one-1a2b")]
    assert len(lines) == 3 * 8
    assert "over 2 seeds" in lines[0]


def test_compare_as_json_has_intervals_and_pairs_only_shared_seeds(testbed, folders):
    got = json.loads(testbed("compare", *folders, "--json"))

    assert [run["seeds"] for run in got["runs"]] == [[1, 2, 3], [2, 3]]
    assert got["runs"][0]["policies"]["wide"]["on_time_map"]["n"] == 3
    assert {row["n"] for row in got["between"]} == {2}
    same = [row for row in got["between"] if row["metric"] == "on_time_map"]
    assert [row["value"] for row in same] == [0, 0, 0]


def test_runs_of_the_same_name_are_told_apart_by_their_paths(testbed, folders, tmp_path):
    twin = write_sample(tmp_path / folders[0].name, sample_run(seeds=(1,), seconds=2))
    got = json.loads(testbed("compare", folders[0], twin, "--json"))

    assert [run["run"] for run in got["runs"]] == [str(folders[0]), str(twin)]
