"""Processor sharing: shares, order, conservation."""

from __future__ import annotations

from fractions import Fraction

import pytest
from curves import MS, S, capacities
from hypothesis import given
from hypothesis import strategies as st

from testbed.links.capacity import ConstantRate
from testbed.links.cell import SharedCell
from testbed.links.fifo import FifoLink

JOBS = st.lists(
    st.tuples(st.integers(0, 2 * S), st.sampled_from("abc"), st.integers(1, 50_000)), max_size=15
)


def play(cell, jobs):
    """Run (arrival, client, bytes) jobs to the end; return {index: departure}."""
    out = {}

    def drain(until_ns):
        while (at_ns := cell.next_ns()) is not None and (until_ns is None or at_ns <= until_ns):
            left = cell.depart(at_ns)
            out[left.token] = left

    for index, (at_ns, client, size) in enumerate(jobs):
        drain(at_ns)
        cell.join(at_ns, client, size, index)
    drain(None)
    return out


def test_credibility_22_processor_sharing():
    """Two 1 s jobs at 0 and 0.5 s end at 1.5 and 2.0 s; first in first out, at 1.0 and 2.0 s."""
    megabyte = 1_000_000  # at 8 Mbit/s, 1 s
    left = play(SharedCell(ConstantRate(8_000_000)), [(0, "a", megabyte), (S // 2, "b", megabyte)])
    assert [left[0].sent_ns, left[1].sent_ns] == [3 * S // 2, 2 * S]

    link = FifoLink(ConstantRate(8_000_000))
    assert [link.send(0, megabyte), link.send(S // 2, megabyte)] == [S, 2 * S]


def test_credibility_22_shares_are_recomputed_on_departure_too():
    """Alone from 1 s on, b needs another 1 s for its second half megabyte and its third."""
    jobs = [(0, "a", 500_000), (0, "b", 1_500_000)]
    left = play(SharedCell(ConstantRate(8_000_000)), jobs)
    assert [left[0].sent_ns, left[1].sent_ns] == [1 * S, 2 * S]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_credibility_22_saturating_clients_get_equal_shares(count):
    """N clients that always have something to send get C/N each."""
    cell = SharedCell(ConstantRate(9_999_991))
    jobs = [(0, f"c{i}", 10_000) for i in range(count) for _ in range(20)]
    left = play(cell, jobs)
    horizon_ns = min(left[20 * i + 19].sent_ns for i in range(count))
    for i in range(count):
        got = [left[20 * i + k].sent_ns for k in range(20)]
        for k, sent_ns in enumerate(got):
            fair_ns = Fraction(10_000 * (k + 1) * 8 * count * S, 9_999_991)
            assert abs(sent_ns - fair_ns) < 1 + count
        assert max(got) - horizon_ns <= count


@given(capacities(), JOBS, st.integers(0, 4 * S))
def test_credibility_22_the_shares_never_exceed_the_cell(curve, jobs, now_ns):
    """At every instant delivered <= offered, and offered bytes are conserved."""
    jobs = sorted(job for job in jobs if job[0] <= now_ns)
    cell = SharedCell(curve)
    for index, (at_ns, client, size) in enumerate(jobs):
        cell.join(at_ns, client, size, index)
    queued = sum(cell.backlog_bytes(now_ns, client) for client in "abc")
    delivered = cell.offered_bytes - cell.dropped_bytes - queued
    assert cell.offered_bytes == sum(size for _, _, size in jobs)
    assert 0 <= delivered * curve.units_per_byte <= curve.offered(now_ns)


@given(capacities(), JOBS)
def test_for_one_client_it_is_first_in_first_out(curve, jobs):
    jobs = sorted((at_ns, "only", size) for at_ns, _, size in jobs)
    left = play(SharedCell(curve), jobs)
    link = FifoLink(curve)
    want = [link.send(at_ns, size) for at_ns, _, size in jobs]
    got = [left[i].sent_ns for i in range(len(jobs))]
    if curve.units_per_byte == 1:
        assert got == want
    else:
        # A cell forgets the fraction of a microbit that an idle link has offered; so does a link.
        assert all(abs(a - b) <= 1 for a, b in zip(got, want, strict=True))


@given(capacities(), JOBS)
def test_the_last_job_ends_when_a_queue_for_all_would_end(curve, jobs):
    """Sharing changes who waits, not how much work gets done."""
    jobs.sort()
    left = play(SharedCell(curve), jobs)
    link = FifoLink(curve)
    for at_ns, _, size in jobs:
        link.send(at_ns, size)
    got = max((d.sent_ns for d in left.values()), default=0)
    slack_units = len(jobs) + 1  # each change of shares rounds up to a unit
    assert got >= link.free_ns
    if jobs:
        assert got <= curve.when(max(1, curve.offered(link.free_ns)) + slack_units)


@given(capacities(), JOBS)
def test_who_asks_when_does_not_matter(curve, jobs):
    """An owner that fetches departures late gets the same ones."""
    jobs.sort()
    prompt = play(SharedCell(curve), jobs)
    cell, late = SharedCell(curve), {}
    for index, (at_ns, client, size) in enumerate(jobs):
        cell.join(at_ns, client, size, index)
    while (at_ns := cell.next_ns()) is not None:
        left = cell.depart(at_ns)
        late[left.token] = left
    assert late == prompt


def test_within_a_client_order_is_kept_and_a_full_queue_refuses():
    cell = SharedCell(ConstantRate(8_000_000), queue_bytes=3000)
    assert cell.join(0, "a", 2000, "first")
    assert cell.join(0, "a", 1000, "second")
    assert not cell.join(0, "a", 1, "third")
    assert cell.join(0, "b", 3000, "other")
    assert cell.dropped_bytes == 1
    left = []
    while (at_ns := cell.next_ns()) is not None:
        departure = cell.depart(at_ns)
        left.append((departure.token, departure.start_ns // MS, departure.sent_ns // MS))
    assert left == [("first", 0, 4), ("other", 0, 6), ("second", 4, 6)]
