"""Which scenarios are held to what."""

import pytest

from testbed.emulate.run import refuse_inimitable
from testbed.errors import TestbedError
from testbed.validate.bounds import DISTRIBUTIONS, EXACT, LIVE, Bound, bounds_of
from testbed.validate.pages import html, markdown, number
from testbed.validate.stages import PerFrame, Spread, Stage

LONG = {"kind": "tcp", "idle_restart": False}
SLOW = ("network.uplink.mbps", 5, "network.transport", LONG)


def test_a_lossless_connection_on_a_link_of_its_own_is_held_frame_by_frame(world):
    assert bounds_of(world(*SLOW)) == ("per frame", EXACT)


@pytest.mark.parametrize(
    "change",
    [
        ("network.uplink.queue_bytes", 100_000),
        ("network.transport.connection", "per_frame"),
        ("clients.0.count", 2),
        ("network.uplink.mbps", 50),
    ],
    ids=["losses", "a connection for each frame", "a shared link", "frames that take no time"],
)
def test_whatever_is_not_known_to_the_packet_is_held_to_quantiles(world, change):
    assert bounds_of(world(*SLOW, *change)) == ("quantiles", DISTRIBUTIONS)


def test_a_live_encoder_and_the_kernels_shaper_are_not_held_frame_by_frame(world):
    assert bounds_of(world(*SLOW), live=True) == ("real network", LIVE)
    assert bounds_of(world(*SLOW), "tc")[0] == "shaper"


def test_a_live_encoder_is_held_to_the_same_whatever_its_frames_take_where_every_packet_is_known(
    world,
):
    fast = world("network.uplink.mbps", 50, "network.transport", LONG)
    assert bounds_of(fast, live=True) == ("real network", LIVE)
    lossy = world(*SLOW, "network.uplink.queue_bytes", 100_000)
    assert bounds_of(lossy, live=True) == ("quantiles", DISTRIBUTIONS)
    held = {(bound.stage, bound.figure): bound.most_percent for bound in LIVE}
    assert (held["total", "p50"], held["total", "p95"], held["total", "p90"]) == (1, 3, 5)


def stage(name, error, per_frame):
    spread = Spread(4, 1.0, 1.0, 1.0, 1.0, 1.0)
    return Stage(name, spread, spread, {"mean": None, "p50": error}, per_frame, 0.0)


def test_a_bound_is_about_the_size_of_an_error_in_either_direction():
    per_frame = PerFrame(4, -1.0, 1.0, 2.0, 0.1, None)
    stages = [stage("uplink", None, per_frame), stage("total", -3.0, None)]

    assert Bound("total", "p50", False, 1).value(stages) == 3.0
    assert Bound("uplink", "median", True, 1).value(stages) == 0.1
    assert Bound("uplink", "p95", True, 1).value(stages) is None
    assert Bound("uplink", "p50", False, 1).value(stages) is None
    assert Bound("total", "median", True, 1).value(stages) is None


def test_what_cannot_be_emulated_is_refused_before_anything_is_written(world):
    with pytest.raises(TestbedError, match="header_bytes: 28; real ones"):
        refuse_inimitable(world("network.transport", {"kind": "datagram", "header_bytes": 28}))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0"), (0.01234, "0.0123"), (12.345, "12.3"), (345.67, "345.7"), (48, "48")],
)
def test_figures_have_three_digits(value, shown):
    assert number(value) == shown


def test_a_page_of_nothing_is_a_page():
    assert markdown([]) == ""
    assert html([]).startswith("<!doctype html>")
