"""Processor sharing: shares, order, conservation."""

from __future__ import annotations

from fractions import Fraction

import pytest
from curves import MS, S, capacities
from hypothesis import given
from hypothesis import strategies as st

from testbed.links.bianchi import efficiency
from testbed.links.capacity import ConstantRate
from testbed.links.cell import ProcessorSharing
from testbed.links.fifo import FifoLink
from testbed.links.proportional_fair import ProportionalFair
from testbed.links.round_robin import RoundRobin

JOBS = st.lists(
    st.tuples(st.integers(0, 2 * S), st.sampled_from("abc"), st.integers(1, 50_000)), max_size=15
)


def fair(curve, queue_bytes=None):
    """Return a proportionally fair cell whose clients all have the same channel."""
    return ProportionalFair(dict.fromkeys("abc", curve) | {"only": curve}, queue_bytes)


EVERY = pytest.mark.parametrize("discipline", [ProcessorSharing, RoundRobin, fair])


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
    left = play(
        ProcessorSharing(ConstantRate(8_000_000)), [(0, "a", megabyte), (S // 2, "b", megabyte)]
    )
    assert [left[0].sent_ns, left[1].sent_ns] == [3 * S // 2, 2 * S]

    link = FifoLink(ConstantRate(8_000_000))
    assert [link.send(0, megabyte), link.send(S // 2, megabyte)] == [S, 2 * S]


def test_credibility_22_shares_are_recomputed_on_departure_too():
    """Alone from 1 s on, b needs another 1 s for its second half megabyte and its third."""
    jobs = [(0, "a", 500_000), (0, "b", 1_500_000)]
    left = play(ProcessorSharing(ConstantRate(8_000_000)), jobs)
    assert [left[0].sent_ns, left[1].sent_ns] == [1 * S, 2 * S]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_credibility_22_saturating_clients_get_equal_shares(count):
    """N clients that always have something to send get C/N each."""
    cell = ProcessorSharing(ConstantRate(9_999_991))
    jobs = [(0, f"c{i}", 10_000) for i in range(count) for _ in range(20)]
    left = play(cell, jobs)
    horizon_ns = min(left[20 * i + 19].sent_ns for i in range(count))
    for i in range(count):
        got = [left[20 * i + k].sent_ns for k in range(20)]
        for k, sent_ns in enumerate(got):
            fair_ns = Fraction(10_000 * (k + 1) * 8 * count * S, 9_999_991)
            assert abs(sent_ns - fair_ns) < 1 + count
        assert max(got) - horizon_ns <= count


@EVERY
@given(capacities(), JOBS, st.integers(0, 4 * S))
def test_credibility_22_the_shares_never_exceed_the_cell(discipline, curve, jobs, now_ns):
    """At every instant delivered <= offered, and offered bytes are conserved."""
    jobs = sorted(job for job in jobs if job[0] <= now_ns)
    cell = discipline(curve)
    for index, (at_ns, client, size) in enumerate(jobs):
        cell.join(at_ns, client, size, index)
    queued = sum(cell.backlog_bytes(now_ns, client) for client in "abc")
    delivered = cell.offered_bytes - cell.dropped_bytes - queued
    assert cell.offered_bytes == sum(size for _, _, size in jobs)
    assert 0 <= delivered * curve.units_per_byte <= curve.offered(now_ns)


@EVERY
@given(capacities(), JOBS)
def test_for_one_client_it_is_first_in_first_out(discipline, curve, jobs):
    jobs = sorted((at_ns, "only", size) for at_ns, _, size in jobs)
    left = play(discipline(curve), jobs)
    link = FifoLink(curve)
    want = [link.send(at_ns, size) for at_ns, _, size in jobs]
    assert [left[i].sent_ns for i in range(len(jobs))] == want


@pytest.mark.parametrize("discipline", [ProcessorSharing, RoundRobin])
@given(capacities(), JOBS)
def test_the_last_job_ends_when_a_queue_for_all_would_end(discipline, curve, jobs):
    """Sharing changes who waits, not how much work gets done."""
    jobs.sort()
    left = play(discipline(curve), jobs)
    link = FifoLink(curve)
    for at_ns, _, size in jobs:
        link.send(at_ns, size)
    got = max((d.sent_ns for d in left.values()), default=0)
    slack_units = len(jobs) + 1  # each change of shares rounds up to a unit
    assert got >= link.free_ns
    if jobs:
        assert got <= curve.when(max(1, curve.offered(link.free_ns)) + slack_units)


@EVERY
@given(capacities(), JOBS)
def test_who_asks_when_does_not_matter(discipline, curve, jobs):
    """An owner that fetches departures late gets the same ones."""
    jobs.sort()
    prompt = play(discipline(curve), jobs)
    cell, late = discipline(curve), {}
    for index, (at_ns, client, size) in enumerate(jobs):
        cell.join(at_ns, client, size, index)
    while (at_ns := cell.next_ns()) is not None:
        left = cell.depart(at_ns)
        late[left.token] = left
    assert late == prompt


@EVERY
@given(capacities(), JOBS, st.lists(st.integers(0, 4 * S), max_size=8))
def test_looking_changes_nothing(discipline, curve, jobs, looks):
    """Asking for a backlog accounts for what was offered so far, at any instant alike."""
    jobs.sort()
    plain = play(discipline(curve), jobs)
    cell, out = discipline(curve), {}
    looks = sorted(looks)
    for index, (at_ns, client, size) in enumerate(jobs):
        while looks and looks[0] <= at_ns:
            cell.backlog_bytes(looks.pop(0), "a")
        cell.join(at_ns, client, size, index)
    while (at_ns := cell.next_ns()) is not None:
        left = cell.depart(at_ns)
        out[left.token] = left
    assert out.keys() == plain.keys()
    slack_ns = 2 * len(jobs) + 2
    opportunities = curve.units_per_byte == 1
    for index, left in out.items():
        # A look rounds down to a unit's 2⁻³², which may cost an opportunity in the end.
        assert left.sent_ns >= plain[index].sent_ns - slack_ns or opportunities


def stepped_round_robin(jobs, packet_bytes):
    """Serve clients a packet each in turn, at a byte a microsecond, a byte at a time."""
    pending, ring, queues, out, now = sorted(enumerate(jobs), key=lambda j: j[1][0]), [], {}, {}, 0
    turn = packet_bytes
    while pending or ring:
        while pending and pending[0][1][0] <= now:
            index, (_, client, size) = pending.pop(0)
            queues.setdefault(client, []).append([index, size])
            if client not in ring:
                ring.append(client)
                if len(ring) == 1:
                    turn = packet_bytes
        now += 1
        if not ring:
            continue
        client = ring[0]
        queues[client][0][1] -= 1
        turn -= 1
        if queues[client][0][1] == 0:
            out[queues[client].pop(0)[0]] = now
            ring.pop(0)
            turn = packet_bytes
            if queues[client]:
                ring.append(client)
        elif turn == 0:
            ring.append(ring.pop(0))
            turn = packet_bytes
    return out


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from("abc"), st.integers(1, 40)), max_size=10
    ),
    st.integers(1, 12),
)
def test_round_robin_agrees_with_serving_a_byte_at_a_time(jobs, packet_bytes):
    jobs.sort(key=lambda job: job[0])
    want = stepped_round_robin(jobs, packet_bytes)
    cell = RoundRobin(ConstantRate(8_000_000), packet_bytes=packet_bytes)
    got = play(cell, [(at * 1000, client, size) for at, client, size in jobs])
    assert {index: left.sent_ns // 1000 for index, left in got.items()} == want


def test_proportional_fairness_shares_time_not_bytes():
    """8 and 2 Mbit/s, half the time each: 4 and 1 Mbit/s while both are busy."""
    cell = ProportionalFair({"near": ConstantRate(8_000_000), "far": ConstantRate(2_000_000)})
    left = play(cell, [(0, "near", 500_000), (0, "far", 500_000)])
    assert left[0].sent_ns == 1 * S
    # 125 000 bytes in the first second; the other 375 000 alone, at 2 Mbit/s.
    assert left[1].sent_ns == 1 * S + 1500 * MS


def test_contention_costs_what_bianchi_says():
    """Two stations that always send get half of S(2)/S(1) each."""
    cell = ProcessorSharing(
        ConstantRate(8_000_000), efficiency=lambda n: efficiency("bianchi-2000", n)
    )
    left = play(cell, [(0, "a", 100_000), (0, "b", 100_000)])
    share = efficiency("bianchi-2000", 2) / 1e6
    assert share == pytest.approx(0.8473 / 0.8388, abs=2e-4)
    assert left[0].sent_ns == left[1].sent_ns == pytest.approx(200 * MS / share, rel=1e-6)


def test_within_a_client_order_is_kept_and_a_full_queue_refuses():
    cell = ProcessorSharing(ConstantRate(8_000_000), queue_bytes=3000)
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
