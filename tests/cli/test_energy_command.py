"""`testbed energy` as a user meets it: the worked example, run folders, batteries, mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from testbed import run as running
from testbed.cli import main
from testbed.scenario import load

NARROW = "policies={narrow: {kind: fixed, width: 0.167}}"


@pytest.fixture
def command(monkeypatch, capsys):
    """Return a function that runs a command line and gives exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the folder of a short run of two policies on two seeds."""
    changes = ["duration_s=5", "seeds=[1, 2]", "clients.0.device=phone-sd765g", NARROW]
    changes += ["policies.wide={kind: fixed, width: 0.66}"]
    return running.run(load("quickstart", changes), tmp_path_factory.mktemp("runs"))


def radio_of(out, policy):
    """Return state → joules of the radio, from the JSON of the command."""
    return {
        line["state"]: line["energy_j"]
        for line in json.loads(out)["ledger"]
        if line["policy"] == policy and line["component"] == "radio"
    }


def test_the_worked_example_comes_out_of_the_command(command):
    """One upload over AT&T ARO's LTE of 2012: 13.343 J whole, 11.696 J a sixth of the bytes."""
    code, out, err = command("energy", "one-upload", "--attribution", "proportional", "--json")

    whole = radio_of(out, "whole")
    assert (code, err) == (0, "")
    assert whole["connected"] == pytest.approx(1.976, abs=5e-4)
    assert whole["promotion"] == pytest.approx(0.3146, abs=5e-5)
    assert whole["inactivity"] == pytest.approx(0.12, abs=5e-4)
    assert whole["drx_short"] == pytest.approx(0.0224, abs=5e-5)
    assert whole["drx_long"] == pytest.approx(10.910, abs=5e-4)
    burst = {policy: radio_of(out, policy) for policy in ("whole", "sixth")}
    for states in burst.values():
        del states["idle"]
    assert sum(burst["whole"].values()) == pytest.approx(13.343, abs=5e-4)
    assert sum(burst["sixth"].values()) == pytest.approx(11.696, abs=5e-4)


def test_the_worked_example_is_printed_with_its_sum(command):
    _, out, _ = command("energy", "one-upload", "--attribution", "proportional")

    lines = [line.split() for line in out.splitlines() if line.startswith("radio")]
    printed = {" ".join(line[1:-2]): line[-2:] for line in lines}
    assert printed["connected"] == ["1.9761", "0.32935"]
    assert printed["promotion"] == ["0.3146", "0.3146"]
    assert printed["inactivity"] == ["0.12", "0.12"]
    assert printed["drx_short"] == ["0.02244", "0.02244"]
    assert printed["drx_long"] == ["10.91", "10.91"]
    assert printed["of which frames"] == ["13.343", "11.696"]


def test_one_policy_is_shown_with_seconds_and_watts(command):
    _, out, _ = command("energy", "one-upload", "--policy", "whole")

    rows = [line.split() for line in out.splitlines()]
    assert ["radio", "drx_long", "10", "1.091", "10.91", "10.91", "0", "10.91"] in rows
    assert ["radio", "promotion", "0.26", "1.21", "0.3146", "0.3146", "0", "0.3146"] in rows


def test_a_run_folder_gives_the_figures_of_its_summary(command, folder):
    code, out, _ = command("energy", folder, "--json")

    page = json.loads(out)
    summary = json.loads((folder / "summary.json").read_text())["policies"]
    assert code == 0
    for line in page["policies"]:
        metrics = summary[line["policy"]]
        assert line["total_j"] == pytest.approx(metrics["energy_j"]["value"], rel=1e-9)
        net_j = metrics["energy_j"]["value"] - metrics["idle_j"]["value"]
        assert line["net_j"] == pytest.approx(net_j, rel=1e-9)
        assert line["total_j_per_frame"] == pytest.approx(metrics["energy_per_frame_j"]["value"])
        assert line["frames_j"] + line["shared_j"] == pytest.approx(line["total_j"], rel=1e-9)


def test_a_scenario_gives_what_its_run_folder_gives(command, folder):
    changes = ["duration_s=5", "seeds=[1, 2]", "clients.0.device=phone-sd765g", NARROW]
    words = [word for change in changes for word in ("--set", change)]

    computed = command("energy", "quickstart", *words, "--policy", "narrow", "--json")

    read = command("energy", folder, "--policy", "narrow", "--json")
    assert computed == read


def test_proportional_attribution_moves_the_tails_to_the_frames(command, folder):
    sums = {
        how: json.loads(command("energy", folder, "--json", "--attribution", how)[1])["policies"]
        for how in ("marginal", "proportional")
    }

    for marginal, proportional in zip(*sums.values(), strict=True):
        assert marginal["total_j"] == proportional["total_j"]
        assert marginal["frames_j"] < proportional["frames_j"] < proportional["total_j"]


def test_hours_on_the_device_s_own_battery(command, folder):
    _, out, _ = command("energy", folder, "--json")

    narrow, wide = json.loads(out)["batteries"]
    assert (narrow["policy"], narrow["client"]) == ("narrow", "camera")
    assert narrow["battery_wh"] == pytest.approx(5.16 * 3.85)
    # It shuts down at 2 % of its charge.
    assert narrow["hours"] == pytest.approx(0.98 * narrow["battery_wh"] / narrow["mean_w"])
    assert wide["hours"] < narrow["hours"]


def test_hours_on_a_battery_that_is_given(command, folder):
    _, out, _ = command("energy", folder, "--json", "--battery-wh", "37")

    narrow, _ = json.loads(out)["batteries"]
    assert narrow["battery_wh"] == pytest.approx(37)
    assert narrow["hours"] == pytest.approx(37 / narrow["mean_w"])


def test_a_device_on_mains_has_no_hours(command):
    _, out, _ = command("energy", "one-upload", "--json")

    assert json.loads(out)["batteries"] == []


def test_an_unknown_policy_is_exit_code_2_with_a_hint(command, folder):
    code, out, err = command("energy", folder, "--policy", "narow")

    assert (code, out) == (2, "")
    assert err == "no policy 'narow'. Did you mean 'narrow'? Known: narrow, wide\n"


def test_a_run_that_is_over_cannot_be_changed(command, folder):
    code, _, err = command("energy", folder, "--set", "duration_s=1")

    assert code == 2
    assert "--set is for scenarios" in err
