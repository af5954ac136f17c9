"""`testbed check` and `testbed schema`."""

from __future__ import annotations

import json
import sys

import pytest

from testbed.cli import main


@pytest.fixture
def testbed(monkeypatch, capsys):
    """Return a function that runs a command line and gives exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["testbed", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return run


def test_a_sound_scenario_is_ok(testbed):
    assert testbed("check", "quickstart") == (0, "quickstart: ok\n", "")


def test_warnings_are_printed(testbed):
    code, out, err = testbed("check", "quickstart", "--set", "seeds=[1]")

    assert (code, err) == (0, "")
    assert out == (
        "quickstart: ok\nquickstart: warning: seeds: one seed gives no confidence intervals\n"
    )


def test_the_mistakes_of_all_files_are_printed(testbed, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("schema: 1\nx: 1\nx: 2\n")
    a, b = str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")

    code, out, err = testbed("check", a, "quickstart", b, "no-such")

    assert code == 2
    assert out == "quickstart: ok\n"
    assert err.splitlines()[0].startswith(f"{a}:3: x: stands twice, here and in line 2")
    assert err.splitlines()[1].startswith(f"{b}:3: x: stands twice, here and in line 2")
    assert err.splitlines()[2].startswith("no-such: no such file or scenario")
    assert len(err.splitlines()) == 3


def test_overrides_are_checked(testbed):
    code, _, err = testbed("check", "quickstart", "--set", "duration_s=0")

    assert (code, err) == (2, "--set: duration_s: must be a number above 0, not 0\n")


def test_json_has_everything(testbed, tmp_path):
    (tmp_path / "a.yaml").write_text("schema: 1\nx: 1\nx: 2\n")
    file = str(tmp_path / "a.yaml")

    code, out, err = testbed("check", "quickstart", file, "--json")

    sound, wrong = json.loads(out)
    assert (code, err) == (2, "")
    assert (sound["file"], sound["ok"], sound["warnings"]) == ("quickstart", True, [])
    message = "stands twice, here and in line 2; keep one"
    problem = {"file": file, "line": 3, "key": "x", "message": message}
    assert wrong == {"file": file, "ok": False, "problems": [problem]}


def test_schema_prints_the_schema(testbed):
    code, out, err = testbed("schema")

    assert (code, err) == (0, "")
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_real_trace_may_take_the_place_of_the_synthetic_one(testbed, shared):
    trace = shared / "traces" / "mahimahi" / "Verizon-LTE-short.up"
    if not trace.is_file():
        pytest.skip(f"no {trace}")

    code, out, _ = testbed("check", "quickstart", "--set", f"network.uplink.trace={trace}")

    assert code == 0
    assert out.startswith("quickstart: ok\n")
