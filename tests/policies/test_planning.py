"""Policies that look ahead, against sequences tried one by one."""

from __future__ import annotations

import itertools

import pytest
from policy_frames import MS, SKIPPED, THREE, at_mbps, fresh, ladder, local, rung, seen, uploaded

from testbed.policies.menu import Menu, Outlook
from testbed.policies.mpc import Mpc
from testbed.policies.plan import Planner, Weights
from testbed.policies.robust_mpc import RobustMpc
from testbed.policies.stochastic_mpc import StochasticMpc

FREE = {"switching": 0.0, "energy": 0.0}


def choice(policy, **facts):
    return policy.choose(seen(**facts), ladder()).width


def worth(menu, weights, outlook, sequence, last, *, period=100 * MS, allowed=200 * MS):
    """Return what a sequence of places is worth, stepped frame by frame without a grid."""
    total, wait, left = 0.0, outlook.wait_ns, outlook.left_ns
    spent = [weights.energy * r.encode_j for r in menu.rungs]
    dearest = max(r.encode_j for r in menu.rungs)
    for place in sequence:
        r = menu.rungs[place]
        if r.payload_bytes:
            sent = max(wait, r.encode_ns) + r.payload_bytes * outlook.byte_ns
            answer = sent + outlook.fixed_ns + r.decode_ns
        else:
            sent, answer = wait, r.encode_ns
        total += r.accuracy * (answer <= left) - spent[place] / dearest
        if last is not None:
            total -= weights.switching * abs(place - last) / (len(menu.rungs) - 1)
        wait, left, last = max(0.0, sent - period), allowed, place
    return total


@pytest.mark.parametrize("mbps", [1.5, 2.5, 3.0, 4.5, 7.0])
@pytest.mark.parametrize("backlog", [0, 20_000, 60_000])
@pytest.mark.parametrize("last", [None, 0, 3])
def test_the_plan_is_as_good_as_the_best_of_all_sequences(mbps, backlog, last):
    """The place it takes begins a sequence worth as much as the best, up to the grid."""
    menu = Menu.of(ladder(*THREE, local(), SKIPPED), pruned=True)
    weights = Weights(switching=0.05, energy=0.1, radio_nj_per_bit=0)
    outlook = Outlook.of(seen(backlog_bytes=backlog), mbps * 1e6)
    place = Planner(menu, weights, horizon=4, bins=400).best(seen(), outlook, last)
    every = {
        sequence: worth(menu, weights, outlook, sequence, last)
        for sequence in itertools.product(range(5), repeat=4)
    }
    best = max(every.values())

    assert max(v for s, v in every.items() if s[0] == place) >= best - 1e-9


class TestMpc:
    def test_gives_up_a_little_now_to_be_in_time_later(self):
        """At 3.2 Mbit/s a byte takes 2.5 µs, so that 75 kB are in time after 252.5 ms, once.

        They leave a wait of 97.5 ms, after which only 25 kB are in time: five frames are then worth
        0.38 + 0.30 + 0.35 + 0.30 + 0.35; begun with 50 kB, 0.35 + 0.35 + 0.35 + 0.30 + 0.35.
        """
        facts = {"deadline_ns": 255 * MS}
        alone = at_mbps(Mpc(horizon=1, **FREE), 3.2)
        ahead = at_mbps(Mpc(horizon=5, **FREE), 3.2)

        assert choice(alone, **facts) == 0.75
        assert choice(ahead, **facts) == 0.5

    @pytest.mark.parametrize(("switching", "width"), [(0.05, 0.75), (0.07, 0.5), (0.11, 0.25)])
    def test_minds_switches(self, switching, width):
        """From 0.25, a place up wins 0.05 for half the weight, two places 0.08 for all of it."""
        policy = fresh(Mpc(horizon=1, switching=switching, energy=0))
        choice(policy)  # without an estimate the smallest goes
        policy.feedback(uploaded(12_500_000, 1000))

        assert choice(policy) == width

    def test_minds_energy(self):
        """Local is the best by 0.02 and ten times as dear."""
        rungs = ladder(rung(0.25, 25_000, 0.38, encode_j=0.1), local(0.40, encode_j=1.0))
        facts = {"switching": 0.0, "radio_nj_per_bit": 0.0}
        free = at_mbps(Mpc(energy=0.0, **facts), 100)
        dear = at_mbps(Mpc(energy=0.03, **facts), 100)

        assert (free.choose(seen(), rungs).width, dear.choose(seen(), rungs).width) == (1.0, 0.25)

    def test_an_encoder_slower_than_the_camera_is_charged_for_the_frames_it_loses(self):
        """Local at 150 ms would serve two frames in three: 0.27 of 0.40."""
        slow = ladder(rung(0.25, 25_000, 0.30), local(0.40, encode_ms=150))

        assert at_mbps(Mpc(**FREE), 100).choose(seen(), slow).width == 0.25


class TestRobustMpc:
    def test_counts_on_less_after_it_was_wrong(self):
        """8 then 4 Mbit/s: the mean of 5.33 is halved, and 75 kB take 290 ms instead of 178."""
        policies = [fresh(Mpc(**FREE)), fresh(RobustMpc(**FREE))]
        for policy in policies:
            policy.feedback(uploaded(1_000_000, 1000))
            policy.feedback(uploaded(500_000, 1000))

        assert [choice(p, deadline_ns=250 * MS) for p in policies] == [0.75, 0.5]


class TestStochasticMpc:
    def test_is_mpc_before_it_has_been_wrong(self):
        for mbps in (2, 4, 5, 7):
            assert choice(at_mbps(StochasticMpc(), mbps)) == choice(at_mbps(Mpc(), mbps))

    def test_weighs_a_gain_by_its_chance(self):
        """Half of the uploads take as long as expected and half take twice that.

        Where 75 kB are in time only if all goes well they are worth 0.19, 25 kB in any case 0.30.
        """
        policy = at_mbps(StochasticMpc(horizon=1, outcomes=50, **FREE), 8)
        sure = choice(policy, deadline_ns=145 * MS)
        policy._factors = ([1.0, 2.0], [0.5, 0.5])

        assert sure == 0.75  # 15 + 75 + 50 ms
        assert choice(policy, deadline_ns=145 * MS) == 0.25  # 65 + 2 · 25 ms
        assert choice(policy, deadline_ns=166 * MS) == 0.5  # 65 + 2 · 50 ms

    def test_learns_how_long_uploads_take_against_what_was_expected(self):
        """Rates of 8, 4 and 16: the harmonic means before them are 8 and 16/3."""
        policy = fresh(StochasticMpc())
        for rate in (8, 4, 16):
            policy.feedback(uploaded(rate * 125_000, 1000))

        assert policy._factors[0] == pytest.approx([(16 / 3) / 16, 2.0])
        assert policy._factors[1] == [0.5, 0.5]
