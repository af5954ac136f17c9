"""The simulated pipeline: worlds small enough to work out by hand, and laws that always hold."""

from __future__ import annotations

from itertools import pairwise

import pytest

from testbed.policies.fixed import Fixed
from testbed.simulate import simulate

MS = 1_000_000


def frames_of(scenario, policy="narrow", seed=1):
    return simulate(scenario, policy, seed).frames.to_pylist()


def test_one_frame_step_by_step(world):
    """Every instant of a frame follows from the one before by one term of the model."""
    scenario = world("duration_s", 0.1)
    rung = scenario.clients[0].ladder[0]

    (frame,) = frames_of(scenario)

    encode_ns = frame["encode_end_ns"] - frame["encode_start_ns"]
    transfer_ns = 73_728 * 8 * 50  # 20 Mbit/s is 50 ns a bit
    answer_ns = 400 * 8 * 50
    radio = scenario.clients[0].radio
    promotion_ns = frame["send_start_ns"] - frame["encode_end_ns"]
    assert frame["captured_ns"] == frame["encode_start_ns"] == 0
    assert encode_ns == pytest.approx(rung.encode_ns, rel=0.5)
    assert promotion_ns == round(radio.sheet.promotion.duration_s.value * 1e9)
    assert frame["sent_ns"] == frame["send_start_ns"] + transfer_ns
    assert frame["arrived_ns"] == frame["sent_ns"] + 25 * MS
    assert frame["batch_start_ns"] == frame["arrived_ns"]
    assert frame["decoded_ns"] == frame["batch_start_ns"] + rung.decode_ns
    assert frame["answered_ns"] == frame["decoded_ns"] + answer_ns + 25 * MS
    assert frame["payload_bytes"] == frame["wire_bytes"] == 73_728
    assert (frame["width"], frame["bits"], frame["mode"]) == (0.167, 8, "split")


def test_frames_are_captured_at_the_frame_rate_without_drift(world):
    """30 frames a second is not a whole number of nanoseconds; a minute of them still is 1800."""
    scenario = world("duration_s", 60, "clients.0.source.fps", 30)

    captured = [frame["captured_ns"] for frame in frames_of(scenario)]

    assert captured == [round(i * 1e9 / 30) for i in range(1800)]


def test_a_skipped_frame_costs_nothing(world):
    scenario = world(
        "clients.0.ladder.modes",
        ["split", "skip"],
        "policies.narrow",
        {"kind": "fixed", "mode": "skip"},
    )

    rows = simulate(scenario, "narrow", 1)

    assert set(rows.frames["fate"].to_pylist()) == {"skipped"}
    assert sum(rows.frames["payload_bytes"].to_pylist()) == 0
    assert rows.frames["encode_start_ns"].null_count == rows.frames.num_rows


def test_a_local_frame_never_meets_the_network(world):
    scenario = world(
        "clients.0.ladder.modes",
        ["split", "local"],
        "policies.narrow",
        {"kind": "fixed", "mode": "local"},
    )

    frames = frames_of(scenario)

    assert {frame["fate"] for frame in frames} == {"local"}
    assert all(frame["answered_ns"] == frame["encode_end_ns"] for frame in frames)
    assert all(frame["sent_ns"] is None for frame in frames)


def test_a_busy_encoder_drops_the_oldest_waiting_frame(world):
    """Five frames a second into an encoder that takes longer: the queue stays at its limit."""
    scenario = world(
        "clients.0.device",
        "raspberry-pi-4",
        "clients.0.source.fps",
        30,
        "clients.0.queue",
        {"limit": 2},
    )

    frames = frames_of(scenario)

    dropped = [f for f in frames if f["fate"] == "dropped_queue"]
    assert dropped
    assert all(f["encode_start_ns"] is None and f["width"] is None for f in dropped)
    filmed = [f for f in frames if f["encode_start_ns"] and f["captured_ns"] < 9_000 * MS]
    waited = [f["encode_start_ns"] - f["captured_ns"] for f in filmed]
    assert max(waited) <= 2e9 / 30 + 1  # the older of the two newest


def test_expired_frames_are_given_up_before_they_are_encoded(world):
    scenario = world(
        "clients.0.device",
        "raspberry-pi-4",
        "clients.0.source.fps",
        30,
        "clients.0.drop_expired",
        True,
        "clients.0.queue",
        {"limit": 20},
    )

    frames = frames_of(scenario)

    assert "dropped_deadline" in {f["fate"] for f in frames}
    late_starts = [
        f
        for f in frames
        if f["encode_start_ns"] and f["encode_start_ns"] > f["captured_ns"] + 300 * MS
    ]
    assert late_starts == []


def test_a_payload_that_does_not_fit_the_queue_is_dropped(world):
    scenario = world("network.uplink.queue_bytes", 100_000, "network.uplink.mbps", 1)

    frames = frames_of(scenario)

    assert [f["fate"] for f in frames].count("dropped_queue") > 10
    assert all(f["sent_ns"] is None for f in frames if f["fate"] == "dropped_queue")


def test_what_the_run_cuts_off_is_unfinished(world):
    """At 1 Mbit/s most payloads are still on their way at the end; they have no later instants."""
    scenario = world("network.uplink.mbps", 1)

    frames = frames_of(scenario)

    end_ns = 10_300 * MS
    unfinished = [f for f in frames if f["fate"] == "unfinished"]
    assert len(unfinished) > 20
    assert all(f["answered_ns"] is None for f in unfinished)
    instants = [v for f in frames for k, v in f.items() if k.endswith("_ns") and v is not None]
    assert max(instants) <= end_ns


def test_credibility_4_latency_does_not_flatten_after_saturation(world):
    """Offered 2.95 Mbit/s over 1 Mbit/s: each frame waits longer than the one before."""
    scenario = world("network.uplink.mbps", 1, "duration_s", 60)

    answered = [f for f in frames_of(scenario) if f["answered_ns"] is not None]

    latency = [f["answered_ns"] - f["captured_ns"] for f in answered]
    step_ns = 73_728 * 8 * 1000 - 200 * MS
    growth = [b - a for a, b in pairwise(latency[1:])]
    assert growth
    assert growth == [step_ns] * len(growth)


def test_staleness_is_the_age_of_the_newest_answer(world):
    frames = frames_of(world("duration_s", 3))

    for frame in frames:
        known = [
            f["captured_ns"]
            for f in frames
            if f["answered_ns"] is not None and f["answered_ns"] <= frame["captured_ns"]
        ]
        assert frame["stale_ns"] == (frame["captured_ns"] - max(known) if known else None)


@pytest.mark.parametrize("sharing", ["none", "fifo", "processor-sharing"])
def test_alone_it_makes_no_difference_how_a_cell_is_shared(world, sharing):
    """One client has the cell for itself."""
    alone = frames_of(world("network.uplink.sharing", "none"))

    assert frames_of(world("network.uplink.sharing", sharing)) == alone


def test_credibility_22_clients_of_a_cell_share_it_equally(world):
    """Two cameras in step: each transfer takes twice as long as alone, and both end together."""
    scenario = world("clients.0.count", 2, "duration_s", 0.1, "clients.0.device", "raspberry-pi-5")
    alone_ns = 73_728 * 8 * 50

    a, b = frames_of(scenario)

    first, second = sorted([a, b], key=lambda f: f["send_start_ns"])
    overlap_ns = first["sent_ns"] - second["send_start_ns"]
    head_start_ns = second["send_start_ns"] - first["send_start_ns"]
    assert first["sent_ns"] - first["send_start_ns"] == pytest.approx(
        head_start_ns + 2 * (alone_ns - head_start_ns), abs=100
    )
    assert overlap_ns > 0
    assert max(a["sent_ns"], b["sent_ns"]) == pytest.approx(
        first["send_start_ns"] + 2 * alone_ns, abs=100
    )


def test_credibility_20_another_client_changes_no_draw_of_the_first(world):
    """Clients have links of their own: what happens to the first does not change with a second."""
    options = ("network.uplink.sharing", "none", "clients.0.source.phase", "random")
    one = frames_of(world(*options))
    two = frames_of(world(*options, "clients.0.count", 2))

    first_of_two = [f for f in two if f["client"] == "camera"]
    assert [f["captured_ns"] for f in first_of_two] == [f["captured_ns"] for f in one]
    assert [f["encode_end_ns"] for f in first_of_two] == [f["encode_end_ns"] for f in one]
    assert {f["client"] for f in two} == {"camera", "camera-2"}
    assert first_of_two != [{**f, "client": "camera"} for f in two if f["client"] == "camera-2"]


def test_credibility_20_policies_meet_the_same_frames_and_noise(world):
    """Changing the policy changes neither the captures nor the relative noise of the encoder."""
    scenario = world(
        "policies.wide", {"kind": "fixed", "width": 0.416}, "clients.0.source.phase", "random"
    )
    narrow, wide = frames_of(scenario, "narrow"), frames_of(scenario, "wide")
    mean = {r.point.width: r.encode_ns for r in scenario.clients[0].ladder}

    def noise(frame):
        return (frame["encode_end_ns"] - frame["encode_start_ns"]) / mean[frame["width"]]

    assert [f["captured_ns"] for f in narrow] == [f["captured_ns"] for f in wide]
    assert [noise(f) for f in narrow] == pytest.approx([noise(f) for f in wide], rel=1e-6)


def test_another_seed_is_another_run(world):
    scenario = world("seeds", [1, 2], "clients.0.source.phase", "random")

    assert frames_of(scenario, seed=1) != frames_of(scenario, seed=2)


def test_credibility_17_unlimited_bandwidth_gives_the_best_point_not_the_widest(world):
    """With bandwidth to spare the policy takes α = 0.916, the best of the table, not α = 1."""
    scenario = world(
        "network.uplink.mbps",
        10_000,
        "clients.0.ladder.widths",
        "all",
        "policies.adaptive",
        {"kind": "goodput"},
    )

    widths = [f["width"] for f in frames_of(scenario, "adaptive")]

    assert set(widths[3:]) == {0.916}


def test_bytes_that_have_not_left_by_the_end_are_not_on_the_wire(world):
    """At 1 Mbit/s the link carries 125 kB a second and no more, whatever was handed over."""
    scenario = world("network.uplink.mbps", 1)

    wire = sum(frame["wire_bytes"] for frame in frames_of(scenario))

    assert 0.9 * 125_000 * 10.3 < wire <= 125_000 * 10.3


def test_a_policy_sees_its_own_backlog_only(world, monkeypatch):
    """Two clients in one queue: what the other has handed over is not this one's backlog."""
    seen = []
    choose = Fixed.choose

    def spy(self, observation, ladder):
        seen.append((observation.backlog_bytes, observation.outstanding))
        return choose(self, observation, ladder)

    monkeypatch.setattr(Fixed, "choose", spy)
    simulate(
        world("network.uplink.mbps", 1, "network.uplink.sharing", "fifo", "clients.0.count", 2),
        "narrow",
        1,
    )

    assert max(backlog for backlog, _ in seen) > 500_000
    assert all(backlog <= outstanding * 73_728 for backlog, outstanding in seen)
