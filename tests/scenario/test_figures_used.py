"""Which figures of the profiles a run rests on, and `--strict`, which refuses the assumed ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from testbed.catalog import find
from testbed.cli import main
from testbed.devices.figures import line_of
from testbed.devices.profile import load_device
from testbed.scenario.figures import entries


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


@pytest.fixture
def measured(tmp_path, world_data):
    """Return a scenario file whose own profiles hold no assumed figure that a run uses."""
    for key, shelf, name in (
        ("device", "devices/devices", "raspberry-pi-5"),
        ("radio", "devices/radios", "lte-2021"),
        ("server", "devices/servers", "t4-trt-int8"),
    ):
        text = find(shelf, name).read_text().replace("kind: assumed", "kind: measured")
        (tmp_path / f"{key}.yaml").write_text(text)
        if key == "server":
            world_data["server"]["profile"] = "server.yaml"
        else:
            world_data["clients"][0][key] = f"{key}.yaml"
    world_data["seeds"] = [1, 2]
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps(world_data))
    return file


def test_what_no_run_reads_is_not_used(world):
    used = {
        (entry.profile, entry.key): entry.used
        for entry in entries(world("server.profile", "t4-eager-amp"))
    }

    device, radio, server = "device raspberry-pi-5", "radio lte-2021", "server t4-eager-amp"
    for key in ("rate_gmac_per_s", "idle_w", "active_w", "jitter_cv"):
        assert used[device, key]
    for key in ("memory_gb", "networks[0].gmac", "thermal.tau_s", "weights.dram_mb_per_s"):
        assert not used[device, key]
    assert used[radio, "tail[0].duration_s"]
    assert used[radio, "up.alpha_w_per_mbps"]
    assert used[server, "floor_s"]
    assert not used[server, "jitter_cv"]


@pytest.mark.parametrize(
    ("changes", "used", "unused"),
    [
        (("battery", {}), "battery.cutoff", "thermal.tau_s"),
        (("battery", {}), "battery.capacity_mah", "weights.dram_pj_per_bit"),
        (("battery", {"capacity_wh": 3}), "battery.voltage_v", "battery.capacity_mah"),
        (("ambient_c", 30), "thermal.tau_s", "battery.cutoff"),
    ],
)
def test_what_a_client_is_asked_to_be_decides_what_is_used(world, changes, used, unused):
    key, value = changes
    scenario = world("clients.0.device", "phone-sd765g", f"clients.0.{key}", value)

    found = {entry.key: entry.used for entry in entries(scenario) if "phone" in entry.profile}

    assert found[used]
    assert not found.get(unused, False)


def test_weights_count_where_they_are_loaded(world):
    weights = {"residency": "dram", "set_mb": 5}
    scenario = world(
        *("clients.0.detector", "published/efficientdet-d2-fixed"),
        *("clients.0.ladder", {"widths": "all"}),
        *("policies.narrow.width", 0.25),
        *("clients.0.weights", weights),
    )

    assert {e.key: e.used for e in entries(scenario)}["weights.dram_mb_per_s"]


def test_figures_of_a_mode_stand_where_the_mode_does(world):
    scenario = world("clients.0.device", "jetson-tx2", "clients.0.mode", "maxq")

    found = {entry.key: entry for entry in entries(scenario) if "tx2" in entry.profile}

    place = [mode.mode for mode in load_device(find("devices/devices", "jetson-tx2")).sheet.modes]
    key = f"modes[{place.index('maxq')}].active_w"
    assert found[key].used
    assert found[key].profile == "device jetson-tx2 in mode maxq"
    assert "active_w" not in found
    assert "jitter_cv" in found


def test_a_profile_that_several_groups_name_counts_once(world, world_data):
    twice = [world_data["clients"][0], {**world_data["clients"][0], "name": "other"}]

    keys = [(entry.profile, entry.key) for entry in entries(world("clients", twice))]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", ["check", "run"])
def test_strict_names_every_assumed_figure_with_file_and_line(command, name, tmp_path):
    code, out, err = command(
        name, "quickstart", "--strict", *(["--out", tmp_path] * (name == "run"))
    )

    lines = err.splitlines()
    active = next(line for line in lines if ": active_w:" in line)
    file, number, message = active.split(":", 2)
    assert (code, out) == (2, "")
    assert Path(file) == find("devices/devices", "raspberry-pi-5")
    assert Path(file).read_text().splitlines()[int(number) - 1] == "active_w:"
    assert message.startswith(" active_w: 8 is assumed (no measured watts under")
    assert message.endswith("--strict takes what is measured or published")
    assert not any("memory_gb" in line or "thermal" in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_strict_is_content_with_what_was_measured(command, measured):
    assert command("check", measured, "--strict") == (0, f"{measured}: ok\n", "")


def test_strict_refuses_one_assumed_figure_in_the_tail_of_a_radio(command, measured):
    radio = measured.parent / "radio.yaml"
    head, tail = radio.read_text().split("tail:\n")
    radio.write_text(head + "tail:\n" + tail.replace("kind: measured", "kind: assumed", 1))

    code, _, err = command("check", measured, "--strict")

    assert code == 2
    assert err.startswith(f"{radio}:")
    assert ": tail[0].duration_s: 0.2 is assumed (" in err
    assert len(err.splitlines()) == 1


def test_the_json_of_a_strict_check_has_the_problems(command):
    code, out, _ = command("check", "quickstart", "--strict", "--json")

    (found,) = json.loads(out)
    assert (code, found["ok"]) == (2, False)
    assert "active_w" in {problem["key"] for problem in found["problems"]}


def test_the_line_of_a_key_path_is_found_through_lists():
    file = find("devices/radios", "lte-2012-aro")
    lines = file.read_text().splitlines()

    assert (
        lines[line_of(file, "tail[2].duration_s") - 1].strip().startswith("duration_s: {value: 10,")
    )
    assert lines[line_of(file, "down.cap_w") - 1].strip().startswith("cap_w: {value: 2.24")
