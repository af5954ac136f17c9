"""Sweeps: every point checked before any runs, and none run twice."""

from __future__ import annotations

import csv
import io
import json

import pytest

from testbed.errors import InputErrors, UnknownName
from testbed.sweep import load_sweep, run_sweep, table


@pytest.fixture
def sweep(tmp_path, world_data):
    """Return a function that writes a sweep beside a small scenario and returns its path."""

    def write(**content):
        (tmp_path / "world.yaml").write_text(json.dumps({**world_data, "duration_s": 1}))
        data = {"schema": 1, "scenario": "world.yaml", **content}
        path = tmp_path / "sweep.yaml"
        path.write_text(json.dumps(data))
        return str(path)

    return write


GRID = {"network.uplink.mbps": [5, 20], "deadline_ms": [100, 300]}


def test_the_grid_is_every_combination_in_order(sweep):
    points = load_sweep(sweep(grid=GRID))

    assert [tuple(point.values.values()) for point in points] == [
        (5, 100),
        (5, 300),
        (20, 100),
        (20, 300),
    ]
    assert [point.scenario.spec.deadline_ms for point in points] == [100, 300, 100, 300]


def test_a_sweep_goes_on_where_it_stopped(sweep, tmp_path):
    points = load_sweep(sweep(grid=GRID))
    first = run_sweep(points[:2], tmp_path / "runs")
    stamps = [(folder / "frames.parquet").stat().st_mtime_ns for folder in first]
    steps = []

    folders = run_sweep(points, tmp_path / "runs", progress=lambda *step: steps.append(step))

    assert folders[:2] == first
    assert [(folder / "frames.parquet").stat().st_mtime_ns for folder in first] == stamps
    assert steps == [(2, 4), (3, 4), (4, 4)]


def test_a_point_that_was_interrupted_is_run_again(sweep, tmp_path):
    points = load_sweep(sweep(grid={"deadline_ms": [100]}))
    (folder,) = run_sweep(points, tmp_path / "runs")
    (folder / "INCOMPLETE").write_text("")

    run_sweep(points, tmp_path / "runs")

    assert not (folder / "INCOMPLETE").exists()


def test_the_number_of_workers_changes_nothing(sweep, tmp_path):
    points = load_sweep(sweep(grid=GRID))

    alone = table(points, run_sweep(points, tmp_path / "one"))

    assert table(points, run_sweep(points, tmp_path / "two", workers=2)) == alone


def test_the_table_has_a_row_per_point_and_policy(sweep, tmp_path):
    points = load_sweep(sweep(grid=GRID))
    folders = run_sweep(points, tmp_path / "runs")

    rows = list(csv.DictReader(io.StringIO(table(points, folders))))

    assert len(rows) == 4
    assert rows[0]["network.uplink.mbps"] == "5"
    assert rows[0]["policy"] == "narrow"
    assert rows[0]["captured"] == "5.0"
    assert [row["run"] for row in rows] == [folder.name for folder in folders]


@pytest.mark.parametrize(
    ("content", "complaints"),
    [
        ({}, ["grid: required"]),
        ({"grid": {}}, ["grid: required"]),
        ({"grid": {"deadline_ms": 100}}, ["grid.deadline_ms: must be a list"]),
        ({"grid": GRID, "grit": 1}, ["grit: no such key in a sweep. Did you mean 'grid'?"]),
        ({"grid": GRID, "schema": 2}, ["schema: must be 1"]),
        ({"grid": {"deadline_ms": [0], "seeds": [[-1]]}}, ["deadline_ms", "seeds"]),
    ],
)
def test_every_mistake_is_told_before_anything_runs(sweep, content, complaints):
    with pytest.raises(InputErrors) as caught:
        load_sweep(sweep(**content))

    assert len(caught.value.problems) == len(complaints)
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_an_unknown_sweep_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="no sweep 'deadline'"):
        load_sweep("deadline")
