"""What a measured machine adds to a simulated frame, stage by stage."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from testbed.devices.hosts import HostTimes, Taken
from testbed.simulate import simulate
from testbed.validate.stages import STAGES, durations_ns

US, MS = 1000, 1_000_000
TIMES = {f.name.removesuffix("_ns") for f in fields(HostTimes) if f.name.endswith("_ns")}
CHANGES = ("duration_s", 2, "network.transport", {"kind": "tcp", "host_ms": 0})


def frames(scenario, **hosts):
    return simulate(replace(scenario, hosts=HostTimes(**hosts)), "narrow", 1).frames.to_pandas()


@pytest.mark.parametrize("stage", sorted(TIMES - {"access", "round"}))
def test_each_time_lengthens_its_own_stage_and_no_other(world, stage):
    scenario = world(*CHANGES)

    bare, told = frames(scenario), frames(scenario, **{f"{stage}_ns": 700 * US})

    for name in set(STAGES) - {"uplink", "total"}:
        # Where a transfer begins the link says, which an application does not see.
        grown = durations_ns(told, name) - durations_ns(bare, name)
        expected = 700 * US if name == stage else 0
        np.testing.assert_allclose(grown, expected, atol=1, err_msg=name)
    total = durations_ns(told, "total") - durations_ns(bare, "total")
    np.testing.assert_allclose(total, 700 * US, atol=1)


def test_what_comes_before_the_link_is_lost_in_its_gaps_or_misses_an_opportunity(world, tmp_path):
    trace = tmp_path / "slow.up"
    trace.write_text("".join(f"{ms}\n" for ms in range(10, 5001, 10)))
    link = {"kind": "replay", "trace": str(trace), "start_s": 0, "delay_ms": 0}
    scenario = world(*CHANGES, "network.uplink", link, "clients.0.source.fps", 1)

    bare, told = frames(scenario), frames(scenario, access_ns=700 * US)

    later = durations_ns(told, "transfer") - durations_ns(bare, "transfer")
    assert len(later) == 2
    handed_ns = bare["send_start_ns"].to_numpy(np.int64)
    missed = handed_ns // 10_000_000 != (handed_ns + 700 * US) // 10_000_000
    np.testing.assert_array_equal(later, np.where(missed, 10_000_000, 0))
    assert (told["send_start_ns"] == bare["send_start_ns"]).all()


def test_a_round_trip_counts_where_the_window_is_too_small_and_nowhere_else(world):
    open_window = {"kind": "tcp", "host_ms": 0, "idle_restart": False}
    scenario = world("duration_s", 5, "clients.0.source.fps", 1, "network.transport", open_window)

    bare, told = frames(scenario), frames(scenario, round_ns=700 * US)

    later = durations_ns(told, "transfer") - durations_ns(bare, "transfer")
    assert later[0] > 0
    assert later[0] % (700 * US) == 0
    assert later[-1] == 0


def test_the_protocols_bytes_cross_the_link_and_are_no_payload(world):
    scenario = world(*CHANGES)  # 20 Mbit/s: 0.4 microseconds a byte

    bare, told = frames(scenario), frames(scenario, frame_bytes=1000)

    assert (told["payload_bytes"] == bare["payload_bytes"]).all()
    more = told["wire_bytes"] - bare["wire_bytes"]
    assert (more[3:] == 1000 + 52).all()  # one segment more, once the window is open
    longer = durations_ns(told, "uplink") - durations_ns(bare, "uplink")
    np.testing.assert_allclose(longer[3:], (1000 + 52) * 400, atol=1)


def test_a_network_takes_what_it_took_frame_by_frame_and_not_what_profiles_say(world):
    scenario = world(*CHANGES)
    point = scenario.clients[0].ladder.rungs[0].point
    taken = Taken((1, 3, 4), (9 * MS, 7 * MS, 8 * MS), (5 * MS, 2 * MS, 3 * MS), (900, 700, 800))
    other = {("wide", 1, "camera"): {point: taken}, ("narrow", 2, "camera"): {point: taken}}

    told = replace(scenario, live={**other, ("narrow", 1, "camera"): {point: taken}})
    rows = simulate(told, "narrow", 1).frames.to_pandas()

    latest = [0, 0, 0, 1, 2] + [2] * (len(rows) - 5)
    for stage, took_ns in (("encode", taken.encode_ns), ("decode", taken.decode_ns)):
        assert durations_ns(rows, stage).tolist() == [took_ns[at] for at in latest]
    assert rows["payload_bytes"].tolist() == [taken.payload_bytes[at] for at in latest]
    watts = scenario.clients[0].device.compute_w
    joules = watts * durations_ns(rows, "encode") / 1e9
    np.testing.assert_allclose(rows["encode_j"], joules)
    assert frames(replace(scenario, live=other)).equals(frames(scenario))


def test_points_at_which_no_network_was_run_keep_their_profile(world):
    scenario = world(*CHANGES)
    wide = scenario.clients[0].ladder.rungs[-1].point
    live = {("narrow", 1, "camera"): {wide: Taken((0,), (9 * MS,), (5 * MS,), (900,))}}

    assert frames(replace(scenario, live=live)).equals(frames(scenario))
