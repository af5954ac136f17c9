"""The simulator against the kernel's network, here and now."""

from __future__ import annotations

import json

import pytest
from realtime import measured

from testbed.cli import app
from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Options
from testbed.errors import UnknownName
from testbed.scenario import load
from testbed.validate.engines import validate
from testbed.validate.select import only

pytestmark = [pytest.mark.root, measured, pytest.mark.timeout(900)]
TRIES = 6


def test_a_committed_scenario_is_still_within_its_bounds(tmp_path):
    scenario = load("validation/lte-static", ["seeds=[1]", "duration_s=10"])

    done = validate(scenario, tmp_path, Options(tries=TRIES))

    [policy] = done.result["policies"]
    assert done.holds, policy["bounds"]
    assert policy["frames"]["compared_one_by_one"] == 20
    names = {path.name for path in done.folder.iterdir()}
    texts = {f"validation.{kind}" for kind in ("json", "md", "html")}
    assert names == texts | {"simulated", "simulated-without-host", "emulated"}
    assert done.result["host_times"]["server_wait_ns"] > 0


def test_over_a_measured_trace(shared, tmp_path):
    trace = shared / "traces" / "mahimahi" / "Verizon-LTE-short.up"
    changes = [f"network.uplink.trace={trace}", "network.uplink.start_s=0", "seeds=[1]"]
    scenario = load("validation/lte-drive", [*changes, "duration_s=12"])

    done = validate(scenario, tmp_path, Options(tries=TRIES))

    [policy] = done.result["policies"]
    uplink = policy["stages_ms"]["uplink"]["per_frame"]
    assert uplink["n"] >= 20
    assert uplink["median_percent"] <= 0.2, uplink
    assert abs(policy["stages_ms"]["total"]["error_percent"]["p50"]) <= 1


@pytest.fixture
def tiny(tmp_path):
    """Return a small network with random weights, on which its speed does not depend."""
    torch = pytest.importorskip("torch")
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    torch.manual_seed(0)
    save(build(find("tiny-d0-bw")), tmp_path / "tiny.safetensors")
    return Network(str(tmp_path / "tiny.safetensors"), threads=1)


@pytest.mark.slow
def test_a_live_detector_over_a_measured_trace(shared, tmp_path, tiny):
    trace = shared / "traces" / "mahimahi" / "Verizon-LTE-short.up"
    changes = [f"network.uplink.trace={trace}", "network.uplink.start_s=0", "seeds=[1]"]
    scenario = load(
        "validation/live-tiny", [*changes, "duration_s=5", "clients.0.ladder.widths=[1.0]"]
    )

    done = validate(scenario, tmp_path, Options(tries=TRIES, network=tiny))

    [policy] = done.result["policies"]
    fates = policy["fates"]
    assert sum(pair["emulated"] for pair in fates.values()) == 25  # every other frame
    assert fates["on_time"]["emulated"] >= 23
    # The encoder of a machine with other work takes what it takes; the network does not.
    uplink = policy["stages_ms"]["uplink"]["error_percent"]["p50"]
    assert abs(uplink) <= 5, uplink
    frame_by_frame, _ = policy["as_taken"]["bounds"]
    assert frame_by_frame["value_percent"] <= 0.5


@pytest.mark.slow
def test_with_a_live_detector_the_payloads_are_those_of_the_network(tmp_path, tiny):
    scenario = load("validation/live-tiny", ["seeds=[1]", "duration_s=4"])

    done = validate(scenario, tmp_path, Options(tries=TRIES, network=tiny))

    [policy] = done.result["policies"]
    assert policy["fates"]["on_time"]["emulated"] == 20  # every other frame
    assert set(policy["as_rehearsed_percent"]) >= {"p50", "p95"}
    from testbed import records

    runs = [records.read(done.folder / engine) for engine in ("simulated", "emulated")]
    sizes = [set(run.frames["payload_bytes"]) for run in runs]
    assert sizes[0] == sizes[1]
    assert all(len(size) == 1 for size in sizes)
    assert runs[1].provenance["emulation"]["runs"][0]["clients"]["camera"]["stand_in"] is False


def test_the_command_says_what_it_found(tmp_path, run_cli):
    code, out = run_cli(
        "validate", "validation/lte-static", "--seconds", "2", "--set", "seeds=[1]",
        "--tries", "6", "--out", str(tmp_path), "--json",
    )  # fmt: skip

    said = json.loads(out)
    assert code == (0 if said["holds"] else 1)
    assert said["scenario"] == "lte-static"
    assert said["machine"]["backend"] == "tun"


@pytest.fixture
def run_cli(capsys):
    """Return a function that runs a command and gives exit code and output."""
    import typer

    def call(*arguments):
        try:
            code = app(list(arguments), standalone_mode=False)
        except typer.Exit as left:
            code = left.exit_code
        return code or 0, capsys.readouterr().out

    return call


def test_only_one_policy_is_run_when_one_is_named():
    scenario = load("quickstart")

    assert list(only(scenario, "narrow").spec.policies) == ["narrow"]
    with pytest.raises(UnknownName, match="Did you mean 'narrow'"):
        only(scenario, "narow")
