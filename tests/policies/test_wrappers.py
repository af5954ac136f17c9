"""Policies that go over another one."""

from __future__ import annotations

import pytest
from policy_frames import MS, SKIPPED, THREE, at_mbps, ended, fresh, ladder, seen

from testbed.errors import InputErrors
from testbed.model import SKIP, OperatingPoint
from testbed.policies.fixed import Fixed
from testbed.policies.forecast import Forecast
from testbed.policies.frame_filter import FrameFilter
from testbed.policies.goodput import Goodput
from testbed.policies.late_drop import LateDrop
from testbed.policies.planned import Planned

SKIPPABLE = ladder(*THREE, SKIPPED)


def choices(policy, count, **facts):
    return [policy.choose(seen(frame=i, **facts), SKIPPABLE).width for i in range(count)]


@pytest.mark.parametrize("make", [FrameFilter, LateDrop])
def test_a_ladder_without_skip_is_refused(make):
    with pytest.raises(ValueError, match="needs the mode 'skip'"):
        make().check(ladder())


@pytest.mark.parametrize("make", [FrameFilter, LateDrop])
def test_the_other_policy_may_refuse_the_ladder_too(make):
    with pytest.raises(ValueError, match="not on the ladder"):
        make(policy=Fixed(width=0.3)).check(SKIPPABLE)


class TestFrameFilter:
    def test_keeps_one_frame_of_so_many(self):
        policy = fresh(FrameFilter(policy=Fixed(width=0.5), every=3))

        assert choices(policy, 7) == [0.5, 0, 0, 0.5, 0, 0, 0.5]

    def test_waits_for_answers(self):
        policy = fresh(FrameFilter(policy=Fixed(width=0.5), every=1, outstanding=1))

        assert choices(policy, 2, outstanding=1) == [0, 0]
        assert choices(policy, 2) == [0.5, 0.5]

    def test_the_other_policy_knows_that_frames_come_more_rarely(self):
        """2.5 Mbit/s carry 62.5 kB in two periods and 31 in one."""
        alone = at_mbps(Goodput(safety=1), 2.5)
        under = at_mbps(FrameFilter(policy=Goodput(safety=1), every=2), 2.5)
        facts = {"deadline_ns": 500 * MS}

        assert (choices(alone, 1, **facts), choices(under, 1, **facts)) == ([0.25], [0.5])


class TestLateDrop:
    def test_skips_what_would_be_late(self):
        """75 kB at 8 Mbit/s take 140 ms with everything."""
        policy = at_mbps(LateDrop(policy=Fixed(width=0.75)), 8)

        assert choices(policy, 2, deadline_ns=141 * MS) == [0.75, 0.75]
        assert choices(policy, 2, deadline_ns=139 * MS) == [0, 0]

    def test_sends_a_late_frame_now_and_then(self):
        policy = at_mbps(LateDrop(policy=Fixed(width=0.75), probe_every=3), 1)

        assert choices(policy, 7) == [0, 0, 0.75, 0, 0, 0.75, 0]

    def test_the_other_policy_learns_as_well(self):
        policy = fresh(LateDrop())
        policy.feedback(ended(0, OperatingPoint(0.5), 100, 50_000, 40))

        assert policy.policy.estimator.bps(0) == pytest.approx(10e6)


class TestPlanned:
    def test_follows_its_list_by_the_number_of_the_frame(self):
        policy = fresh(Planned(places=(1, 3, 0)))
        chosen = [policy.choose(seen(frame=i), SKIPPABLE) for i in (0, 1, 2, 5)]

        assert chosen == [THREE[0].point, THREE[2].point, SKIP, SKIP]

    def test_refuses_a_place_beyond_the_ladder(self):
        with pytest.raises(ValueError, match="less than 4, the length of the ladder, not 4"):
            Planned(places=(0, 4)).check(SKIPPABLE)


class TestScenario:
    def test_names_parts_inside_parts_and_fills_in_what_is_left_out(self, world):
        spec = world(
            "clients.0.ladder.modes",
            ["split", "skip"],
            "policies.few",
            {"kind": "late-drop", "policy": {"kind": "mpc", "estimator": {"kind": "kalman"}}},
        ).spec.policies["few"]

        assert (spec.policy.kind, spec.policy.estimator.kind) == ("mpc", "kalman")
        assert (spec.estimator.kind, spec.estimator.slow_half_life_s) == ("ewma-pair", 8.0)

    def test_hears_from_a_part_within(self, world):
        with pytest.raises(InputErrors, match="few: skips frames, so the ladder needs the mode"):
            world("policies.few", {"kind": "frame-filter"})

    def test_runs_whatever_the_nesting(self, world):
        from testbed.simulate import simulate

        scenario = world(
            "clients.0.ladder.modes",
            ["split", "skip"],
            "policies.few",
            {"kind": "frame-filter", "every": 2, "policy": {"kind": "late-drop"}},
        )
        frames = simulate(scenario, "few", 1).frames.to_pandas()

        assert set(frames["fate"][1::2]) == {"skipped"}
        assert set(frames["fate"][2::2]) == {"on_time"}  # the first waits for the radio to wake


class TestForecast:
    def test_changes_no_decision(self):
        alone, under = at_mbps(Goodput(), 4), at_mbps(Forecast(policy=Goodput()), 4)

        assert choices(under, 5) == choices(alone, 5)

    def test_has_no_effect_without_boxes_and_says_so(self, world):
        policies = {"plain": {"kind": "goodput"}, "ahead": {"kind": "forecast"}}
        (said,) = (w for w in world("policies", policies).warnings if "forecast" in w)

        assert said.startswith("policies.ahead: a forecast moves boxes")
