"""Whatever the scenario: frames, bytes and joules are conserved."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from testbed.model import Fate
from testbed.simulate import simulate

LINKS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("constant"), "mbps": st.sampled_from([0.3, 2, 12.5, 400])}
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("replay"),
            "trace": st.sampled_from(["lte/drive-a.up", "lte/drive-a.down"]),
            "start_s": st.one_of(st.just("random"), st.floats(0, 300)),
        }
    ),
)
DIRECTIONS = st.builds(
    lambda link, delay, queue, sharing: {
        **link,
        "delay_ms": delay,
        "queue_bytes": queue,
        "sharing": sharing,
    },
    LINKS,
    st.sampled_from([0, 0.1, 25, 400]),
    st.one_of(st.none(), st.integers(500, 400_000)),
    st.sampled_from(["none", "fifo", "processor-sharing"]),
)
MODES = ["split", "skip", "local"]
BATTERIES = st.one_of(
    st.just([]),
    st.builds(
        lambda joules: ["clients.0.battery", {"capacity_wh": joules / 3600}], st.floats(0.001, 40)
    ),
)
AIRS = st.sampled_from([[], *(["clients.0.ambient_c", degrees] for degrees in (25, 60, 84))])
BODIES = st.one_of(
    st.builds(
        lambda device, battery, air: ["clients.0.device", device, *battery, *air],
        st.sampled_from(["raspberry-pi-4", "raspberry-pi-5", "phone-sd765g"]),
        BATTERIES,
        AIRS,
    ),
    st.builds(
        lambda mode, battery: [
            *("clients.0.device", "jetson-tx2"),
            *("clients.0.mode", mode),
            *battery,
        ],
        st.sampled_from(["maxn", "maxp", "maxq"]),
        BATTERIES,
    ),
)


@st.composite
def changes(draw):
    """Draw changes to the small world of the tests."""
    return [
        *("duration_s", draw(st.sampled_from([1, 4]))),
        *("deadline_ms", draw(st.sampled_from([1, 100, 1000]))),
        *("network.uplink", draw(DIRECTIONS)),
        *("network.downlink", draw(DIRECTIONS)),
        *("server.profile", draw(st.sampled_from(["t4-trt-int8", "t4-eager-amp", "cpu"]))),
        *("server.workers", draw(st.integers(1, 3))),
        *(
            "server.batch",
            {"max": draw(st.integers(1, 4)), "wait_ms": draw(st.sampled_from([0, 3]))},
        ),
        *("server.queue", {"limit": draw(st.integers(1, 5))}),
        *("server.drop_expired", draw(st.booleans())),
        *("clients.0.count", draw(st.integers(1, 4))),
        *draw(BODIES),
        *("clients.0.radio", draw(st.sampled_from(["lte-2012", "lte-2021", "wifi-modern"]))),
        *("clients.0.source", {"fps": draw(st.sampled_from([1, 7.5, 30])), "phase": "random"}),
        *("clients.0.ladder", {"widths": [0.167, 1.0], "modes": MODES}),
        *("clients.0.queue.limit", draw(st.integers(1, 5))),
        *("clients.0.queue.drop", draw(st.sampled_from(["newest", "oldest"]))),
        *("clients.0.drop_expired", draw(st.booleans())),
        *("policies.narrow", {"kind": draw(st.sampled_from(["random", "goodput"]))}),
    ]


@given(changes(), st.integers(0, 2**31))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a failing scenario is small as it is; shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_run_conserves_frames_bytes_and_joules(world, changes, seed):
    scenario = world(*changes)
    rows = simulate(scenario, "narrow", seed)
    frames, spans = rows.frames.to_pylist(), rows.energy.to_pylist()
    end_ns = scenario.spec.duration_ns + scenario.spec.deadline_ns
    clients = {frame["client"] for frame in frames}

    # Frames: each client captured what its camera should have, and every frame has one fate.
    expected = scenario.spec.clients[0].source.fps * scenario.spec.duration_s
    for client in clients:
        numbers = [frame["frame"] for frame in frames if frame["client"] == client]
        assert numbers == list(range(len(numbers)))
        assert abs(len(numbers) - expected) <= 1
    fates = Counter(frame["fate"] for frame in frames)
    assert sum(fates.values()) == len(frames)
    assert set(fates) <= {fate.value for fate in Fate}
    for frame in frames:
        _check_frame(frame, scenario.spec.deadline_ns, end_ns)

    # Bytes: whatever was offered to the uplink was sent, refused or is still on its way.
    offered, refused = rows.uplink_bytes
    handed = [frame for frame in frames if frame["encode_end_ns"] and frame["payload_bytes"]]
    sent = sum(frame["wire_bytes"] for frame in handed)
    assert sent <= offered - refused <= sum(frame["payload_bytes"] for frame in handed)

    # Joules: every component of every client is in one state at every instant of the run.
    for client in clients:
        for component in ("compute", "radio", "idle"):
            own = [s for s in spans if s["client"] == client and s["component"] == component]
            assert own[0]["start_ns"] == 0
            assert own[-1]["end_ns"] == end_ns
            assert all(a["end_ns"] == b["start_ns"] for a, b in pairwise(own))
            assert all(s["power_w"] >= 0 for s in own)
            joules = math.fsum(s["power_w"] * (s["end_ns"] - s["start_ns"]) * 1e-9 for s in own)
            assert math.isclose(joules, math.fsum(s["energy_j"] for s in own), rel_tol=1e-9)
        busy = math.fsum(
            s["energy_j"] for s in spans if s["client"] == client and s["state"] == "busy"
        )
        booked = math.fsum(f["encode_j"] for f in frames if f["client"] == client)
        assert math.isclose(busy, booked, rel_tol=1e-9, abs_tol=1e-12)
        _check_battery(scenario, client, frames, spans)

    # Every wake-up was asked for. In one queue for all a radio may fall asleep behind the others.
    links = (scenario.spec.network.uplink, scenario.spec.network.downlink)
    if len(clients) == 1 or all(link.sharing != "fifo" for link in links):
        assert all(counts.unannounced == 0 for counts in rows.radios.values())


def _check_battery(scenario, client, frames, spans):
    """A battery gives no more than it has; what is left falls; off means off, and for good."""
    battery = scenario.spec.clients[0].battery
    own = [span for span in spans if span["client"] == client]
    left = [frame["battery_j"] for frame in frames if frame["client"] == client]
    if battery is None:
        assert set(left) == {None}
        assert all(span["state"] == "on" for span in own if span["component"] == "idle")
        return
    sheet = scenario.clients[0].device.sheet.battery
    full_j = battery.capacity_wh * 3600
    usable_j = full_j * (1 - (sheet.cutoff.value if sheet else 0))
    assert left == sorted(left, reverse=True)
    assert 0 <= left[-1] <= left[0] <= full_j * (1 + 1e-9)
    drawn_j = math.fsum(span["energy_j"] for span in own)
    # A transfer in a cell is priced when it ends, so one may be under way unpaid.
    shared = scenario.spec.network.uplink.sharing == "processor-sharing"
    unpaid_j = 5.0 * 5.0 if shared and scenario.spec.clients[0].count > 1 else 0.0
    assert drawn_j <= usable_j * (1 + 1e-9) + unpaid_j
    stops = {
        span["start_ns"] for span in own if span["component"] == "idle" and span["state"] == "off"
    }
    for stop_ns in stops:
        assert drawn_j >= usable_j - 0.1
        assert all(s["power_w"] == 0 for s in own if s["start_ns"] >= stop_ns)
        assert all(s["end_ns"] <= stop_ns for s in own if s["power_w"] > 0)


def _check_frame(frame, deadline_ns, end_ns):
    """Instants come in order, exist up to where the frame got, and agree with its fate."""
    fate = frame["fate"]
    passed = [
        frame[name]
        for name in (
            "captured_ns",
            "encode_start_ns",
            "encode_end_ns",
            "send_start_ns",
            "sent_ns",
            "arrived_ns",
            "batch_start_ns",
            "decoded_ns",
            "answered_ns",
        )
    ]
    reached = [instant for instant in passed if instant is not None]
    assert reached == sorted(reached)
    assert reached[-1] <= end_ns
    if fate == "local":
        assert frame["answered_ns"] == frame["encode_end_ns"]
    elif fate in ("on_time", "late"):
        assert None not in passed
        assert (frame["answered_ns"] - frame["captured_ns"] <= deadline_ns) == (fate == "on_time")
    else:
        assert frame["answered_ns"] is None
    if fate == "skipped":
        assert frame["mode"] == "skip"
        assert frame["encode_start_ns"] is None
    assert frame["encode_j"] >= 0
    assert frame["radio_j"] >= 0
    assert np.isfinite(frame["radio_j"])
