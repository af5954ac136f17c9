"""Converting between opportunities, rates and tc schedules loses nothing."""

import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from testbed.errors import TestbedError
from testbed.traces import convert, read, read_source, write
from testbed.traces.source import Source
from testbed.traces.trace import Trace

MS = 1_000_000


def opportunities(stamps_ms):
    stamps = np.array(stamps_ms, np.int64) * MS
    return Trace("opportunities", stamps, int(stamps[-1]), format="mahimahi")


def rates(steps_ms, mbps, period_ms):
    starts = np.array(steps_ms, np.int64) * MS
    bps = np.array([round(rate * 1e6) for rate in mbps], np.int64)
    return Trace("rate", starts, period_ms * MS, bps, format="rate-csv")


def packets_until(trace, at_ns):
    """Packets of 1500 bytes that a saturated link has carried before `at_ns`."""
    if trace.kind == "opportunities":
        return float(np.searchsorted(trace.stamps_ns, at_ns, "left"))
    edges = np.append(trace.stamps_ns, trace.period_ns)
    bits = np.concatenate(([0], np.cumsum(np.diff(edges) * (trace.rates_bps / 1e9))))
    return float(np.interp(at_ns, edges, bits)) / 12_000


stamp_lists = st.lists(st.integers(0, 3000), min_size=2, max_size=300).map(sorted)


@settings(max_examples=100, deadline=None)
@given(stamps=stamp_lists.filter(lambda stamps: stamps[-1] >= 100), window=st.integers(1, 100))
def test_windows_of_opportunities_keep_every_packet(stamps, window):
    source = opportunities(stamps)
    result = convert.to_rates(source, window * MS)

    assert result.period_ns == source.period_ns
    for at in range(0, source.period_ns, window * MS):
        assert packets_until(result, at) == pytest.approx(packets_until(source, at), abs=1e-4)
    assert packets_until(result, source.period_ns) == pytest.approx(len(stamps), abs=1e-4)


FASTEST_MBPS = 200
GRAIN = 2 * FASTEST_MBPS * 1e-3 / 12_000
"""Packets in the nanosecond to which an instant is known, at either end of a window."""


@settings(max_examples=100, deadline=None)
@example([(238, 160.760461), (314, 82.466525), (354, 1.446109), (381, 2.330486), (2, 0.0)])
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 400), st.floats(0, FASTEST_MBPS, allow_nan=False)),
        min_size=1,
        max_size=30,
    )
)
def test_opportunities_of_rates_stay_within_one_packet_in_every_window(steps):
    starts = np.concatenate(([0], np.cumsum([span for span, _ in steps])))
    source = rates(starts[:-1], [rate for _, rate in steps], int(starts[-1]))
    result = convert.to_opportunities(source)

    assert result.period_ns == source.period_ns == int(result.stamps_ns[-1])
    assert (np.diff(result.stamps_ns) >= 0).all()
    window = 10 * MS
    edges = [*range(0, source.period_ns, window), source.period_ns]
    ahead = np.array([packets_until(result, at + 1) - packets_until(source, at) for at in edges])
    assert ahead.max() - ahead.min() <= 1 + GRAIN  # hence no window differs by more than a packet
    assert -1e-6 <= ahead[-1] <= 1  # what the period lacked to whole packets


@settings(max_examples=50, deadline=None)
@given(stamps=stamp_lists.filter(lambda stamps: stamps[-1] >= 200))
def test_there_and_back_moves_no_window_by_more_than_a_packet(stamps):
    source = opportunities(stamps)
    result = convert.to_opportunities(convert.to_rates(source, 100 * MS))

    assert result.period_ns == source.period_ns
    edges = [*range(0, source.period_ns, 100 * MS), source.period_ns + 1]
    before = np.diff([packets_until(source, at) for at in edges])
    after = np.diff([packets_until(result, at) for at in edges])
    assert np.abs(after - before).max(initial=0) <= 1


def test_one_packet_a_millisecond_is_twelve_megabit():
    result = convert.to_opportunities(rates([0], [12.0], 5))

    assert (result.stamps_ns // MS).tolist() == [1, 2, 3, 4, 5]


def test_a_silence_at_the_end_keeps_the_period_by_its_last_packet():
    result = convert.to_opportunities(rates([0, 2], [12.0, 0.0], 50))

    assert (result.stamps_ns // MS).tolist() == [1, 50]


def schedule_of(trace):
    text = write.tc_schedule(trace)
    return text, read_source(Source(Path("x.sh"), text.encode()))


def test_a_schedule_reads_back_as_the_same_trace():
    source = rates([0, 100, 250], [5.0, 0.0, 0.123456], 400)

    _, again = schedule_of(source)

    assert again.format == "tc-schedule"
    assert again.stamps_ns.tolist() == source.stamps_ns.tolist()
    assert again.rates_bps.tolist() == source.rates_bps.tolist()
    assert again.period_ns == source.period_ns


def test_a_schedule_runs_its_rates_in_order(tmp_path):
    """With a `tc` that writes down what it is told."""
    text, _ = schedule_of(rates([0, 100, 200], [5.0, 0.0, 50.0], 300))
    script, log = tmp_path / "x.sh", tmp_path / "log"
    script.write_text(text)
    fake = tmp_path / "tc"
    fake.write_text(f'#!/bin/sh\necho "$(date +%s%N) $*" >> {log}\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)

    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", script], env={"PATH": path, "DEV": "veth0"}, check=True, timeout=30)

    said = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [words for _, words in said] == [
        "qdisc replace dev veth0 root handle 1: htb default 1",
        "class replace dev veth0 parent 1: classid 1:1 htb rate 5000000bit burst 3100 cburst 3100",
        "class replace dev veth0 parent 1: classid 1:1 htb rate 120000bit burst 3100 cburst 3100",
        "class replace dev veth0 parent 1: classid 1:1 htb rate 50000000bit burst 6250 cburst 6250",
    ]
    first, last = int(said[1][0]), int(said[3][0])
    assert (last - first) / 1e9 > 0.15


def test_a_schedule_without_an_interface_says_so(tmp_path):
    text, _ = schedule_of(rates([0], [5.0], 10))
    script = tmp_path / "x.sh"
    script.write_text(text)

    ran = subprocess.run(["sh", script], env={}, capture_output=True, text=True, check=False)

    assert ran.returncode != 0
    assert "set DEV to the interface to shape" in ran.stderr


def test_a_changed_schedule_names_the_line():
    text = write.tc_schedule(rates([0], [5.0], 10)) + "rm -rf x\nat 0 5\n"
    lines = len(text.splitlines())

    with pytest.raises(TestbedError) as caught:
        read_source(Source(Path("x.sh"), text.encode()))

    assert f"x.sh:{lines - 1}: is not `at SECONDS BITS_PER_S`" in str(caught.value)
    assert f"x.sh:{lines}: time 0 is equal to" in str(caught.value)


def test_delays_windows_and_sizes_that_cannot_be_are_refused(tmp_path):
    path = tmp_path / "x.log"
    path.write_text("pub_time(ms) sub_time(ms) delay(ms)\n0 5 5\n9 14 5\n")
    with pytest.raises(TestbedError, match="only rates and opportunities can be converted"):
        convert.to_rates(read(path))
    with pytest.raises(TestbedError, match="the window is 5 ms; allowed: above 0, at most the per"):
        convert.to_rates(opportunities([1, 2]), 5 * MS)
    with pytest.raises(TestbedError, match="more than 10000000 opportunities"):
        convert.to_opportunities(rates([0], [1e6], 3_600_000))
