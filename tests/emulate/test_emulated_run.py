"""A scenario end to end over the kernel's network, from the outside."""

from __future__ import annotations

import pytest
from realtime import measured

from testbed import records
from testbed.emulate import run as emulated_runs
from testbed.emulate.engine import Emulation, Options
from testbed.emulate.run import emulate_all
from testbed.errors import EnvironmentLacks
from testbed.run import run
from testbed.simulate import simulate

TCP = {"kind": "tcp", "idle_restart": False}
FAST = ("clients.0.device", "jetson-xavier-nx", "deadline_ms", 1000, "duration_s", 2)


@measured
@pytest.mark.root
def test_a_run_folder_like_any_other(world, tmp_path):
    scenario = world(*FAST, "network.transport", TCP)

    folder = run(scenario, tmp_path, emulation=Options())

    emulated = records.read(folder)
    assert folder.name.endswith("-emulated")
    assert (folder / "report.html").exists()
    frames = emulated.frames
    assert len(frames) == 10
    assert set(frames["fate"]) == {"on_time"}
    assert (frames["payload_bytes"] == 73_728).all()
    assert (frames["wire_bytes"] == 73_728 + 67 + 52 * 51).all()  # 67: the protocol's
    simulated = simulate(scenario, "narrow", 1).frames.to_pandas()
    assert (frames["captured_ns"].to_numpy() == simulated["captured_ns"].to_numpy()).all()
    ours = frames["answered_ns"].to_numpy(float)
    assert abs(ours - simulated["answered_ns"].to_numpy()).max() < 30e6
    runs = emulated.provenance["emulation"]["runs"]
    assert [(said["policy"], said["seed"], said["valid"]) for said in runs] == [("narrow", 1, True)]
    assert runs[0]["clients"]["camera"]["congestion_control"] == "cubic"
    spans = emulated.energy[emulated.energy["component"] == "radio"]
    assert spans["start_ns"].iloc[0] == 0
    assert spans["end_ns"].iloc[-1] == 3_000_000_000


@measured
@pytest.mark.root
def test_two_clients_with_a_connection_for_each_frame(world, tmp_path):
    per_frame = {"kind": "tcp", "connection": "per_frame"}
    scenario = world(*FAST, "network.transport", per_frame, "clients.0.count", 2)

    emulated = records.read(run(scenario, tmp_path, emulation=Options()))

    assert len(emulated.frames) == 20
    assert set(emulated.frames["client"]) == {"camera", "camera-2"}
    assert set(emulated.frames["fate"]) <= {"on_time", "late"}
    # A handshake comes first: one round trip of 50 ms, before the first byte of the payload.
    waited = (emulated.frames["send_start_ns"] - emulated.frames["encode_end_ns"]).min()
    assert 50e6 <= waited < 60e6


def run_of(scenario, policy, seed, *, valid):
    report = {
        "policy": policy,
        "seed": seed,
        "valid": valid,
        "reason": None if valid else "too late",
        "attempts": 3,
        "relay": {"realtime": True, "late_p99_ns": 9_000_000},
        "clients": {"camera": {"stand_in": True}},
        "load_after": [4.0, 3.0, 2.0],
        "cores": 2,
    }
    return Emulation(simulate(scenario, policy, seed), report)


def test_a_seed_with_an_invalid_run_is_left_out_for_every_policy(world, monkeypatch):
    scenario = world("seeds", [1, 2], "policies.wide", {"kind": "fixed", "width": 0.416})
    bad = ("wide", 1)
    monkeypatch.setattr(
        emulated_runs,
        "emulate",
        lambda scenario, policy, seed, *_: run_of(
            scenario, policy, seed, valid=(policy, seed) != bad
        ),
    )

    emulated = emulate_all(scenario, Options())

    assert [(rows.policy, rows.seed) for rows in emulated.rows] == [("narrow", 2), ("wide", 2)]
    assert [(rows.policy, rows.seed) for rows in emulated.invalid] == [("narrow", 1), ("wide", 1)]
    assert len(emulated.reports) == 4
    [said] = [text for text in emulated.warnings() if "invalid" in text]
    assert "wide on seed 1 is invalid after 3 tries: too late" in said


def test_without_any_valid_seed_there_is_no_result(world, monkeypatch, tmp_path):
    scenario = world()
    monkeypatch.setattr(
        emulated_runs,
        "emulate",
        lambda scenario, policy, seed, *_: run_of(scenario, policy, seed, valid=False),
    )

    with pytest.raises(EnvironmentLacks, match="no seed gave a valid run: narrow on seed 1"):
        run(scenario, tmp_path, emulation=Options())

    [folder] = tmp_path.iterdir()
    assert (folder / records.INCOMPLETE).exists()
