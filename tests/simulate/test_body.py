"""What a device is besides its encoder, in the simulator: modes, batteries, heat, weights, DRX."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest

from testbed.catalog import find
from testbed.devices.profile import load_device, load_radio
from testbed.devices.weights import Residency, switch_cost
from testbed.model import NS_PER_MS as MS
from testbed.model import NS_PER_S as S
from testbed.policies.fixed import Fixed
from testbed.run import run
from testbed.simulate import simulate

PHONE = "phone-sd765g"
FIXED = "published/efficientdet-d2-fixed"


def frames_of(scenario, policy="narrow", seed=1):
    return simulate(scenario, policy, seed).frames.to_pylist()


def spans_of(scenario, component, client="camera"):
    rows = simulate(scenario, "narrow", 1).energy.to_pylist()
    return [row for row in rows if row["component"] == component and row["client"] == client]


def test_a_mode_of_the_device_sets_times_watts_and_idle_power(world):
    """The TX2's slow mode: its own rate, its own watts."""
    slow = world("clients.0.device", "jetson-tx2", "clients.0.mode", "maxq")
    profile = load_device(find("devices/devices", "jetson-tx2")).in_mode("maxq")

    (client,) = slow.clients
    rung = client.ladder[0]
    busy = [row for row in spans_of(slow, "compute") if row["state"] == "busy"]
    assert rung.encode_ns == profile.encode_ns(rung.device_mac)
    assert {row["power_w"] for row in busy} == {profile.compute_w}


def test_a_loaded_runtime_waits_at_its_own_power(world):
    scenario = world("clients.0.device", "jetson-tx2")
    device = scenario.clients[0].device

    rows = spans_of(scenario, "compute")

    assert device.waiting_w > 0
    assert {row["state"] for row in rows} == {"busy", "waiting"}
    assert {row["power_w"] for row in rows if row["state"] == "waiting"} == {device.waiting_w}


def test_an_answer_waits_for_the_next_on_duration(world):
    """On lte-2021 the radio listens for 0.2 s, then once in 0.32 s."""
    scenario = world(
        *("duration_s", 0.1),
        *("deadline_ms", 2000),
        *("network.uplink.delay_ms", 300),  # the answer is ready more than 0.2 s after the upload
    )
    tail = load_radio(find("devices/radios", "lte-2021")).sheet.tail
    inactivity_ns, cycle_ns = (
        round(seconds.value * 1e9) for seconds in (tail[0].duration_s, tail[1].cycle_s)
    )

    (frame,) = frames_of(scenario)

    reaches_ns, begins_ns = frame["decoded_ns"] + 25 * MS, frame["answered_ns"] - 400 * 8 * 50
    assert reaches_ns - frame["sent_ns"] > inactivity_ns
    assert reaches_ns < begins_ns < reaches_ns + cycle_ns
    assert (begins_ns - frame["sent_ns"] - inactivity_ns) % cycle_ns == 0


def test_an_answer_to_a_radio_that_listens_does_not_wait(world):
    (frame,) = frames_of(world("duration_s", 0.1))

    assert frame["answered_ns"] == frame["decoded_ns"] + 400 * 8 * 50 + 25 * MS


@pytest.mark.parametrize("transport", ["ideal", "tcp"])
def test_a_radio_stays_awake_while_an_upload_lasts_whose_end_nobody_knows(world, transport):
    """Uploads longer than the whole tail, in a cell that two clients share: one promotion each."""
    scenario = world(
        *("duration_s", 60),
        *("clients.0.count", 2),
        *("clients.0.source", {"fps": 0.1, "phase": 0}),
        *("clients.0.radio", "wifi-2012"),
        *("network.uplink.mbps", 0.1),
        *("network.transport", {"kind": transport}),
        *("deadline_ms", 60_000),
    )

    rows = simulate(scenario, "narrow", 1)

    radio = [
        (row["state"], row["end_ns"] - row["start_ns"])
        for row in rows.energy.to_pylist()
        if row["component"] == "radio" and row["client"] == "camera"
    ]
    assert rows.radios["wifi-2012"].unannounced == 0
    first = next(place for place, (state, _) in enumerate(radio) if state == "connected")
    assert radio[first][1] > 10 * S
    assert [state for state, _ in radio].count("promotion") <= 1


def on_battery(world, *changes, **battery):
    return world("clients.0.device", PHONE, "clients.0.battery", battery, *changes)


def test_a_client_stops_when_its_battery_is_empty(world):
    """Three joules above the cut-off: all of them are drawn, and nothing after that."""
    scenario = on_battery(world, capacity_wh=1, charge=0.02 + 3 / 3600)
    end_ns = scenario.spec.duration_ns + scenario.spec.deadline_ns

    rows = simulate(scenario, "narrow", 1)

    spans, frames = rows.energy.to_pylist(), rows.frames.to_pylist()
    drawn_j = math.fsum(row["energy_j"] for row in spans)
    assert 3 - 0.02 < drawn_j <= 3
    off = {row["component"]: row for row in spans if row["end_ns"] == end_ns}
    assert {row["state"] for row in off.values()} == {"off"}
    stop_ns = off["idle"]["start_ns"]
    late = [frame for frame in frames if frame["captured_ns"] > stop_ns]
    assert len(frames) == 50
    assert late
    assert {frame["fate"] for frame in late} == {"unfinished"}
    assert all(frame["encode_start_ns"] is None for frame in late)
    assert {frame["battery_j"] for frame in late} == {late[0]["battery_j"]}
    assert late[0]["battery_j"] == pytest.approx(0.02 * 3600, abs=0.02)
    for frame in frames:
        device = ("encode_start_ns", "encode_end_ns", "send_start_ns", "sent_ns", "answered_ns")
        assert all(frame[name] is None or frame[name] <= stop_ns for name in device)


def test_until_then_everything_is_as_on_mains(world):
    mains = frames_of(world("clients.0.device", PHONE))
    rows = simulate(on_battery(world, capacity_wh=1, charge=0.02 + 3 / 3600), "narrow", 1)
    battery = rows.frames.to_pylist()
    stop_ns = next(
        row["start_ns"]
        for row in rows.energy.to_pylist()
        if row["component"] == "idle" and row["state"] == "off"
    )

    done = [f for f in mains if f["answered_ns"] is not None and f["answered_ns"] < stop_ns]

    assert 5 < len(done) < 50
    for before, after in zip(done, battery, strict=False):
        assert after | {"battery_j": None} == before


def test_what_is_left_is_what_the_ledger_has_not_drawn(world):
    scenario = on_battery(world, charge=0.5)
    rows = simulate(scenario, "narrow", 1)
    spans = rows.energy.to_pylist()
    full_j = 5.16 * 3.85 * 3600

    for frame in rows.frames.to_pylist():
        at = frame["captured_ns"]
        drawn_j = math.fsum(
            row["power_w"] * (min(row["end_ns"], at) - row["start_ns"]) * 1e-9
            for row in spans
            if row["start_ns"] < at
        )
        assert frame["battery_j"] == pytest.approx(full_j / 2 - drawn_j, abs=1e-6)


def test_a_battery_that_is_empty_from_the_start_runs_nothing(world):
    rows = simulate(on_battery(world, charge=0.01), "narrow", 1)

    assert set(rows.frames["fate"].to_pylist()) == {"unfinished"}
    assert sum(rows.energy["energy_j"].to_pylist()) == 0


def test_policies_see_charge_and_temperature(world, monkeypatch):
    seen = []
    choose = Fixed.choose
    monkeypatch.setattr(
        Fixed,
        "choose",
        lambda self, observation, ladder: (
            seen.append(observation) or choose(self, observation, ladder)
        ),
    )

    simulate(on_battery(world, "clients.0.ambient_c", 30, charge=0.5), "narrow", 1)

    charges = [observation.battery for observation in seen]
    assert charges[0] == pytest.approx(0.5, abs=1e-3)
    assert charges == sorted(charges, reverse=True)
    assert all(observation.temperature_c > 30 for observation in seen)


def test_on_mains_and_in_no_air_policies_see_neither(world, monkeypatch):
    seen = []
    choose = Fixed.choose
    monkeypatch.setattr(
        Fixed,
        "choose",
        lambda self, observation, ladder: (
            seen.append(observation) or choose(self, observation, ladder)
        ),
    )

    frames = frames_of(world())

    assert {(o.battery, o.temperature_c) for o in seen} == {(None, None)}
    assert {(f["battery_j"], f["temperature_c"]) for f in frames} == {(None, None)}


def test_a_hot_device_is_slower_at_the_same_energy_per_frame(world):
    """At 85 °C a Pi 5 runs at its floor, 0.625: times are 1.6 times as long, joules the same."""
    cool, hot = frames_of(world()), frames_of(world("clients.0.ambient_c", 84))

    for one, other in zip(cool, hot, strict=True):
        times = [frame["encode_end_ns"] - frame["encode_start_ns"] for frame in (one, other)]
        assert times[1] / times[0] == pytest.approx(1.6, rel=1e-6)
        assert other["encode_j"] == pytest.approx(one["encode_j"], rel=1e-6)
        assert other["temperature_c"] > 85


def test_a_device_begins_as_warm_as_it_gets_while_it_waits(world):
    """A Pi 5 at 25 °C that draws 2.6 W over 5 K/W."""
    first, *_, last = frames_of(world("clients.0.ambient_c", 25))

    assert first["temperature_c"] == pytest.approx(25 + 2.6 * 5)
    assert last["temperature_c"] > first["temperature_c"]


@pytest.mark.parametrize("residency", ["dram", "storage"])
def test_a_change_of_width_waits_for_other_weights(world, residency):
    """Only the first frame after a change waits, for as long and at the joules that it costs."""
    changes = [
        *("clients.0.detector", FIXED),
        *("clients.0.ladder.widths", [0.25, 1.0]),
        *("clients.0.source.fps", 2),
        *("policies.narrow", {"kind": "random"}),
        *("network.uplink.mbps", 1000),
    ]
    free = frames_of(world(*changes))
    weights = {"residency": residency, "set_mb": 20}
    loaded = frames_of(world(*changes, "clients.0.weights", weights))
    sheet = load_device(find("devices/devices", "raspberry-pi-5")).sheet.weights
    cost = switch_cost(20_000_000, Residency(residency), sheet)

    widths = [frame["width"] for frame in loaded]
    switched = [False, *(a != b for a, b in pairwise(widths))]
    assert widths == [frame["width"] for frame in free]
    assert 0 < sum(switched) < len(switched) - 1
    for one, other, switch in zip(free, loaded, switched, strict=True):
        extra = (other["encode_end_ns"] - other["encode_start_ns"]) - (
            one["encode_end_ns"] - one["encode_start_ns"]
        )
        assert extra == cost.ns * switch
        joules = other["encode_j"] - one["encode_j"]
        assert joules == pytest.approx(cost.joules * switch, abs=1e-9)


def point(width, **figures):
    """Return a measured point as a device file has it."""
    entries = {
        key: {"value": value, "kind": "measured", "source": "this test"}
        for key, value in {"width": width, **figures}.items()
    }
    return {"detector": "published/efficientdet-d2-bw", **entries}


def profile_with(tmp_path, shelf, name, *points):
    """Return the path of a profile of the catalogue with measured points."""
    text = find(shelf, name).read_text(encoding="utf-8")
    file = tmp_path / f"{name}-measured.yaml"
    file.write_text(f"{text}\npoints: {json.dumps(points)}\n", encoding="utf-8")
    return str(file)


def test_a_measured_time_power_and_jitter_go_before_the_rate(world, tmp_path):
    measured = point(0.167, time_s=0.2, active_w=5.0, jitter_cv=0.0)
    device = profile_with(tmp_path, "devices/devices", "raspberry-pi-5", measured)
    scenario = world("clients.0.device", device, "clients.0.source.fps", 1)

    frames = frames_of(scenario)

    assert {f["encode_end_ns"] - f["encode_start_ns"] for f in frames} == {200 * MS + 1}
    assert [f["encode_j"] for f in frames] == pytest.approx([0.2 * (5.0 - 2.6)] * 10)


def test_other_widths_still_go_by_the_rate(world, tmp_path):
    measured = point(1.0, time_s=0.2)
    device = profile_with(tmp_path, "devices/devices", "raspberry-pi-5", measured)

    assert frames_of(world("clients.0.device", device)) == frames_of(world())


def test_a_batch_of_measured_frames_lies_between_the_longest_and_all_of_them(world, tmp_path):
    """Four frames of 30 ms each: the rate says less for the four than for one, so it takes 30."""
    measured = point(0.167, time_s=0.03)
    server = profile_with(tmp_path, "devices/servers", "t4-trt-int8", measured)
    scenario = world(
        *("server", {"profile": server, "batch": {"max": 4, "wait_ms": 500}}),
        *("clients.0.count", 4),
        *("network.uplink.mbps", 1000),
        *("duration_s", 0.1),
        *("deadline_ms", 2000),
    )
    alone = world("server.profile", server)

    assert {f["decoded_ns"] - f["batch_start_ns"] for f in frames_of(alone)} == {30 * MS}
    assert {f["decoded_ns"] - f["batch_start_ns"] for f in frames_of(scenario)} == {30 * MS}


def test_what_a_radio_was_not_measured_for_is_a_warning_of_the_run(world, tmp_path):
    scenario = world("clients.0.radio", "lte-2012-aro", "network.uplink.mbps", 40)

    folder = run(scenario, tmp_path)

    warnings = json.loads((folder / "provenance.json").read_text())["warnings"]
    (said,) = [text for text in warnings if text.startswith("radio")]
    assert said == (
        "radio lte-2012-aro: 50 of 100 transfers (50.0 %) were at a rate outside the range its "
        "power was fitted on; it is cut off at the cap"
    )


def test_a_run_within_the_figures_of_its_radio_has_no_such_warning(world, tmp_path):
    folder = run(world(), tmp_path)

    warnings = json.loads((folder / "provenance.json").read_text())["warnings"]
    assert not [text for text in warnings if text.startswith("radio")]
