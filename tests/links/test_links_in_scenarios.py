"""Links and transports as scenarios use them: frames, bytes and time add up."""

from __future__ import annotations

import pytest

from testbed.errors import InputErrors
from testbed.scenario import load
from testbed.simulate.run import simulate

SHORT = ["duration_s=12", "seeds=[1]"]
FAST = "clients.0.source={fps: 10}"
TWO = "clients.0.count=2"
TCP = "network.transport={kind: tcp}"
REPLAY = "{kind: replay, trace: lte/drive-a.up, start_s: random}"
WORLDS = {
    "tcp": [TCP, FAST],
    "tcp over a small queue": [TCP, FAST, "network.uplink.queue_bytes=40000"],
    "a connection for each frame": ["network.transport={kind: tcp, connection: per_frame}", FAST],
    "tcp over loss": [
        TCP,
        f"network.uplink={{kind: loss, rate: 0.02, burst: 3, delay_ms: 25, link: {REPLAY}}}",
    ],
    "datagrams": ["network.transport={kind: datagram}", FAST],
    "datagrams with tokens": [
        "network.transport={kind: datagram, busy: newest, tokens: 2}",
        FAST,
        f"network.uplink={{kind: loss, rate: 0.001, delay_ms: 25, link: {REPLAY}}}",
    ],
    "preemption": ["network.transport={kind: datagram, busy: preempt}", FAST],
    "good and bad": [
        "network.uplink={kind: gilbert-elliott, good_mbps: 10, bad_mbps: 0.5, bad_loss: 0.3}"
    ],
    "handover with jitter": [
        "network.uplink={kind: jitter, link: {kind: handover, every_s: 3, "
        f"first: {REPLAY}, second: {{kind: constant, mbps: 3}}}}}}"
    ],
    "outages behind a managed queue": [
        TCP,
        FAST,
        "network.uplink={kind: codel, delay_ms: 25, link: {kind: outage, every_s: 3, "
        "link: {kind: constant, mbps: 6}}}",
    ],
    "sleep": [
        "network.uplink={kind: after-idle, table: [[0.1, 20], [0.4, 60]], "
        "link: {kind: constant, mbps: 20}}"
    ],
    "a queue for two over tcp": [TWO, TCP, "network.uplink.sharing=fifo"],
    "a link each over tcp": [TWO, TCP, "network.uplink.sharing=none"],
    "a cell with loss": [
        TWO,
        "network.uplink={kind: loss, rate: 0.1, link: {kind: constant, mbps: 9}}",
    ],
    "round robin": [TWO, FAST, "network.uplink.sharing=round-robin"],
    "proportional fairness": [TWO, FAST, "network.uplink.sharing=proportional-fair"],
    "contention": [TWO, FAST, "network.uplink={kind: wifi, link: {kind: constant, mbps: 20}}"],
}


def rows_of(changes):
    return simulate(load("quickstart", [*SHORT, *changes]), "narrow", 1)


@pytest.mark.parametrize("changes", WORLDS.values(), ids=WORLDS)
def test_a_run_adds_up_and_repeats(changes):
    rows = rows_of(changes)
    frames = rows.frames.to_pandas()
    assert len(frames) >= 24
    assert frames.fate.notna().all()
    sent = frames[frames.sent_ns.notna()]
    assert len(sent) > 0
    for earlier, later in [
        ("captured_ns", "encode_end_ns"),
        ("encode_end_ns", "send_start_ns"),
        ("send_start_ns", "sent_ns"),
        ("sent_ns", "arrived_ns"),
        ("arrived_ns", "answered_ns"),
    ]:
        both = sent[sent[earlier].notna() & sent[later].notna()]
        assert (both[earlier] <= both[later]).all(), (earlier, later)
    assert (sent.wire_bytes >= sent.payload_bytes).all()
    energy = rows.energy.to_pandas()
    for _, spans in energy.groupby(["client", "component"], observed=True):
        spans = spans.sort_values("start_ns")
        assert (spans.start_ns.to_numpy()[1:] >= spans.end_ns.to_numpy()[:-1]).all()
    again = rows_of(changes)
    assert again.frames.equals(rows.frames)
    assert again.energy.equals(rows.energy)


def mean_latency_ms(changes):
    frames = rows_of(changes).frames.to_pandas()
    answered = frames[frames.answered_ns.notna()]
    return ((answered.answered_ns - answered.captured_ns) / 1e6).mean()


def test_tcp_costs_more_than_nothing():
    """Headers, slow start and hosts; a new connection for each frame costs round trips on top."""
    steady = ["network.uplink={kind: constant, mbps: 20, delay_ms: 25}"]
    ideal = mean_latency_ms(steady)
    long = mean_latency_ms([*steady, TCP])
    fresh = mean_latency_ms([*steady, "network.transport={kind: tcp, connection: per_frame}"])
    assert ideal + 1 < long < ideal + 100
    assert fresh > long + 50


def test_what_a_datagram_loses_is_lost_and_what_it_gives_up_is_late():
    frames = rows_of(
        [
            "network.transport={kind: datagram}",
            "network.uplink={kind: loss, rate: 0.01, link: {kind: constant, mbps: 20}}",
        ]
    ).frames.to_pandas()
    assert set(frames.fate) <= {"on_time", "lost"}
    assert 0.2 < (frames.fate == "lost").mean() < 0.8  # 1 - 0.99^53 = 0.41
    slow = rows_of(
        ["network.transport={kind: datagram}", "network.uplink={kind: constant, mbps: 0.5}"]
    )
    assert set(slow.frames.to_pandas().fate) == {"dropped_deadline"}


@pytest.mark.parametrize(
    "link",
    [
        "{kind: codel, link: {kind: constant, mbps: 20}}",
        "{kind: after-idle, table: [[1, 50]], link: {kind: constant, mbps: 20}}",
    ],
)
def test_what_belongs_to_one_senders_queue_is_refused_in_a_cell(link):
    with pytest.raises(InputErrors, match=r"network\.uplink\.sharing: a link that .* one sender's"):
        rows_of([TWO, f"network.uplink={link}"])


def test_a_link_takes_only_the_kind_of_trace_that_it_can_use(tmp_path):
    """Probes after silences wake a link, and carry nothing: 50 ms, and 150 after five seconds."""
    probes = tmp_path / "probes.csv"
    rows = [f"5G,T,{silence},{50 + 100 * (silence > 5)},0,6,YEP" for silence in range(12)]
    head = "enabled_radio_type,carrier,interval,RTT1,RTT2,active_radio_type,KeepOrDrop"
    probes.write_text("\n".join([head, *rows]) + "\n")
    with pytest.raises(InputErrors, match="needed: opportunities or rate"):
        load("quickstart", [*SHORT, f"network.uplink={{kind: replay, trace: {probes}}}"])
    steady = "{kind: constant, mbps: 20}"
    sleepy = f"network.uplink={{kind: after-idle, trace: {probes}, link: {steady}}}"
    often = mean_latency_ms([sleepy])
    seldom = mean_latency_ms([sleepy, "clients.0.source={fps: 0.15}", "duration_s=30"])
    assert seldom == pytest.approx(often + 100, abs=40)  # the first frame finds it awake
