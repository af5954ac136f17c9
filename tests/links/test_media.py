"""What can stand around a capacity: loss, delay, sleep, managed queues, other links, outages."""

from __future__ import annotations

import math
import runpy
from itertools import groupby, pairwise
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from curves import MS, S
from lossy import play

from testbed.errors import TraceError
from testbed.links import links
from testbed.links.capacity import ConstantRate
from testbed.links.codel import CodelQueue
from testbed.links.constant import Constant
from testbed.links.delay import AfterIdle, DelaySeries, Jitter
from testbed.links.fifo import FifoLink
from testbed.links.gilbert_elliott import GilbertElliott
from testbed.links.handover import Handover
from testbed.links.loss import RandomLoss
from testbed.links.outage import Outage
from testbed.links.replay import Replay
from testbed.links.shared import Shared
from testbed.links.tcp.transport import Tcp
from testbed.links.wifi import Wifi
from testbed.streams import stream
from testbed.testing import check_link

TEN = Constant(mbps=10)
BYTE_A_US = Constant(mbps=8)


def examples(tmp_path):
    """Return an instance of every registered link, some of them in one another."""
    series = tmp_path / "series.txt"
    series.write_text("\n".join(f"{i * 0.05:.3f} {20 + i % 7}" for i in range(200)) + "\n")
    steady = tmp_path / "steady.up"
    steady.write_text("\n".join(map(str, range(1, 1000))) + "\n")
    replay = Replay(trace=str(steady), start_s="random")
    return {
        "after-idle": AfterIdle(link=TEN, table=((0.02, 5.0), (0.1, 40.0))),
        "codel": CodelQueue(link=Constant(mbps=1)),
        "constant": TEN,
        "gilbert-elliott": GilbertElliott(
            good_mbps=10, bad_mbps=0.5, good_s=1, bad_s=0.2, good_loss=0.01, bad_loss=0.3
        ),
        "handover": Handover(first=replay, second=TEN, every_s=0.3),
        "jitter": Jitter(link=RandomLoss(link=TEN, rate=0.05, burst=3)),
        "loss": RandomLoss(link=replay, rate=0.2),
        "outage": Outage(link=replay, every_s=0.5, short_s=0.1, long_s=0.4, long_share=0.3),
        "replay": replay,
        "shared": Shared(link=replay, among=3),
        "wifi": Wifi(link=TEN),
    }


@pytest.mark.parametrize("name", sorted(set(links) - {"delay"}))
def test_every_link_keeps_its_promises(name, tmp_path):
    """Whoever registers a link has it tested on the same day, once it has an example here."""
    assert set(examples(tmp_path)) >= set(links) - {"delay"}, "add an example of the new link"
    check_link(lambda: examples(tmp_path)[name])


def test_a_bare_model_can_be_held_to_them_too():
    check_link(lambda: FifoLink(ConstantRate(10**6), 5 * MS, 30_000))


def test_the_link_of_the_manual_keeps_them(tmp_path):
    """The example of docs/links.md, as it stands there."""
    page = Path(__file__).resolve().parents[2] / "docs" / "links.md"
    example = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    file = tmp_path / "tunnel.py"
    file.write_text(example, encoding="utf-8")
    tunnel = runpy.run_path(str(file))["Tunnel"]
    check_link(lambda: tunnel(link=BYTE_A_US))


class Forgetful(FifoLink):
    """A link that breaks a promise: it does not remember what it has accepted."""

    def send(self, arrival_ns, size_bytes):
        self.free_ns = arrival_ns + size_bytes
        return self.free_ns


class Fractional(FifoLink):
    """A link that breaks a promise: its times are not whole."""

    def send(self, arrival_ns, size_bytes):
        super().send(arrival_ns, size_bytes)
        self.free_ns += 0.5
        return self.free_ns


class Secretive(FifoLink):
    """A link that breaks a promise: it drops and denies it."""

    may_drop = False


class Overtaking(FifoLink):
    """A link that breaks a promise: some packets are faster than propagation."""

    def arrive(self, release_ns):
        return release_ns


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Forgetful, "not in the backlog"),
        (Fractional, "not a whole number"),
        (Secretive, "although `may_drop`"),
        (Overtaking, "faster than propagation"),
    ],
)
def test_the_referee_sees_a_broken_promise(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_link(lambda: broken(ConstantRate(10**7), 5 * MS, 3000))


# -- a part of a link ----------------------------------------------------------------------------


def test_one_of_four_has_a_link_of_a_quarter_of_the_rate():
    quarter = Shared(link=BYTE_A_US, among=4).open(stream(1, "link"), 5 * MS)

    assert quarter.send(0, 1000) == 4 * MS  # 1000 bytes of 8 bits at 2 Mbit/s
    assert quarter.send(1 * MS, 500) == 6 * MS
    assert quarter.backlog_bytes(5 * MS) == 250
    assert quarter.arrive(6 * MS) == 11 * MS


def test_one_of_three_gets_a_third_of_every_opportunity(tmp_path):
    """An opportunity of 1500 bytes each ms: 500 of them are ours, and none is saved."""
    steady = tmp_path / "steady.up"
    steady.write_text("\n".join(map(str, range(1, 1000))) + "\n")
    third = Shared(link=Replay(trace=str(steady)), among=3).open(stream(1, "link"))

    assert third.send(0, 500) == 1 * MS
    assert third.send(0, 501) == 3 * MS  # 500 at 2 ms, the last byte at 3 ms
    assert third.send(10 * MS, 1500) == 13 * MS


def test_parts_of_a_link_lose_nothing_of_it():
    """Over an hour of an odd rate, the parts add up to the whole but for less than a unit each."""
    whole = ConstantRate(999_999_937)
    part = Shared(link=Constant(mbps=999.999937), among=7).medium(stream(1, "link")).capacity
    hour = 3600 * S

    assert 0 <= whole.offered(hour) - 7 * part.offered(hour) < 7
    for units in (1, 12_345, part.offered(hour)):
        at = part.when(units)
        assert part.offered(at) >= units > part.offered(at - 1)


# -- loss ----------------------------------------------------------------------------------------


def runs_of_losses(link, count):
    gone = [link.arrive(link.send(0, 100)) is None for _ in range(count)]
    return gone, [len(list(group)) for lost, group in groupby(gone) if lost]


def test_gilberts_chain_loses_3_846_percent_in_bursts_of_four():
    """p = 0.01 and r = 0.25: a share of 1/26, four at a time."""
    part = RandomLoss(link=TEN, rate=1 / 26, burst=4)
    gone, bursts = runs_of_losses(part.open(stream(1, "loss")), 400_000)
    assert mean(gone) == pytest.approx(0.03846, rel=0.03)
    assert mean(bursts) == pytest.approx(4, rel=0.03)


def test_independent_loss_has_no_memory():
    """At 10 %, a loss follows a loss as often as anything else: bursts of 1/0.9."""
    gone, bursts = runs_of_losses(RandomLoss(link=TEN, rate=0.1).open(stream(1, "x")), 200_000)
    assert mean(gone) == pytest.approx(0.1, rel=0.03)
    assert mean(bursts) == pytest.approx(1 / 0.9, rel=0.02)


def test_losses_add_up():
    inner = RandomLoss(link=TEN, rate=0.1)
    gone, _ = runs_of_losses(RandomLoss(link=inner, rate=0.2).open(stream(1, "x")), 100_000)
    assert mean(gone) == pytest.approx(1 - 0.9 * 0.8, rel=0.03)


def test_a_lost_packet_has_taken_its_capacity():
    link = RandomLoss(link=BYTE_A_US, rate=0.999).open(stream(1, "x"))
    assert link.send(0, 1000) == 1 * MS
    assert link.arrive(1 * MS) is None
    assert link.send(0, 1000) == 2 * MS


def test_more_loss_than_bursts_can_hold_is_refused():
    with pytest.raises(ValueError, match="burst is too short"):
        RandomLoss(link=TEN, rate=0.9, burst=2)


# -- rates ---------------------------------------------------------------------------------------


def test_gilbert_elliott_has_the_mean_of_its_states():
    """9 s at 10 Mbit/s and 1 s at 1 Mbit/s: 9.1 Mbit/s over a long time."""
    part = GilbertElliott(good_mbps=10, bad_mbps=1, good_s=9, bad_s=1)
    curve = part.medium(stream(3, "x")).capacity
    hours = 20 * 3600 * S
    assert curve.offered(hours) / 1e6 / (hours / S) == pytest.approx(9.1e6, rel=0.02)


def test_gilbert_elliott_loses_by_its_state():
    part = GilbertElliott(good_mbps=8, bad_mbps=8, good_s=3, bad_s=1, good_loss=0, bad_loss=0.4)
    link = part.open(stream(3, "x"))
    gone = [link.arrive(link.send(at, 100)) is None for at in range(0, 4000 * S, 50 * MS)]
    assert mean(gone) == pytest.approx(0.1, rel=0.1)


def test_a_handover_interrupts_and_changes_the_rate():
    """8 Mbit/s for a second, nothing for 50 ms, then 4 Mbit/s."""
    part = Handover(first=BYTE_A_US, second=Constant(mbps=4), every_s=1, gap_ms=50, lengths="fixed")
    link = part.open(stream(1, "x"))
    assert link.send(0, 1_000_000) == 1 * S
    assert link.send(0, 1) == 1 * S + 50 * MS + 2000
    assert link.send(1 * S, 499_999) == 2 * S + 50 * MS
    assert link.send(0, 1) == 2 * S + 100 * MS + 1000  # and back


def test_a_handover_takes_loss_and_delay_from_the_link_in_use():
    far = Jitter(link=BYTE_A_US, shift_ms=40, mu=-10, sigma=0)
    part = Handover(first=BYTE_A_US, second=far, every_s=1, gap_ms=0, lengths="fixed")
    link = part.open(stream(1, "x"), delay_ns=5 * MS)
    assert link.arrive(link.send(0, 1000)) == 6 * MS
    late = link.arrive(link.send(1500 * MS, 1000))
    assert late == pytest.approx(1501 * MS + 25 * MS, abs=0.1 * MS)


def test_a_handover_between_sleeping_links_is_refused():
    part = Handover(first=AfterIdle(link=TEN, table=((1.0, 10.0),)), second=TEN)
    with pytest.raises(ValueError, match="first must not sleep"):
        part.medium(stream(1, "x"))


def test_a_given_outage_stops_everything():
    part = Outage(link=BYTE_A_US, at=((0.010, 0.110), (0.2, 0.3)))
    link = part.open(stream(1, "x"))
    assert link.send(0, 10_000) == 10 * MS
    assert link.send(0, 1000) == 111 * MS
    assert link.send(150 * MS, 51_000) == 301 * MS


def test_random_outages_have_the_lengths_asked_for():
    """0.2 of 8 s and 0.8 of 1.5 s, 30 s apart: 2.8 s of 32.8 s are lost."""
    part = Outage(link=Constant(mbps=1), every_s=30, short_s=1.5, long_s=8, long_share=0.2)
    curve = part.medium(stream(5, "x")).capacity
    days = 3 * 24 * 3600 * S
    lost = 1 - curve.offered(days) / 1e6 / (days / S) / 1e6
    assert lost == pytest.approx(2.8 / 32.8, rel=0.06)


@pytest.mark.parametrize("at", [((2.0, 1.0),), ((1.0, 2.0), (1.5, 3.0)), ((-1.0, 2.0),)])
def test_outages_that_make_no_sense_are_refused(at):
    with pytest.raises(ValueError, match="at must hold pairs"):
        Outage(link=TEN, at=at)


# -- delay ---------------------------------------------------------------------------------------


def test_jitter_has_the_quantiles_of_a_shifted_lognormal():
    """Shift 11, mu 1.7, sigma 0.5: round trips of 16.5 ms in the median and 23.5 at p95."""
    link = Jitter(link=Constant(mbps=1e6), share=1.0).open(stream(1, "x"))
    delays = []
    for i in range(20_000):
        release_ns = link.send(i * 55 * MS, 1)
        delays.append((link.arrive(release_ns) - release_ns) / 1e6)
    assert np.quantile(delays, 0.5) == pytest.approx(11 + math.exp(1.7), rel=0.01)
    assert np.quantile(delays, 0.95) == pytest.approx(11 + math.exp(1.7 + 1.645 * 0.5), rel=0.02)
    steps = np.corrcoef(delays[1:], delays[:-1])[0, 1]
    assert abs(steps) < 0.03


def test_a_delay_series_is_followed_halved_and_repeated(tmp_path):
    """Round trips of 20, 40 and 30 ms at 0, 1 and 2 s, over and over."""
    from testbed.links import recorded
    from testbed.traces.trace import Trace

    trace = Trace(
        kind="delay",
        stamps_ns=np.array([0, 1, 2]) * S,
        period_ns=3 * S,
        delays_ns=np.array([20, 40, 30]) * MS,
        sha256="ab" * 32,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded.traces, "read_cached", lambda *_: trace)
        link = DelaySeries(link=Constant(mbps=1e6), trace="x").open(stream(1, "x"), 5 * MS)
        for at_s, half_ms in [(0.5, 10), (1.5, 20), (2.5, 15), (3.5, 10)]:
            release_ns = link.send(round(at_s * S), 1)
            assert link.arrive(release_ns) - release_ns == (5 + half_ms) * MS
        with pytest.raises(TraceError, match="has changed"):
            DelaySeries(link=TEN, trace="x", sha256="cd" * 32).medium(stream(1, "x"))
        with pytest.raises(TraceError, match="needed: 'opportunities' or 'rate'"):
            Replay(trace="x").medium(stream(1, "x"))


def test_order_is_kept_when_a_delay_falls():
    """Inside a spike everything queued is released at once, order kept."""
    link = Jitter(link=BYTE_A_US, shift_ms=0, mu=3, sigma=1.5, every_ms=1).open(stream(2, "x"))
    arrivals = [link.arrive(link.send(i * MS, 500)) for i in range(2000)]
    assert arrivals == sorted(arrivals)
    assert sum(a == b for a, b in pairwise(arrivals)) > 100


def test_a_link_that_sleeps_takes_time_to_wake():
    """40 ms after 100 ms of silence, 5 after 20; what comes meanwhile waits with it."""
    part = AfterIdle(link=BYTE_A_US, table=((0.02, 5.0), (0.1, 40.0)))
    link = part.open(stream(1, "x"))
    assert link.send(10 * MS, 1000) == 11 * MS  # awake yet
    assert link.send(40 * MS, 1000) == 46 * MS
    assert link.send(200 * MS, 1000) == 241 * MS
    assert link.backlog_bytes(220 * MS) == 1000
    assert link.send(220 * MS, 1000) == 242 * MS
    assert link.backlog_bytes(230 * MS) == 2000
    assert link.send(245 * MS, 1000) == 246 * MS


def test_measured_probes_say_how_long_it_takes():
    from testbed.links import recorded
    from testbed.traces.trace import Trace

    trace = Trace(
        kind="delay-after-idle",
        stamps_ns=np.array([0, 0, 0, 1, 1]) * S,
        period_ns=1 * S,
        delays_ns=np.array([48, 50, 60, 90, 110]) * MS,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded.traces, "read_cached", lambda *_: trace)
        link = AfterIdle(link=Constant(mbps=1e6), trace="x").open(stream(1, "x"))
    waits = {round((link.send(at, 1) - at) / 1e6) for at in range(2 * S, 100 * S, 2 * S)}
    assert waits == {40, 60}


@pytest.mark.parametrize(
    "options", [{}, {"table": ((1.0, 5.0),), "trace": "x"}, {"table": ((2.0, 5.0), (1.0, 9.0))}]
)
def test_a_sleep_needs_one_table_in_order(options):
    with pytest.raises(ValueError, match="table"):
        AfterIdle(link=TEN, **options)


# -- queues --------------------------------------------------------------------------------------


def test_credibility_13_a_buffer_is_latency():
    """Drop-tail of 125 000 B at 12 Mbit/s adds at most 83.3 ms."""
    link = FifoLink(ConstantRate(12_000_000), 20 * MS, queue_bytes=125_000)
    waits = [link.send(0, 1500) for _ in range(200)]
    longest = max(wait for wait in waits if wait is not None)
    assert longest <= 83_333_334
    assert longest == pytest.approx(83.3 * MS, abs=1 * MS)
    assert link.free_ns - 0 == 8e9 * min(200 * 1500, 125_000 // 1500 * 1500) / 12e6


def long_flow(link, seconds):
    """Run one endless transfer; return the waiting times of its packets after a second, ms."""
    connection = Tcp(host_ms=0).connect(link, link.delay_ns)
    waits = []
    send = link.send

    def watched(arrival_ns, size_bytes):
        release_ns = send(arrival_ns, size_bytes)
        if release_ns is not None and arrival_ns > 1 * S:
            waits.append((release_ns - arrival_ns) / 1e6)
        return release_ns

    class Watched:
        def __getattr__(self, name):
            return watched if name == "send" else getattr(link, name)

    connection = Tcp(host_ms=0).connect(Watched(), link.delay_ns)
    for _ in range(200):
        connection.send(0, 500_000, lambda delivery: None)
    while (at_ns := connection.next_ns) is not None and at_ns < seconds * S:
        connection.advance(at_ns)
    return waits


def test_credibility_13_codel_holds_a_long_flow_near_its_target():
    """12 Mbit/s, 20 ms each way: drop-tail of a second stands full, CoDel near 5 ms."""
    tail = FifoLink(ConstantRate(12_000_000), 20 * MS, queue_bytes=1_500_000)
    managed = CodelQueue(link=Constant(mbps=12)).open(stream(1, "x"), 20 * MS)
    bloated, held = long_flow(tail, 20), long_flow(managed, 20)
    assert np.median(bloated) > 200
    assert 1 < np.median(held) < 12
    assert managed.dropped_bytes < 0.02 * managed.offered_bytes
    # And the link stays busy: at least nine tenths of what 20 s offer.
    assert managed.offered_bytes - managed.dropped_bytes > 0.9 * 20 * 1_500_000


def test_codel_leaves_short_queues_alone():
    """Bursts that drain within an interval lose nothing."""
    link = CodelQueue(link=BYTE_A_US).open(stream(1, "x"))
    sent = [link.send(burst * 100 * MS, 1500) for burst in range(50) for _ in range(30)]
    assert None not in sent


def test_tcp_over_a_lossy_link_gets_everything_through():
    link = RandomLoss(link=TEN, rate=0.02, burst=2).open(stream(1, "x"), 20 * MS)
    deliveries = play(Tcp().connect(link, 20 * MS), [(i * 200 * MS, 50_000) for i in range(50)])
    assert all(delivery.arrived_ns is not None for delivery in deliveries)
    assert sum(delivery.wire_bytes for delivery in deliveries) > 50 * Tcp().wire_bytes(50_000)
