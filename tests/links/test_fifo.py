"""One queue in front of one curve: order, conservation, and the credibility tests of a link."""

from __future__ import annotations

import pytest
from curves import MS, S, capacities, opportunities
from hypothesis import given
from hypothesis import strategies as st

from testbed.links.capacity import ConstantRate, Opportunities
from testbed.links.fifo import FifoLink

ARRIVALS = st.lists(st.tuples(st.integers(0, 3 * S), st.integers(1, 60_000)), max_size=25)


def test_credibility_1_bits_not_bytes():
    """442 368 B at 10 Mbit/s take 353.8944 ms."""
    link = FifoLink(ConstantRate(10_000_000))
    assert link.send(0, 442_368) == 353_894_400


@given(
    capacities(),
    ARRIVALS,
    st.one_of(st.none(), st.integers(1, 100_000)),
    st.integers(0, 5 * S),
)
def test_credibility_1_conservation(curve, arrivals, queue_bytes, now_ns):
    """Offered = delivered + dropped + queued, in whole bytes, at any instant."""
    link = FifoLink(curve, queue_bytes=queue_bytes)
    arrivals = sorted(a for a in arrivals if a[0] <= now_ns)
    sent = [(link.send(at_ns, size), size) for at_ns, size in arrivals]
    dropped = sum(size for left_ns, size in sent if left_ns is None)
    waiting = [size for left_ns, size in sent if left_ns is not None and left_ns > now_ns]
    queued = link.backlog_bytes(now_ns)
    assert link.offered_bytes == sum(size for _, size in sent)
    assert link.dropped_bytes == dropped
    # Only the first of those that wait can be out in part.
    assert sum(waiting[1:]) < queued <= sum(waiting) if waiting else queued == 0
    if queue_bytes is not None:
        assert queued <= queue_bytes


@given(capacities(), ARRIVALS)
def test_first_in_first_out(curve, arrivals):
    link = FifoLink(curve)
    releases = [link.send(at_ns, size) for at_ns, size in sorted(arrivals)]
    assert releases == sorted(releases)
    assert all(
        left_ns > at_ns for left_ns, (at_ns, _) in zip(releases, sorted(arrivals), strict=True)
    )


def test_credibility_2_propagation_is_not_capacity():
    """100 tiny messages 1 ms apart over 100 ms: the last arrives at 199 ms, not after 10 s."""
    link = FifoLink(ConstantRate(10**12), delay_ns=100 * MS)
    arrived = [link.send(k * MS, 1) + link.delay_ns for k in range(100)]
    assert arrived[-1] == 199 * MS + 1  # a byte at 1 Tbit/s, rounded up to a nanosecond


def test_credibility_5_mahimahi_semantics():
    """One opportunity a millisecond: 306 full packets take 306 ms, whatever their queue."""
    link = FifoLink(Opportunities(opportunities(1), opportunity_bytes=1504), delay_ns=40 * MS)
    left = [link.send(0, 1448 + 52 + 4) for _ in range(306)]
    assert left == [k * MS for k in range(1, 307)]  # the propagation delay is no part of it


def test_credibility_5_a_byte_more_needs_the_next_opportunity():
    link = FifoLink(Opportunities(opportunities(1), opportunity_bytes=1504))
    assert link.send(0, 1505) == 2 * MS
    assert link.send(1 * MS, 1503) == 2 * MS  # the rest of the second one
    assert link.send(1 * MS, 1) == 3 * MS


def test_credibility_5_idle_opportunities_are_not_saved():
    link = FifoLink(Opportunities(opportunities(1)))
    assert link.send(95 * MS, 2 * 1500) == 97 * MS


def test_credibility_5_the_period_is_the_last_timestamp():
    link = FifoLink(Opportunities(opportunities(2, 5)))
    assert [link.send(0, 1500) // MS for _ in range(5)] == [2, 5, 7, 10, 12]


def test_an_opportunity_at_the_instant_of_an_arrival_has_passed():
    """So a packet never takes no time, and a frame at 100 ms fares as one at 0 does."""
    link = FifoLink(Opportunities(opportunities(1)))
    assert link.send(0, 1500) == 1 * MS
    assert link.send(100 * MS, 1500) == 101 * MS


def test_a_full_queue_refuses_the_newcomer_and_keeps_the_rest():
    """8 Mbit/s is a byte a microsecond."""
    link = FifoLink(ConstantRate(8_000_000), queue_bytes=3000)
    assert link.send(0, 2000) == 2 * MS
    assert link.send(0, 1001) is None
    assert link.send(0, 1000) == 3 * MS
    assert link.send(500_000, 500) == 3_500_000  # half a kilobyte has left
    assert (link.offered_bytes, link.dropped_bytes) == (4501, 1001)


@pytest.mark.parametrize("bps", [1_000_000, 12_000_000])
def test_backlog_drains_at_the_rate_of_the_link(bps):
    link = FifoLink(ConstantRate(bps))
    link.send(0, 100_000)
    assert link.backlog_bytes(0) == 100_000
    assert link.backlog_bytes(10 * MS) == 100_000 - bps // 800
    assert link.backlog_bytes(link.free_ns) == 0
