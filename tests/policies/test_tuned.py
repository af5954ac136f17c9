"""Policies that solve or tune: the stationary programme, and the tuner over another policy."""

from __future__ import annotations

import numpy as np
import pytest
from policy_frames import THREE, ended, fresh, ladder, local, seen

from testbed.policies.fixed import Fixed
from testbed.policies.goodput import Goodput
from testbed.policies.lfp import Lfp, _programme
from testbed.policies.oboe import Oboe


def met(policy, rates_mbps, size=25_000):
    """Let a policy see uploads at these rates."""
    for frame, rate in enumerate(rates_mbps):
        policy.feedback(ended(frame, THREE[0].point, 100, size, size * 8 / rate / 1000))
    return policy


class TestProgramme:
    def test_mixes_two_actions_as_far_as_the_limit_allows(self):
        """One state. The good action costs nothing and is late half the time; worked by hand.

        Two channel states, each as likely: the good action is in time in the first only, the other
        always, at a cost of 1. At a tenth late at most, the second state takes the good action for
        a share g of its time with g / 2 = 0.1, so g = 0.2 there; cost 0.4 over 0.9 kept.
        """
        kept = np.array([[[True, True]], [[False, True]]])
        cost = np.broadcast_to([0.0, 1.0], kept.shape)
        to = np.zeros((2, 1, 2, 2), int)
        x = _programme(kept, cost, to, np.full((2, 2), 0.5), 0.1, 0.0).reshape(2, 2)
        x = x / x.sum()

        assert x == pytest.approx(np.array([[0.5, 0.0], [0.1, 0.4]]), abs=1e-9)

    def test_keeps_what_it_can_where_the_limit_cannot_be_kept(self):
        kept = np.array([[[False, True]], [[False, False]]])
        cost = np.zeros(kept.shape)
        to = np.zeros((2, 1, 2, 2), int)
        x = _programme(kept, cost, to, np.full((2, 2), 0.5), 0.1, 0.0).reshape(2, 2)

        assert x[0] == pytest.approx([0.0, 0.5], abs=1e-9)

    def test_counts_the_wait_that_an_action_leaves(self):
        """Waits 0 and 1. The good action leaves a wait in which it is late, the other clears it.

        Alternating, half of the frames cost nothing; more often the good one would be late.
        """
        kept = np.array([[[True, True], [False, True]]])
        cost = np.broadcast_to([0.0, 1.0], kept.shape)
        to = np.array([[[[1], [0]], [[1], [0]]]])
        x = _programme(kept, cost, to, np.ones((1, 1)), 1e-9, 0.0).reshape(2, 2)
        x = x / x.sum()

        assert x == pytest.approx(np.array([[0.5, 0.0], [0.0, 0.5]]), abs=1e-6)


class TestLfp:
    def test_begins_with_the_least(self):
        policy = met(fresh(Lfp(learn=30)), [100] * 29)

        assert policy.choose(seen(), ladder()).width == 0.25

    @pytest.mark.parametrize(
        ("mbps", "backlog", "width"),
        [
            (100, 0, 0.75),
            (5, 0, 0.75),  # 10 + 120 + 55 ms, once; then a wait of 30 ms makes it late
            (5, 25_000, 0.5),
            (3, 0, 0.5),
            (3, 20_000, 0.25),
        ],
    )
    def test_takes_the_best_that_the_wait_leaves_time_for(self, mbps, backlog, width):
        policy = met(fresh(Lfp()), [mbps] * 40)
        rungs = ladder()
        chosen = [policy.choose(seen(backlog_bytes=backlog), rungs).width for _ in range(20)]

        assert chosen == [width] * 20

    def test_can_minimise_time_instead(self):
        policy = met(fresh(Lfp(minimise="latency")), [100] * 40)

        assert policy.choose(seen(), ladder()).width == 0.25

    def test_works_alone_where_the_link_is_hopeless(self):
        """25 kB at 0.5 Mbit/s take 400 ms; the device answers in 80."""
        policy = met(fresh(Lfp()), [0.5] * 40)

        assert policy.choose(seen(), ladder(*THREE, local())).width == 1.0

    def test_goes_by_the_state_of_the_channel(self):
        """Spells of 30 uploads at 8 and at 3 Mbit/s: 0.75 is in time at the one alone."""
        spells = ([8] * 30 + [3] * 30) * 3
        fast, slow = met(fresh(Lfp()), [*spells, 8]), met(fresh(Lfp()), [*spells, 3])

        assert fast.choose(seen(), ladder()).width == 0.75
        assert slow.choose(seen(), ladder()).width == 0.5


class TestOboe:
    def test_refuses_an_option_that_the_policy_does_not_have(self):
        with pytest.raises(ValueError, match="option 'safty' is none of the policy's; it has"):
            Oboe(option="safty")

    def test_refuses_what_the_policy_refuses(self):
        with pytest.raises(ValueError, match="not on the ladder"):
            Oboe(policy=Fixed(width=0.3), option="width").check(ladder())

    def test_counts_on_all_of_a_steady_link_and_on_less_of_an_unsteady_one(self):
        """4.1 Mbit/s carry the 4 of 50 kB only at a safety near 1; rates that vary want caution."""
        steady = met(fresh(Oboe(policy=Goodput(), values=(0.5, 0.99))), [4.1] * 30)
        rates = 4.1 * np.random.default_rng(1).lognormal(0, 0.7, 60)
        unsteady = met(fresh(Oboe(policy=Goodput(), values=(0.5, 0.99))), rates)
        for policy in (steady, unsteady):
            policy.choose(seen(), ladder())

        assert (steady.value, unsteady.value) == (0.99, 0.5)

    def test_looks_a_state_up_that_it_has_met(self):
        policy, rungs = met(fresh(Oboe()), [8] * 30), ladder()
        policy.choose(seen(), rungs)
        met(policy, [8] * 10)
        policy.choose(seen(), rungs)

        assert len(policy._best) == 1

    def test_forgets_the_link_before_a_change(self):
        policy = met(fresh(Oboe()), [8.0, 8.1] * 20 + [2.0] * 10)

        assert np.exp(np.mean(policy._logs)) == pytest.approx(2e6)

    def test_a_quiet_link_has_no_changes(self):
        policy = met(fresh(Oboe()), np.random.default_rng(3).lognormal(2, 0.2, 100))

        assert len(policy._logs) > 80

    def test_every_copy_learns_from_every_upload(self):
        policy = met(fresh(Oboe()), [8] * 3)

        assert {round(v.estimator.bps(0)) for v in policy._variants} == {8_000_000}
