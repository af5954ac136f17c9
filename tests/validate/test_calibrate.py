"""A rehearsal finds out what a machine adds, whatever that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.devices.hosts import HostTimes, Taken
from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Emulation, Options
from testbed.emulate.packetlog import DOWNLINK, PASSED, UPLINK, PacketLog
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.simulate import simulate
from testbed.validate import calibrate
from testbed.validate.calibrate import calibrated, retimed

TRUE = HostTimes(90_000, 70_000, 180_000, 155_000, 390_000, 120_000, 210_000, 50_000, 430_000)
"""Of the round trip 60 and 90 us are the relay's, and twice 120 us the hosts'."""
TCP = {"kind": "tcp", "idle_restart": False}


@pytest.fixture
def machine(monkeypatch):
    """Let a simulator with `TRUE` host times stand for the machine; return what was rehearsed."""
    seen = []

    def run(scenario, policy, seed, options):
        seen.append(scenario)
        transport = scenario.spec.network.transport.model_dump()
        if transport["kind"] == "tcp":
            assert (transport["connection"], transport["idle_restart"]) == ("long", False)
        told = replace(scenario, hosts=replace(calibrate._framing(scenario), **times(TRUE)))
        rows = simulate(told, policy, seed)
        assert not options.captures
        log = PacketLog(options.log / f"{policy}-{seed}-2.packets", {})
        back_ns = scenario.spec.network.downlink.delay_ns + 90_000
        for handed_ns in rows.frames["send_start_ns"].to_pylist():
            for size_bytes, after_ns in ((52, 0), (1500, TRUE.access_ns), (1500, 400_000)):
                came_ns = handed_ns + after_ns
                due_ns = came_ns + 30_000_000
                log.add(UPLINK, PASSED, 0, size_bytes, came_ns, due_ns, due_ns + 60_000)
            acked_ns = due_ns + 60_000 + 120_000
            log.add(DOWNLINK, PASSED, 0, 52, acked_ns, acked_ns, acked_ns + back_ns)
        log.close()
        return Emulation(rows, {"valid": True, "attempts": 2})

    monkeypatch.setattr(calibrate, "emulate", run)
    return seen


def times(hosts):
    return {name: value for name, value in vars(hosts).items() if name.endswith("_ns")}


@pytest.mark.parametrize("connection", ["long", "per_frame"])
def test_the_times_of_the_machine_are_found_to_the_nanosecond(world, machine, connection):
    scenario = world("network.transport", TCP | {"connection": connection}, "duration_s", 3)

    found = calibrated(scenario, Options()).hosts

    for name, value in times(TRUE).items():
        assert getattr(found, name) == pytest.approx(value, abs=2), name
    opening = 36 + 50 + len("camera") + len("published/efficientdet-d2-bw")
    assert found.frame_bytes == 67 + (opening if connection == "per_frame" else 0)


def test_a_rehearsal_is_one_point_at_the_same_cadence_on_links_of_the_mean_rate(world, machine):
    up = {"kind": "replay", "trace": "lte/static-a.up", "delay_ms": 40}
    scenario = world(
        "network.uplink", up, "seeds", [7, 8], "duration_s", 50, "policies.any", {"kind": "random"}
    )

    calibrated(scenario, Options())

    points = [rung.point for rung in scenario.clients[0].ladder]
    assert [calibrate.Fixed(**_options(s)).point for s in machine] == points
    for played in machine:
        spec = played.spec
        assert spec.seeds == (7,)
        assert spec.clients == scenario.spec.clients
        assert spec.duration_ns >= 24 * 1e9 / 5
        link = spec.network.uplink.model_dump()
        assert (link["kind"], spec.network.uplink.delay_ns) == ("constant", 40_000_000)
    rates = [played.spec.network.uplink.model_dump()["mbps"] for played in machine]
    assert 2 < rates[0] <= rates[-1]
    assert rates[-1] == pytest.approx(
        2 * 8e-6 * 5 * scenario.clients[0].ladder.rungs[-1].payload_bytes
    )


def test_a_point_that_no_fixed_policy_chooses_is_not_rehearsed(world, machine):
    wide = {"kind": "fixed", "width": 0.416}

    calibrated(world("policies.wide", wide), Options())

    assert [_options(played)["width"] for played in machine] == [0.167, 0.416]


def _options(played):
    options = played.spec.policies["rehearsal"].model_dump()
    return {name: options[name] for name in ("width", "bits", "codec", "mode")}


def test_without_a_rehearsal_in_time_there_is_no_validation(world, monkeypatch):
    late = Emulation(None, {"valid": False, "reason": "packets were late"})
    monkeypatch.setattr(calibrate, "emulate", lambda *_: late)

    with pytest.raises(EnvironmentLacks, match=r"rehearsal of .*: packets were late"):
        calibrated(world(), Options())


def network(scenario, policies, seeds=(1,)):
    """Return what a network takes that makes 9 to 10 kB in 11 to 15 ms and reads them in 4 to 8."""
    numbers = range(10_000)
    taken = Taken(
        tuple(numbers),
        tuple(11_000_000 + number % 7 * 600_000 for number in numbers),
        tuple(4_000_000 + number % 5 * 900_000 for number in numbers),
        tuple(9000 + number % 3 * 500 for number in numbers),
    )
    points = {rung.point: taken for rung in scenario.clients[0].ladder}
    return {
        (policy, seed, name): points
        for policy in policies
        for seed in seeds
        for name in scenario.clients[0].spec.names
    }


def took(frame):
    """Return encoder, decoder and payload of a frame of `network`."""
    return (
        11_000_000 + frame % 7 * 600_000,
        4_000_000 + frame % 5 * 900_000,
        9000 + frame % 3 * 500,
    )


@pytest.fixture
def live(monkeypatch):
    """Let a simulator of `network` stand for the machine, with some host times."""
    monkeypatch.setattr(calibrate, "_refuse_widths", lambda *_: None)

    def run(played, policy, seed, options):
        told = replace(
            played,
            hosts=HostTimes(downlink_ns=300_000, transfer_ns=90_000, frame_bytes=67),
            live=network(played, [policy], [seed]),
        )
        return Emulation(simulate(told, policy, seed), {"valid": True, "attempts": 1})

    monkeypatch.setattr(calibrate, "emulate", run)
    return run


def test_a_network_that_was_rehearsed_takes_what_it_took_there_from_seed_to_seed(world, live):
    scenario = world(
        "network.transport", TCP, "duration_s", 30, "policies.any", {"kind": "random"},
        "seeds", [1, 2],
    )  # fmt: skip

    found = calibrated(scenario, Options(network=Network("w")))

    for rung in scenario.clients[0].ladder:
        for number, seed in enumerate((1, 2)):
            taken = found.live["any", seed, "camera"][rung.point]
            for frame in range(0, 150, 11):
                there = taken.rung(rung, frame)
                expected = took((frame + 150 * number) % 200)  # of 40 s, at five a second
                assert (there.encode_ns, there.decode_ns, there.payload_bytes) == expected
    assert found.hosts.downlink_ns == pytest.approx(300_000, abs=2)
    assert found.hosts.transfer_ns == pytest.approx(90_000, abs=2)
    assert (found.hosts.encode_ns, found.hosts.decode_ns) == (0, 0)
    assert [client.ladder for client in found.clients] == [c.ladder for c in scenario.clients]
    assert "rehearsal" in found.warnings[-1]


def test_a_simulator_that_is_told_what_a_network_took_says_what_was_emulated(world, live):
    scenario = world("network.transport", TCP, "duration_s", 30)
    [policy] = scenario.spec.policies
    emulated = live(scenario, policy, 1, Options()).rows.frames.to_pandas()

    told = calibrated(scenario, Options(network=Network("w")))
    ours = simulate(replace(told, live=network(scenario, [policy])), policy, 1).frames.to_pandas()

    for name in ("encode_end_ns", "arrived_ns", "decoded_ns", "answered_ns"):
        assert (ours[name] - emulated[name]).abs().max() <= 3, name
    assert ours["payload_bytes"].tolist() == [took(frame)[2] for frame in ours["frame"]]


def test_a_rehearsal_whose_frames_nobody_decodes_says_so(world, live, monkeypatch):
    def run(*arguments):
        done = live(*arguments)
        frames = done.rows.frames.to_pandas()
        frames["decoded_ns"] = None
        rows = replace(done.rows, frames=done.rows.frames.from_pandas(frames))
        return replace(done, rows=rows)

    monkeypatch.setattr(calibrate, "emulate", run)

    with pytest.raises(EnvironmentLacks, match="no frame of camera was decoded"):
        calibrated(world("network.transport", TCP), Options(network=Network("w")))


def of_a_machine(scenario, encode_ms, decode_ms):
    """Return frames whose encoder and decoder take what is said, given a frame's number."""
    frames = simulate(scenario, next(iter(scenario.spec.policies)), 1).frames.to_pandas()
    for begin, end, took_ms in (
        ("encode_start_ns", "encode_end_ns", encode_ms),
        ("batch_start_ns", "decoded_ns", decode_ms),
    ):
        frames[end] = frames[begin] + (1e6 * frames["frame"].map(took_ms)).astype("int64")
    return frames.assign(
        policy=next(iter(scenario.spec.policies)), seed=1, payload_bytes=5000 + frames["frame"]
    )


def test_a_frame_takes_what_the_one_before_it_took_that_is_not_compared(world):
    scenario = world("duration_s", 12)
    [policy] = scenario.spec.policies
    odd = of_a_machine(
        scenario, lambda n: 7.0 + n if n % 2 else 900.0, lambda n: 3.0 + n if n % 2 else 900.0
    )

    [(key, points)] = retimed(scenario, odd[odd["frame"] % 2 == 1]).live.items()

    assert key == (policy, 1, "camera")
    [(point, taken)] = points.items()
    rung = scenario.clients[0].ladder.at(point)
    for frame, by in ((0, 1), (1, 1), (2, 1), (3, 3), (40, 39), (59, 59)):
        there = taken.rung(rung, frame)
        assert there.encode_ns == (7 + by) * 1_000_000
        assert there.decode_ns == (3 + by) * 1_000_000
        assert there.payload_bytes == 5000 + by
        assert replace(there, encode_ns=0, decode_ns=0, payload_bytes=0) == replace(
            rung, encode_ns=0, decode_ns=0, payload_bytes=0
        )


def test_of_a_point_with_few_frames_the_rehearsal_counts(world):
    scenario = world("duration_s", 9)  # 45 frames
    [policy] = scenario.spec.policies
    rehearsed = replace(scenario, live=network(scenario, [policy]))

    frames = of_a_machine(scenario, lambda _: 1.0, lambda _: 1.0)
    told = retimed(rehearsed, frames[frames["frame"] % 2 == 1])

    assert told.live == rehearsed.live
    [taken] = retimed(scenario, frames, 1).live[policy, 1, "camera"].values()
    assert taken.encode_ns == (1_000_000,) * 45


def test_a_width_that_the_network_does_not_have_is_refused_before_anything_runs(world, tmp_path):
    pytest.importorskip("torch")
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    save(build(find("tiny-d0-bw")), tmp_path / "tiny.safetensors")

    with pytest.raises(TestbedError, match=r"tiny-d0-bw has no width 0\.167; it has 0\.25"):
        calibrated(world(), Options(network=Network(str(tmp_path / "tiny.safetensors"))))
