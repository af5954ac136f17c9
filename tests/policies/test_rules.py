"""Rules that look at the present alone, each on a case worked by hand."""

from __future__ import annotations

import pytest
from policy_frames import (
    MS,
    SKIPPED,
    THREE,
    at_mbps,
    ended,
    fresh,
    ladder,
    local,
    rung,
    seen,
    uploaded,
)

from testbed.estimators.ewma import Ewma
from testbed.model import LOCAL, SKIP, OperatingPoint
from testbed.policies.awstream import AwStream, State
from testbed.policies.bba import Bba
from testbed.policies.bola import Bola
from testbed.policies.drift import DriftPlusPenalty
from testbed.policies.festive import Festive
from testbed.policies.menu import Menu
from testbed.policies.neurosurgeon import Neurosurgeon
from testbed.policies.spinn import Spinn
from testbed.testing import example_ladder


def widths(policy, count, rungs=None, **facts):
    """Return the widths chosen for a number of frames that all look alike."""
    rungs = rungs or ladder()
    return [policy.choose(seen(frame=i, **facts), rungs).width for i in range(count)]


class TestMenu:
    def test_leaves_out_what_another_point_beats(self):
        """α = 1 of the example costs more than α = 0.75 and is worth less."""
        menu = Menu.of(example_ladder(), pruned=True)

        assert [r.point.width for r in menu.rungs] == [0.25, 0.5, 0.75]
        assert len(Menu.of(example_ladder(), pruned=False).rungs) == 4

    def test_levels_send_and_rise(self):
        menu = Menu.of(ladder(*THREE, local(), SKIPPED), pruned=True)

        assert [r.point.width for r in menu.levels] == [0.25, 0.5, 0.75]
        assert menu.best == 0.4

    def test_without_anything_to_send_the_device_works_alone(self):
        assert Menu.of(ladder(local(), SKIPPED), pruned=True).smallest.point == LOCAL
        assert Menu.of(ladder(SKIPPED), pruned=True).smallest.point == SKIP


def test_the_link_is_measured_at_first_and_after_a_silence():
    """Local is best and always in time, so that only every fourth frame would use the link."""
    policy = Neurosurgeon(accuracy_share=1.0, probe_every=3)
    rungs = ladder(*THREE, local(encode_ms=1))
    first = fresh(policy).choose(seen(), rungs)
    chosen = widths(at_mbps(policy, 8), 9, rungs)

    assert first.width == 0.25
    assert chosen == [1.0, 1.0, 1.0, 0.25, 1.0, 1.0, 1.0, 0.25, 1.0]


class TestFestive:
    def test_goes_up_a_level_at_a_time_with_growing_patience(self):
        """At level 0 one frame is enough, at level 1 it takes two."""
        assert widths(at_mbps(Festive(), 100), 5) == [0.5, 0.5, 0.75, 0.75, 0.75]

    def test_goes_down_at_once_but_one_level(self):
        policy = at_mbps(Festive(), 100)
        widths(policy, 20)
        policy.estimator.reset()
        policy.estimator.add(0, 125_000, 1_000 * MS)

        assert widths(policy, 3) == [0.5, 0.25, 0.25]

    @pytest.mark.parametrize(("mbps", "width"), [(4.70, 0.25), (4.71, 0.5)])
    def test_counts_on_the_share_p_of_the_goodput(self, mbps, width):
        """4 Mbit/s at 85 % need 4.706."""
        assert widths(at_mbps(Festive(), mbps), 3)[-1] == width

    def test_stays_where_a_switch_would_not_pay(self):
        """5 % more rate gains 12 · 0.048 = 0.57 in efficiency, less than the 1 of a switch."""
        near = (rung(0.25, 25_000, 0.30), rung(0.5, 26_250, 0.35))

        assert widths(at_mbps(Festive(), 100), 5, ladder(*near)) == [0.25] * 5


class TestBba:
    @pytest.mark.parametrize(
        ("age_ms", "width"),
        [
            (0, 0.75),  # slack 1
            (40, 0.75),  # 0.8, all of it
            (41, 0.5),  # 0.795: 74 583 bytes
            (99, 0.5),  # 0.505: 50 417
            (101, 0.25),  # 0.495: 49 583
            (200, 0.25),
            (900, 0.25),
        ],
    )
    def test_the_slack_of_the_oldest_frame_decides(self, age_ms, width):
        look = seen(now_ns=1000 * MS, captured_ns=1000 * MS, deadline_ns=1200 * MS)
        look.oldest_outstanding_ns = (1000 - age_ms) * MS

        assert fresh(Bba()).choose(look, ladder()).width == width

    def test_without_anything_under_way_the_frame_itself_is_the_oldest(self):
        look = seen(now_ns=101 * MS)

        assert fresh(Bba()).choose(look, ladder()).width == 0.25

    def test_bounds_that_cross_are_refused(self):
        with pytest.raises(ValueError, match=r"lower must be less than upper, 0\.2, not 0\.5"):
            Bba(lower=0.5, upper=0.2)


class TestBola:
    @pytest.mark.parametrize(
        ("age_ms", "width"),
        [
            # S = 2, V = 2 / 0.38. At slack Q the scores are (V · accuracy - Q) / payload:
            (0, 0.75),
            # 0.75 and 0.5 meet at 3 (1.842 - Q) = 2 (2 - Q), Q = 1.526: 47.4 ms;
            (47, 0.75),
            (48, 0.5),
            # 0.5 and 0.25 at 2 (1.579 - Q) = 1.842 - Q, Q = 1.316: 68.4 ms.
            (68, 0.5),
            (69, 0.25),
            (500, 0.25),
        ],
    )
    def test_accuracy_per_byte_counts_the_more_the_less_slack_there_is(self, age_ms, width):
        look = seen(now_ns=age_ms * MS)

        assert fresh(Bola()).choose(look, ladder()).width == width

    def test_a_gain_makes_points_more_alike(self):
        """With 1 added, V = 2 / 1.38 and 0.75 gives way at Q = 1.870, after 13 ms."""
        assert fresh(Bola(gain=1)).choose(seen(now_ns=14 * MS), ladder()).width == 0.5


PLAIN = {"switching": 0.0, "energy": 0.0}


class TestDriftPlusPenalty:
    def test_takes_the_best_while_nothing_queues(self):
        assert widths(at_mbps(DriftPlusPenalty(), 100), 2) == [0.75, 0.75]

    def test_a_backlog_makes_bytes_dear(self):
        """V = 1: a step from 25 to 50 kB wins 0.05 / 0.38 and costs 1/3 for 75 kB that wait."""
        policy = at_mbps(DriftPlusPenalty(v=1, **PLAIN), 100)

        assert widths(policy, 1, backlog_bytes=29_000) == [0.5]  # 0.129 < 0.132, but not to 0.75
        assert widths(policy, 1, backlog_bytes=30_000) == [0.25]

    def test_keeps_to_an_energy_budget_in_the_long_run(self):
        """Local takes 1 J and split 0.1 J; a mean of 0.28 J allows local for one frame in five."""
        options = {"energy_budget_j": 0.28, "radio_nj_per_bit": 0, "miss_budget": 1} | PLAIN
        policy = at_mbps(DriftPlusPenalty(v=1, **options), 100)
        rungs = ladder(rung(0.25, 25_000, 0.30), local())
        chosen = [policy.choose(seen(frame=i), rungs) for i in range(1000)]

        assert chosen.count(LOCAL) == pytest.approx(200, abs=5)

    @pytest.mark.parametrize(
        ("weights", "point"),
        [
            ({"energy": 0.10}, LOCAL),  # 0.40 - 0.10 against 0.30 - 0.01
            ({"energy": 0.12}, OperatingPoint(0.25)),
            ({"switching": 0.09}, LOCAL),  # one place of one away from the first choice
            ({"switching": 0.11}, OperatingPoint(0.25)),
        ],
    )
    def test_maximises_the_utility_of_the_scenario(self, weights, point):
        """Local is 0.10 more accurate and takes 1 J instead of 0.1 J."""
        policy = fresh(DriftPlusPenalty(v=1, radio_nj_per_bit=0, **(PLAIN | weights)))
        rungs = ladder(rung(0.25, 25_000, 0.30), local())
        policy.choose(seen(), rungs)  # without an estimate the smallest goes
        policy.feedback(uploaded(12_500_000, 1000))

        assert policy.choose(seen(), rungs) == point

    def test_misses_queue_until_a_point_in_time_is_taken(self):
        """6 Mbit/s: 0.75 would take 165 ms of the 150 that are left, 0.5 takes 131."""
        policy = at_mbps(DriftPlusPenalty(v=10), 6)
        facts = {"deadline_ns": 160 * MS}
        first = widths(policy, 1, **facts)
        for frame in range(2):
            policy.feedback(ended(frame, OperatingPoint(0.75), latency_ms=170))

        assert (first, widths(policy, 1, **facts)) == ([0.75], [0.5])

    @pytest.mark.parametrize(
        ("facts", "mode"),
        [
            ({}, LOCAL),
            ({"battery": 0.9}, LOCAL),
            ({"battery": 0.1}, OperatingPoint(0.25)),
            ({"temperature_c": 62.0}, LOCAL),
            ({"temperature_c": 75.0}, OperatingPoint(0.25)),
        ],
    )
    def test_energy_is_dear_with_an_empty_battery_and_when_hot(self, facts, mode):
        """Local wins a quarter of the accuracy for 0.9 of the energy: dear from a price of 0.28."""
        options = {"battery_weight": 0.5, "heat_weight": 0.5, "radio_nj_per_bit": 0} | PLAIN
        policy = at_mbps(DriftPlusPenalty(v=1, **options), 100)
        rungs = ladder(rung(0.25, 25_000, 0.30), local())

        assert policy.choose(seen(**facts), rungs) == mode


class TestNeurosurgeon:
    @pytest.mark.parametrize(("mbps", "width"), [(100, 0.5), (2, 1.0)])
    def test_takes_the_quickest_place(self, mbps, width):
        """On the device 80 ms; over the link 65 ms and the upload: 4 ms at 100 Mbit/s, 200 at 2."""
        policy = at_mbps(Neurosurgeon(accuracy_share=0.8), mbps)

        assert widths(policy, 1, ladder(*THREE, local())) == [width]

    def test_keeps_the_accuracy_it_must(self):
        assert widths(at_mbps(Neurosurgeon(accuracy_share=0.95), 5), 1) == [0.75]
        assert widths(at_mbps(Neurosurgeon(accuracy_share=0.92), 5), 1) == [0.5]
        assert widths(at_mbps(Neurosurgeon(accuracy_share=0), 5), 1) == [0.25]

    def test_can_mind_energy_instead(self):
        """Radio at 438 nJ/bit: 25 kB cost 0.19 J all in all, less than local's 0.25."""
        policy = at_mbps(Neurosurgeon(accuracy_share=0.7, minimise="energy"), 0.1)
        rungs = ladder(*THREE, local(encode_j=0.25))

        assert widths(policy, 1, rungs) == [0.25]
        policy = at_mbps(Neurosurgeon(accuracy_share=0.8, minimise="energy"), 0.1)
        assert widths(policy, 1, rungs) == [1.0]


class TestSpinn:
    def test_meets_the_deadline_first(self):
        """At 6 Mbit/s 0.75 takes 165 ms, 0.5 131."""
        policy = at_mbps(Spinn(), 6)

        assert widths(policy, 1) == [0.75]
        assert widths(policy, 1, deadline_ns=160 * MS) == [0.5]

    def test_drops_the_last_constraint_first(self):
        """0.36 within 160 ms and 0.15 J cannot be had: energy goes, then accuracy."""
        policy = at_mbps(Spinn(min_accuracy=0.36, max_energy_j=0.15, radio_nj_per_bit=0), 6)

        assert widths(policy, 1) == [0.75]
        assert widths(policy, 1, deadline_ns=160 * MS) == [0.5]

    def test_keeps_the_queue_short_when_nothing_is_in_time(self):
        assert widths(at_mbps(Spinn(), 6), 1, deadline_ns=60 * MS) == [0.25]

    def test_without_a_deadline_to_meet_the_target_decides(self):
        policy = at_mbps(Spinn(constraints=("accuracy",), target="latency", min_accuracy=0.35), 6)

        assert widths(policy, 1, deadline_ns=60 * MS) == [0.5]

    def test_corrects_the_profile_by_what_it_measures(self):
        """65 ms were promised beside the upload, 130 came: 20 % of the way from 1 to 2.

        0.75 then takes 1.2 · 65 + 100 = 178 ms instead of 165.
        """
        policy = at_mbps(Spinn(estimator=Ewma(gain=0.001)), 6)
        before = widths(policy, 1, deadline_ns=170 * MS)
        policy.feedback(
            ended(0, OperatingPoint(0.75), 230, payload_bytes=75_000, busy_ms=100, now_ms=230)
        )

        assert before == [0.75]
        assert widths(policy, 1, deadline_ns=170 * MS) == [0.5]
        assert widths(policy, 1, deadline_ns=179 * MS) == [0.75]


class TestAwStream:
    def test_climbs_at_start_up_while_the_queue_is_empty(self):
        policy = at_mbps(AwStream(), 100)

        assert widths(policy, 3) == [0.5, 0.75, 0.75]
        assert policy.state is State.STEADY

    def test_forgives_three_signals_at_start_up(self):
        policy = at_mbps(AwStream(), 5)
        forgiven = widths(policy, 3, backlog_bytes=10_000)
        still = policy.state

        assert forgiven + widths(policy, 1, backlog_bytes=10_000) == [0.25] * 4
        assert (still, policy.state) == (State.STARTUP, State.STEADY)

    def test_matches_the_rate_when_the_queue_builds_up(self):
        policy = at_mbps(AwStream(), 5)
        widths(policy, 2)

        assert widths(policy, 2, backlog_bytes=10_000) == [0.5, 0.5]

    def test_a_backlog_of_less_than_a_millisecond_is_none(self):
        """5 Mbit/s carry 625 bytes in 1 ms."""
        policy = at_mbps(AwStream(), 5)
        widths(policy, 2)

        assert widths(policy, 1, backlog_bytes=625) == [0.75]
        assert widths(policy, 1, backlog_bytes=626) == [0.5]

    def test_rises_after_a_probe_without_congestion(self):
        """20 quiet frames, 5 of the probe, and the level is kept."""
        policy = at_mbps(AwStream(), 5)
        widths(policy, 2)
        widths(policy, 1, backlog_bytes=10_000)
        chosen = widths(policy, 27)

        assert chosen == [0.5] * 20 + [0.75] * 7
        assert policy.state is State.STEADY

    def test_falls_back_when_the_probe_fails(self):
        policy = at_mbps(AwStream(), 5)
        widths(policy, 2)
        widths(policy, 1, backlog_bytes=10_000)
        widths(policy, 22)
        probing = policy.state
        failed = widths(policy, 1, backlog_bytes=10_000)

        assert (probing, policy.state) == (State.PROBE, State.STEADY)
        assert failed + widths(policy, 20) == [0.5] * 21
        assert widths(policy, 1) == [0.75]

    def test_never_climbs_because_of_congestion(self):
        """A rate that would allow more does not lift a level that has not been probed."""
        policy = at_mbps(AwStream(quiet_frames=1000), 2.5)
        widths(policy, 2)
        fallen = widths(policy, 1, backlog_bytes=10_000)
        policy.estimator.add(0, 12_500_000, 1000 * MS)

        assert fallen + widths(policy, 3, backlog_bytes=100_000) == [0.25] * 4
