"""Bandits: what they learn, how fast, and that they act on it."""

from __future__ import annotations

import numpy as np
import pytest
from policy_frames import THREE, at_mbps, ended, ladder, local, seen

from testbed.model import LOCAL
from testbed.policies.linucb import LinUcb
from testbed.policies.thompson import Thompson


def play(policy, rungs, late, frames=400):
    """Let a policy decide in a world where the points in `late` are; return its last 100 widths."""
    chosen = []
    for frame in range(frames):
        point = policy.choose(seen(frame=frame), rungs)
        chosen.append(point.width)
        latency = 300 if point.width in late else 100
        size = 0 if point == LOCAL else rungs.at(point).payload_bytes
        policy.feedback(ended(frame, point, latency, size, size and size / 1000))
    return chosen[-100:]


@pytest.mark.parametrize("make", [LinUcb, Thompson])
@pytest.mark.parametrize(
    ("late", "width"), [((), 0.75), ((0.75,), 0.5), ((0.75, 0.5), 0.25), ((0.25, 0.5), 0.75)]
)
def test_a_bandit_finds_the_best_point_that_is_in_time(make, late, width):
    chosen = play(at_mbps(make(), 8), ladder(), late)

    assert chosen.count(width) >= 90


@pytest.mark.parametrize("make", [LinUcb, Thompson])
def test_a_bandit_follows_a_change(make):
    policy = at_mbps(make(), 8)
    play(policy, ladder(), late=())

    assert play(policy, ladder(), late=(0.75, 0.5)).count(0.25) >= 90


@pytest.mark.parametrize("make", [LinUcb, Thompson])
def test_a_bandit_that_works_alone_still_measures_the_link(make):
    chosen = play(at_mbps(make(probe_every=10), 8), ladder(*THREE, local()), late=())

    assert chosen.count(0.25) == pytest.approx(100 / 11, abs=2)


class TestLinUcb:
    def test_learns_as_ridge_regression_does(self):
        """Three rewards of one point: θ solves (I + Σ xx') θ = Σ r x, both sides discounted."""
        policy = at_mbps(LinUcb(exploration=0, discount=1.0), 8)
        rungs = ladder(THREE[0])
        xs, rewards = [], []
        for frame, (backlog, latency) in enumerate([(0, 100), (30_000, 300), (10_000, 100)]):
            policy.choose(seen(frame=frame, backlog_bytes=backlog), rungs)
            xs.append(policy._pending[frame][1])
            rewards.append(1.0 if latency == 100 else 0.0)
            policy.feedback(ended(frame, THREE[0].point, latency))
        x = np.array(xs)
        theta = np.linalg.solve(np.eye(5) + x.T @ x, x.T @ np.array(rewards))

        assert policy._theta[0] == pytest.approx(theta)

    def test_sees_the_situation_in_shares_of_the_deadline(self):
        """8 Mbit/s: 75 kB take 75 ms, a backlog of 20 kB 20 ms, the round trip 50; of 200 ms."""
        policy = at_mbps(LinUcb(), 8)
        policy.choose(seen(backlog_bytes=20_000), ladder())

        assert policy._pending[0][1] == pytest.approx([1, 0.375, 0.1, 0.25, 0])


def test_thompson_keeps_its_beliefs_by_octave_of_goodput():
    """8 Mbit/s lie in the octave from 2²², and nothing learnt there says anything of 1 Mbit/s."""
    policy, rungs = at_mbps(Thompson(discount=1.0), 8), ladder()
    for frame in range(10):
        policy.feedback(ended(frame, policy.choose(seen(frame=frame), rungs), 300))
    policy.estimator.reset()
    policy.estimator.add(0, 125_000, 1_000_000_000)
    policy.choose(seen(frame=10), rungs)

    assert policy._counts[22].sum() == 6 + 10
    assert policy._counts[19].sum() == 6
