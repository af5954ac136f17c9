"""Which runs go together, and how much of two metrics a policy's weights cover."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from testbed.compare import conditions, coverage, points_of, weightings, world_of
from testbed.errors import TestbedError, UnknownName
from testbed.metrics import METRICS


def run(trace="lte/a.up", radio="lte", device="pi", energy=0.1, **policy):
    """Return a run whose scenario has some keys."""
    return SimpleNamespace(
        scenario={
            "name": f"on-{trace}",
            "network": {"uplink": {"kind": "replay", "trace": trace}, "downlink": {"mbps": 20}},
            "clients": [{"name": "camera", "device": device, "radio": radio}],
            "utility": {"energy": energy},
            "policies": {"mpc": {"kind": "mpc", "energy": energy} | policy},
        }
    )


def test_runs_that_differ_in_trace_and_radio_alone_go_together():
    runs = {
        "a": run("lte/a.up"),
        "b": run("wifi/b.up", "wifi"),
        "c": run("lte/a.up", device="phone"),
    }

    assert conditions(runs) == {"clients.0.device=pi": ["a", "b"], "clients.0.device=phone": ["c"]}
    assert conditions({"a": runs["a"], "b": runs["b"]}) == {"": ["a", "b"]}


def test_a_weight_that_policies_take_from_the_scenario_is_named_once():
    runs = {
        "a": run(energy=0.1),
        "b": run("wifi/b.up", energy=0.1),
        "c": run(energy=0.5),
    }

    assert weightings(runs) == {"utility.energy=0.1": ["a", "b"], "utility.energy=0.5": ["c"]}
    assert world_of(runs["a"]) == world_of(runs["c"]) != world_of(runs["b"])


def figures(**policies):
    """Return the figures of a run: policy -> (mAP, J) per seed."""
    blank = dict.fromkeys(METRICS, math.nan)
    return {
        policy: {
            seed: blank | {"on_time_map": gain, "energy_per_frame_j": cost}
            for seed, (gain, cost) in enumerate(seeds)
        }
        for policy, seeds in policies.items()
    }


def covered(settings, **options):
    rows = coverage(points_of(settings, "on_time_map", "energy_per_frame_j"), **options)
    return {row["policy"]: row for row in rows}


def test_the_area_is_a_share_of_the_room_between_best_and_worst():
    """The room is 0.2 by 2 J. The thrifty points cover 0.1 x 2, the good one 0.2 x 0.5."""
    settings = {
        "w=0": {"here": figures(thrifty=[(0.3, 1.0)], good=[(0.4, 2.5)], bad=[(0.2, 3.0)])},
        "w=1": {"here": figures(thrifty=[(0.3, 1.0)], good=[(0.4, 2.5)], bad=[(0.2, 2.9)])},
    }
    found = covered(settings)

    assert {p: row["hypervolume"] for p, row in found.items()} == pytest.approx(
        {"thrifty": 0.5, "good": 0.25, "bad": 0.0}
    )
    assert {p: row["points"] for p, row in found.items()} == {"thrifty": 1, "good": 1, "bad": 2}
    assert {p: row["on_front"] for p, row in found.items()} == {"thrifty": 1, "good": 1, "bad": 0}
    assert list(found) == ["thrifty", "good", "bad"]
    assert found["good"]["low"] is None
    assert found["good"]["n"] == 1


def test_units_are_worlds_where_there_are_several_else_seeds():
    one = {"w": {"here": figures(p=[(0.3, 1), (0.4, 2), (0.5, 3)], q=[(0.2, 2)] * 3)}}
    two = {"w": {x: figures(p=[(0.3, 1), (0.4, 2)], q=[(0.2, 2)] * 2) for x in "abcd"}}

    assert (covered(one)["p"]["n"], covered(two)["p"]["n"]) == (3, 4)
    row = covered(two)["p"]
    assert row["low"] == row["hypervolume"] == row["high"] == 1.0


def test_the_interval_holds_what_other_draws_would_have_given_and_is_the_same_each_time():
    draws = [(0.3 + 0.01 * k, 1.0 + 0.1 * (k % 3)) for k in range(6)]
    settings = {
        "w=0": {"here": figures(p=draws, q=[(0.2, 3.0)] * 6)},
        "w=1": {"here": figures(p=[(g + 0.1, c + 1) for g, c in draws], q=[(0.45, 0.9)] * 6)},
    }
    row = covered(settings)["p"]

    assert 0 < row["low"] < row["hypervolume"] < row["high"] < 1
    assert covered(settings)["p"] == row


def test_metrics_that_are_not_what_they_should_be_are_refused():
    settings = {"w": {"here": figures(p=[(math.nan, 1.0)])}}

    with pytest.raises(TestbedError, match="p has no finite on_time_map"):
        points_of(settings, "on_time_map", "energy_per_frame_j")
    with pytest.raises(TestbedError, match="not better higher"):
        points_of(settings, "energy_j", "energy_per_frame_j")
    with pytest.raises(UnknownName, match="Did you mean"):
        points_of(settings, "on_time_mpa", "energy_per_frame_j")
    apart = {"w": {"here": figures(p=[(0.1, 1)])}, "v": {"there": figures(p=[(0.1, 1)])}}
    with pytest.raises(TestbedError, match="in common"):
        coverage(points_of(apart, "on_time_map", "energy_per_frame_j"))
