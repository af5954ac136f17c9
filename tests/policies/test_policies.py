"""Every registered policy against the referee, and each on a case worked by hand."""

from __future__ import annotations

import pytest
from policy_frames import fresh, seen, uploaded

from testbed.model import SKIP, Fate, OperatingPoint, Outcome
from testbed.policies import policies
from testbed.policies.fixed import Fixed
from testbed.policies.goodput import Goodput
from testbed.policies.random import Random
from testbed.testing import check_policy, example_ladder

MS = 1_000_000


@pytest.mark.parametrize("name", [name for name in policies if name != "learned"])
def test_every_policy_keeps_its_promises(name):
    """Whoever registers a policy has it tested on the same day, with its default options.

    `learned` has no default: which network it needs depends on the ladder.
    """
    check_policy(policies.load(name))


class Sticky(Random):
    """A policy that breaks a promise: it does not forget."""

    seen = 0

    def choose(self, seen, ladder):
        self.seen += 1
        return ladder[min(self.seen // 100, 3)].point


class Foreign(Random):
    """A policy that breaks a promise: it invents an operating point."""

    def choose(self, seen, ladder):
        return OperatingPoint(0.123)


class Meddler(Random):
    """A policy that breaks a promise: it changes what it is shown."""

    def choose(self, seen, ladder):
        seen.backlog_bytes = -1
        return ladder[0].point


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [(Sticky, "forget"), (Foreign, "not on the ladder"), (Meddler, "changed the observation")],
)
def test_the_referee_sees_a_broken_promise(broken, complaint):
    """The referee is worth something only if it can fail."""
    with pytest.raises(AssertionError, match=complaint):
        check_policy(broken)


def test_fixed_keeps_to_its_point():
    policy = fresh(Fixed(width=0.5))

    assert policy.choose(seen(), example_ladder()) == OperatingPoint(0.5)


def test_fixed_refuses_a_width_the_ladder_does_not_have():
    with pytest.raises(ValueError, match=r"α=0.3 8 bit is not on the ladder, which has α=0.25"):
        Fixed(width=0.3).check(example_ladder())


def test_fixed_can_skip():
    policy = fresh(Fixed(mode="skip"))

    assert policy.choose(seen(), example_ladder(skip=True)) == SKIP


def test_random_visits_every_point():
    policy = fresh(Random())

    chosen = {policy.choose(seen(), example_ladder()).width for _ in range(100)}

    assert chosen == {0.25, 0.5, 0.75, 1.0}


def test_goodput_begins_with_the_least():
    assert fresh(Goodput()).choose(seen(), example_ladder(skip=True)) == OperatingPoint(0.25)


def test_goodput_never_skips():
    """A skipped frame would fit always, and no upload would ever refresh the estimate."""
    policy = fresh(Goodput())
    policy.feedback(uploaded(1_000, 1000))

    assert policy.choose(seen(), example_ladder(skip=True)) == OperatingPoint(0.25)


def test_goodput_takes_the_smaller_of_two_means():
    """Two uploads of 1 s each, 8 then 4 Mbit/s: the fast mean falls further, and counts."""
    policy = fresh(Goodput())
    policy.feedback(uploaded(1_000_000, 1000))
    policy.feedback(uploaded(500_000, 1000))

    old, new = (1 - 0.5 ** (1 / 3)) * 0.5 ** (1 / 3), 1 - 0.5 ** (1 / 3)
    fast = (old * 8e6 + new * 4e6) / (old + new)
    assert policy.estimator.bps(0) == pytest.approx(fast)


@pytest.mark.parametrize(
    ("mbps", "width"),
    [
        # 100 ms for the payload at the safety of 0.9 allow 11 250 bytes a Mbit/s.
        (2.0, 0.25),  # 22 500: not even α = 0.25 fits; the least keeps the estimate fresh
        (4.0, 0.25),  # 45 000
        (4.5, 0.5),  # 50 625
        (7.0, 0.75),  # 78 750
        (100.0, 0.75),  # everything fits: α = 0.75 is better than α = 1
    ],
)
def test_goodput_takes_the_best_that_the_link_sustains(mbps, width):
    policy = fresh(Goodput())
    policy.feedback(uploaded(round(mbps * 125_000), 1000))

    assert policy.choose(seen(deadline_ns=10_000 * MS), example_ladder()).width == width


@pytest.mark.parametrize(
    ("deadline_ms", "width"),
    [
        # At 9 Mbit/s net of safety, ms: encode 20 α + payload 88.9 α + 50 round trip + 5 decode.
        (81, 0.25),
        (82.3, 0.25),
        (109.5, 0.5),
        (137, 0.75),
    ],
)
def test_goodput_takes_the_best_that_is_in_time(deadline_ms, width):
    policy = fresh(Goodput())
    policy.feedback(uploaded(1_250_000, 1000))

    chosen = policy.choose(seen(deadline_ns=round(deadline_ms * MS)), example_ladder())

    assert chosen.width == width


def test_goodput_counts_the_backlog():
    """22.5 kB that wait take 20 ms of the deadline at 9 Mbit/s."""
    policy = fresh(Goodput())
    policy.feedback(uploaded(1_250_000, 1000))

    without = policy.choose(seen(deadline_ns=110 * MS), example_ladder())
    behind = policy.choose(seen(deadline_ns=110 * MS, backlog_bytes=22_500), example_ladder())

    assert (without.width, behind.width) == (0.5, 0.25)


def test_goodput_learns_nothing_from_what_did_not_get_through():
    policy = fresh(Goodput())
    policy.feedback(Outcome(0, 0, OperatingPoint(1.0), Fate.LOST, 1000, None, None))

    assert policy.estimator.bps(0) is None
