"""A rehearsal finds out what a machine adds, whatever that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from testbed.devices.hosts import HostTimes
from testbed.emulate.decoding_live import Network
from testbed.emulate.engine import Emulation, Options
from testbed.emulate.packetlog import DOWNLINK, PASSED, UPLINK, PacketLog
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.model import Mode
from testbed.simulate import simulate
from testbed.validate import calibrate
from testbed.validate.calibrate import calibrated, lognormal, retimed

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


def test_a_lognormal_has_the_median_and_the_nine_tenths_of_the_times_that_it_is_made_of():
    drawn = np.random.default_rng(1).lognormal(0.3, 0.2, 20_000)

    mean, cv = lognormal(drawn)

    assert mean == pytest.approx(np.exp(0.3 + 0.2**2 / 2), rel=0.01)
    assert cv == pytest.approx(np.sqrt(np.expm1(0.2**2)), rel=0.03)
    with_a_stall = np.append(drawn[:99], 1000.0)
    assert lognormal(with_a_stall)[0] < 1.1 * mean
    assert lognormal(np.array([5.0, 5.0, 5.0])) == (5.0, 0.0)


def test_the_simulator_gets_the_times_and_the_sizes_of_a_live_network(world, monkeypatch):
    monkeypatch.setattr(calibrate, "_refuse_widths", lambda *_: None)
    scenario = world("network.transport", TCP, "duration_s", 30, "policies.any", {"kind": "random"})
    hosts = replace(HostTimes(downlink_ns=300_000), decode_cv=0.1)

    def run(played, policy, seed, options):
        """A network that makes 9 kB in 11 ms and reads them in 4 ms."""
        client = played.clients[0]
        rungs = tuple(
            replace(rung, payload_bytes=9000, encode_ns=11_000_000, decode_ns=4_000_000)
            for rung in client.ladder
        )
        real = replace(client, ladder=calibrate.Ladder(rungs))
        real = calibrate._with_device(real.device, [0.05]), real
        device, client = real
        server = calibrate._with_server(played.server, "any", rungs[0])
        told = replace(
            played, hosts=replace(hosts, frame_bytes=67), server=server,
            clients=(replace(client, device=device),),
        )  # fmt: skip
        return Emulation(simulate(told, policy, seed), {"valid": True, "attempts": 1})

    monkeypatch.setattr(calibrate, "emulate", run)

    found = calibrated(scenario, Options(network=Network("w")))

    for rung in found.clients[0].ladder:
        assert rung.point.mode is Mode.SPLIT
        assert rung.payload_bytes == 9000
        assert rung.encode_ns == pytest.approx(11e6, rel=0.03)
        assert rung.decode_ns == pytest.approx(4e6, rel=0.05)
    assert found.clients[0].device.jitter_cv == pytest.approx(0.05, rel=0.4)
    assert found.hosts.decode_cv == pytest.approx(0.1, rel=0.4)
    assert found.hosts.downlink_ns == pytest.approx(300_000, abs=2)
    assert (found.hosts.encode_ns, found.hosts.decode_ns) == (0, 0)
    assert "rehearsal" in found.warnings[-1]


def of_a_machine(scenario, encode_ms, decode_ms):
    """Return frames whose encoder and decoder take what is said, given a frame's number."""
    frames = simulate(scenario, next(iter(scenario.spec.policies)), 1).frames.to_pandas()
    for begin, end, took_ms in (
        ("encode_start_ns", "encode_end_ns", encode_ms),
        ("batch_start_ns", "decoded_ns", decode_ms),
    ):
        frames[end] = frames[begin] + (1e6 * frames["frame"].map(took_ms)).astype("int64")
    return frames


def test_the_times_are_those_of_the_frames_that_are_not_compared(world):
    scenario = world("duration_s", 12)
    odd = of_a_machine(
        scenario, lambda n: 7.0 if n % 2 else 900.0, lambda n: 3.0 if n % 2 else 900.0
    )

    [client] = retimed(scenario, odd).clients

    taken = {rung.point.width: (rung.encode_ns, rung.decode_ns) for rung in client.ladder}
    assert taken[0.167] == (7_000_000, 3_000_000)
    assert [taken[rung.point.width] for rung in client.ladder if rung.point.width != 0.167] == [
        (rung.encode_ns, rung.decode_ns)
        for rung in scenario.clients[0].ladder
        if rung.point.width != 0.167
    ]


def test_a_few_frames_say_nothing_of_times(world):
    scenario = world("duration_s", 9)  # 45 frames

    assert retimed(scenario, of_a_machine(scenario, lambda _: 1.0, lambda _: 1.0)) is scenario


def test_a_width_that_the_network_does_not_have_is_refused_before_anything_runs(world, tmp_path):
    pytest.importorskip("torch")
    from testbed.detectors.configurations import find
    from testbed.detectors.split import build
    from testbed.detectors.weights import save

    save(build(find("tiny-d0-bw")), tmp_path / "tiny.safetensors")

    with pytest.raises(TestbedError, match=r"tiny-d0-bw has no width 0\.167; it has 0\.25"):
        calibrated(world(), Options(network=Network(str(tmp_path / "tiny.safetensors"))))
