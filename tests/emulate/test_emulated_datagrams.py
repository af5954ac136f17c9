"""The `datagram` transport end to end over the kernel's network, held against the simulator."""

from __future__ import annotations

from collections import Counter

import pytest
from realtime import measured

from testbed.emulate.engine import Options, emulate
from testbed.emulate.run import emulate_all, refuse_inimitable
from testbed.errors import TestbedError
from testbed.simulate import simulate

BASE = (
    "clients.0.device", "jetson-xavier-nx",
    "duration_s", 3,
    "deadline_ms", 400,
    "clients.0.source.fps", 5,
)  # fmt: skip


def both(world, *changes):
    """Frames of both engines, in their order.

    What a busy machine makes late by some milliseconds is compared all the same: the fates here are
    decided by tens of them.
    """
    scenario = world(*BASE, *changes)
    simulated = simulate(scenario, "narrow", 1).frames.to_pandas()
    emulated = emulate(scenario, "narrow", 1, Options(tries=1)).rows.frames.to_pandas()
    return simulated, emulated


def fates(frames):
    return [str(fate) for fate in frames["fate"]]


@measured
@pytest.mark.root
def test_without_losses_every_frame_has_the_simulators_fate(world):
    simulated, emulated = both(world, "network.transport", {"kind": "datagram"})

    assert fates(emulated) == fates(simulated)
    assert set(fates(emulated)) == {"on_time"}
    assert (emulated["wire_bytes"] == 73_728 + 40 * 53).all()
    apart_ns = emulated["answered_ns"].to_numpy(float) - simulated["answered_ns"].to_numpy(float)
    assert abs(apart_ns).max() < 30e6


@measured
@pytest.mark.root
@pytest.mark.parametrize("busy", ["queue", "newest", "preempt", "drop"])
def test_what_a_slow_link_gives_up_is_what_the_simulator_gives_up(world, busy):
    slow = {"kind": "constant", "mbps": 2.2, "delay_ms": 25}
    simulated, emulated = both(
        world,
        "network.uplink", slow,
        "network.transport", {"kind": "datagram", "busy": busy},
    )  # fmt: skip

    assert fates(emulated) == fates(simulated)
    assert set(fates(emulated)) != {"on_time"}
    assert list(emulated["wire_bytes"]) == pytest.approx(
        list(simulated["wire_bytes"]), abs=2 * 1440
    )


@measured
@pytest.mark.root
def test_tokens_hold_frames_back_as_in_the_simulator(world):
    simulated, emulated = both(
        world,
        "network.uplink.delay_ms", 150,
        "network.transport", {"kind": "datagram", "tokens": 1, "busy": "newest"},
    )  # fmt: skip

    assert fates(emulated) == fates(simulated)
    assert len(set(fates(emulated))) > 1


@measured
@pytest.mark.root
def test_under_loss_as_many_frames_are_lost_as_in_the_simulator(world):
    # The same draws for the same packets in the same order: only what is given up can differ.
    simulated, emulated = both(
        world,
        "network.uplink",
        {"kind": "loss", "rate": 0.01, "link": {"kind": "constant", "mbps": 10}, "delay_ms": 25},
        "network.transport", {"kind": "datagram"},
    )  # fmt: skip

    ours, theirs = Counter(fates(emulated)), Counter(fates(simulated))
    assert theirs["lost"] > 2
    assert abs(ours["lost"] - theirs["lost"]) <= 1
    assert abs(ours["on_time"] - theirs["on_time"]) <= 1


@pytest.mark.parametrize(
    ("transport", "says"),
    [
        ({"header_bytes": 28}, "header_bytes: 28; real ones .* are 40 at least"),
        ({"packet_bytes": 1461}, "packets of 1501 bytes .*packet_bytes=1460"),
        ({"packet_bytes": 10}, "packet_bytes: 10; emulated are 64 at least"),
    ],
)
def test_packets_that_a_kernel_does_not_have_are_refused(world, transport, says):
    with pytest.raises(TestbedError, match=says):
        refuse_inimitable(world("network.transport", {"kind": "datagram", **transport}))


def test_datagrams_over_a_shared_uplink_are_refused(world):
    scenario = world(
        "network.transport", {"kind": "datagram"},
        "clients.0.count", 2, "network.uplink.sharing", "fifo",
    )  # fmt: skip
    with pytest.raises(TestbedError, match="datagrams of 2 clients over one uplink"):
        refuse_inimitable(scenario)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(server=("localhost", 7070)), "with --server"),
        (Options(backend="pacing"), "with --backend pacing: .* allowed: auto, tun, packet"),
    ],
)
def test_datagrams_need_the_relay(world, options, says):
    with pytest.raises(TestbedError, match=says):
        emulate_all(world("network.transport", {"kind": "datagram"}), options)
