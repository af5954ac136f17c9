"""What a gain is owed to: shares by hand, ladders with knobs frozen, and a run."""

from __future__ import annotations

import pytest

from testbed.errors import TestbedError
from testbed.metrics import Utility
from testbed.model import LOCAL, SKIP, Ladder, Mode, OperatingPoint, Rung
from testbed.on_demand import answers, refuse
from testbed.optimum import KNOBS, gain_by_knob, headroom
from testbed.optimum.knobs import restricted, shapley

TRACE = {"kind": "replay", "trace": "lte/drive-a.up", "start_s": "random", "delay_ms": 25}
FREE = Utility(switching=0, energy=0)


def rung(width, bits=8, codec="raw"):
    size = round(1e5 * width * bits) + len(codec)
    return Rung(OperatingPoint(width, bits, codec), size, 0.3 * width)


SMALL, LARGE, COARSE, PACKED = rung(0.5), rung(1.0), rung(0.5, 4), rung(0.5, 8, "zstd")
ALONE, NOTHING = Rung(LOCAL, 0, 0.2), Rung(SKIP, 0, 0.0)
JPEG = Rung(OperatingPoint(1.0, 0, "jpeg-50", Mode.OFFLOAD), 9, 0.3)
FINE_JPEG = Rung(OperatingPoint(1.0, 0, "jpeg-90", Mode.OFFLOAD), 99, 0.4)
LADDER = Ladder((SMALL, LARGE, COARSE, PACKED, ALONE, NOTHING, JPEG, FINE_JPEG))
ANCHORS = {Mode.SPLIT: SMALL, Mode.OFFLOAD: JPEG, Mode.LOCAL: ALONE}


@pytest.mark.parametrize(
    ("free", "rungs"),
    [
        ((), {SMALL}),
        (("width",), {SMALL, LARGE}),
        (("bits",), {SMALL, COARSE}),
        (("codec",), {SMALL, PACKED}),
        (("mode",), {SMALL, ALONE, JPEG}),
        (("skip",), {SMALL, NOTHING}),
        (("mode", "codec"), {SMALL, PACKED, ALONE, JPEG, FINE_JPEG}),
        (KNOBS, set(LADDER)),
    ],
    ids=lambda value: " and ".join(value) or "none" if isinstance(value, tuple) else "",
)
def test_a_frozen_knob_takes_away_the_points_that_need_it(free, rungs):
    assert set(restricted(LADDER, ANCHORS, free)) == rungs


def test_shares_are_mean_contributions_and_add_up():
    """Width alone brings 2, skip alone 0, both 6: 2 and 6 - 0, 0 and 6 - 2 on average."""
    values = {(): 1.0, ("width",): 3.0, ("skip",): 1.0, ("skip", "width"): 7.0}

    assert shapley(["width", "skip"], lambda free: values[tuple(sorted(free))]) == {
        "width": 4.0,
        "skip": 2.0,
    }


@pytest.fixture
def driving(world):
    return world(
        *("network.uplink", TRACE),
        *("duration_s", 20),
        *("deadline_ms", 500),
        *("clients.0.ladder", {"widths": [0.167, 0.25, 0.416], "modes": ["split", "skip"]}),
        *("policies", {"planner": {"kind": "mpc"}, "picky": {"kind": "late-drop"}}),
    )


def test_the_shares_of_a_policy_add_up_to_its_gain_over_the_best_static_point(driving):
    found, room = gain_by_knob(driving, 1, utility=FREE), headroom(driving, 1, utility=FREE)

    for policy, gain in found.items():
        assert list(gain.shares) == ["width", "skip"]
        assert gain.static == pytest.approx(room.static_value / room.frames)
        assert gain.value == pytest.approx(room.values[policy] / room.frames)
        assert sum(gain.shares.values()) == pytest.approx(gain.value - gain.static)


def test_a_policy_that_refuses_a_ladder_without_a_knob_owes_it_the_more(world):
    """Late drop cannot do without skip: what width alone would win it does not know."""
    quiet = world(
        *("clients.0.ladder", {"widths": [0.167, 0.416], "modes": ["split", "skip"]}),
        *(
            "policies",
            {"picky": {"kind": "late-drop", "policy": {"kind": "fixed", "width": 0.416}}},
        ),
    )
    gain = gain_by_knob(quiet, 1, utility=FREE)["picky"]

    assert gain.shares["width"] == pytest.approx(gain.shares["skip"])


def test_answers_are_json_with_intervals_over_the_seeds(driving, world):
    several = world("clients.0.count", 2)
    found = answers(driving, ["optimum", "gain_by_knob"])
    reference = found["optimum"]["reference"]
    order = ["best_static", "optimum", "upper_bound"]
    values = [reference[name]["value"] for name in order]

    assert values == sorted(values)
    assert set(found["optimum"]["policies"]["planner"]) == {"utility", "regret", "captured"}
    assert set(found["gain_by_knob"]["picky"]["shares"]) == {"width", "skip"}
    assert answers(driving, []) == {}
    with pytest.raises(TestbedError, match="known for one client"):
        refuse(several, ["optimum"])
    refuse(several, ["gain_by_knob"])
