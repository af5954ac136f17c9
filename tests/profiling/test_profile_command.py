"""`testbed profile` as a user meets it."""

from __future__ import annotations

import builtins
import importlib.util
import json
import sys

import pytest

from testbed.cli import main
from testbed.devices.profile import load_device, load_server

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("effdet") is None,
    reason="needs the extra `detect`",
)


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def invoke(*words):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return invoke


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a network to measure"),
        (["tiny-d0-cb"], "Did you mean 'tiny-d0-cp'"),
        (["tiny-d0-cp", "--widths", "0.3"], "has no width 0.3; it has 0.25, 0.5, 0.75, 1"),
        (["tiny-d0-cp", "--widths", "all"], "numbers with commas between, not 'all'"),
        (["tiny-d0-cp", "--runs", "10"], "at least 50, not 10; or use --quick"),
        (["tiny-d0-cp", "--runs", "60", "--quick"], "contradict each other"),
        (["tiny-d0-cp", "--out", "mine.csv"], "ends in .yaml, not 'mine.csv'"),
        (["tiny-d0-cp", "--check", "raspberry-pi-5"], "takes the networks from the file"),
        (["--check", "raspberry-pi-5"], "raspberry-pi-5 has no measured points"),
        (["--check", "raspbery-pi-5"], "Did you mean 'raspberry-pi-5'"),
        (["tiny-d0-cp", "--watts-like", "raspbery-pi-5"], "Did you mean 'raspberry-pi-5'"),
        (["tiny-d0-cp", "--date", "yesterday"], "a date such as 2026-01-31, not 'yesterday'"),
        (["tiny-d0-cp", "--meter", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_a_slip_is_a_line_before_anything_is_measured(command, words, said):
    code, out, err = command("profile", *words)

    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_file_is_not_replaced_unless_asked(command, tmp_path):
    (tmp_path / "tiny-d0-cp.yaml").write_text("mine")
    code, _, err = command("profile", "tiny-d0-cp")

    assert code == 2
    assert "tiny-d0-cp.yaml exists; --force replaces it" in err
    assert (tmp_path / "tiny-d0-cp.yaml").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_found_before_measuring(command, tmp_path):
    (tmp_path / "file").write_text("no folder")
    code, out, err = command("profile", "tiny-d0-cp", "--out", "file/mine.yaml")

    assert (code, out) == (3, "")
    assert "file/mine.yaml cannot be written" in err


def test_without_torch_the_extra_that_brings_it_is_named(command, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named '{name}'", name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    code, out, err = command("profile", "tiny-d0-cp", "--quick")

    assert (code, out) == (3, "")
    assert "needs 'torch'" in err
    assert "split-testbed[detect]" in err


@needs_torch
def test_what_is_written_is_named_by_a_scenario_at_once_and_can_be_checked(command, tmp_path):
    code, out, err = command(
        "profile", "tiny-d0-cp", "--widths", "0.25,1", "--quick", "--threads", 1, "--name", "mine",
        "--meter", "none", "--machine", "a test", "--date", "2026-01-31", "--json",
    )  # fmt: skip
    said = json.loads(out)

    assert (code, err) == (0, "")
    assert [point["width"] for point in said["points"]] == [0.25, 1.0]
    assert said["points"][0]["gmac"] < said["points"][1]["gmac"]
    device = load_device(tmp_path / "mine.yaml")
    source = device.sheet.rate_gmac_per_s.source
    assert "a test" in source
    assert "2026-01-31" in source
    assert "1 thread" in source
    assert device.point("tiny-d0-cp", 1.0).p99_s is None

    code, out, _ = command("profile", "--check", "mine.yaml", "--quick", "--tolerance", 1000)
    assert code == 0
    assert "It holds" in out

    changes = ["--set", "clients.0.device=mine.yaml", "--set", "duration_s=2"]
    code, out, _ = command("run", "quickstart", *changes, "--set", "seeds=[1]", "--out", tmp_path)
    assert code == 0, out


@needs_torch
def test_a_check_that_fails_ends_with_one(command, tmp_path):
    command("profile", "tiny-d0-cp", "--widths", "1", "--quick", "--threads", 1, "--name", "mine")
    path = tmp_path / "mine.yaml"
    device = load_device(path)
    median = device.sheet.points[0].p50_s.value
    path.write_text(path.read_text().replace(f"p50_s: {{value: {median!r}", "p50_s: {value: 1000"))

    code, out, _ = command("profile", "--check", "mine.yaml", "--quick")

    assert code == 1
    assert "drifted by -100.0%" in out


@needs_torch
def test_a_decoder_becomes_a_server(command, tmp_path):
    code, _, err = command(
        "profile", "tiny-d0-cp", "--widths", "0.5", "--quick", "--part", "decoder", "--threads", 1,
        "--out", "servers/mine.yaml",
    )  # fmt: skip

    assert (code, err) == (0, "")
    server = load_server(tmp_path / "servers/mine.yaml")
    assert server.floor_s > 0
    assert server.rate > 0


@needs_torch
def test_a_picture_that_does_not_fit_is_refused(command):
    code, _, err = command("profile", "tiny-d0-cp", "--input-side", 200, "--quick")

    assert code == 2
    assert "a multiple of 128, not 200" in err
