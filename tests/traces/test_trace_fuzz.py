"""No file, however broken, makes a reader do anything but read it or name its faults."""

import contextlib
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.errors import TestbedError, TraceError
from testbed.traces import convert, detect, formats, plot, read
from testbed.traces.lint import lint
from testbed.traces.source import Source
from testbed.traces.trace import MAX_PERIOD_NS

EXAMPLES = {
    "mahimahi": "0\n0\n5\n9\n12\n",
    "rate-csv": "# holds: after\n# period_s: 9\ntime_s,rate_mbps\n0,1\n1,2.5\n2,0\n",
    "tc-schedule": "#!/bin/sh\n# tc schedule of a trace, written by testbed\n# period_s: 9\n"
    "at 0 5000000\nat 0.1 0\n",
    "stamped-csv": "timestamp,upload_mbps\n2024-04-19 18:51:00.004283904,5\n"
    "2024-04-19 18:51:01.1,6\n2024-04-19T20:51:02+02:00,7\n",
    "iperf3-json": json.dumps(
        {
            "start": {"test_start": {"protocol": "TCP", "reverse": 1}},
            "intervals": [
                {"streams": [], "sum": {"start": 0, "end": 1, "bits_per_second": 5e6}},
                {"streams": [], "sum": {"start": 1, "end": 2.0, "bits_per_second": 0}},
            ],
        },
        indent=1,
    ),
    "iperf3-text": "Connecting to host x, port 5201\n[ ID] Interval  Transfer  Bitrate\n"
    "[  5]   0.00-1.00   sec  1.25 MBytes  10.5 Mbits/sec\n"
    "[  5]   1.00-2.00   sec   128 KBytes  1.05 Mbits/sec\n",
    "ghent-log": "1454606892659 94 51.05 3.69 0 94\n1454606893659 1094 51.05 3.69 4728784 1000\n",
    "sabre-json": '[{"duration_ms": 859, "bandwidth_kbps": 5823, "latency_ms": 20},\n'
    ' {"duration_ms": 1000, "bandwidth_kbps": 0, "latency_ms": 20}]\n',
    "pensieve": "0.0\t1.19\r\n5.0\t1.09\r\n10.0\t1.15\r\n",
    "ucc": "Timestamp,Speed,NetworkMode,DL_bitrate,UL_bitrate,State\n"
    "2018.01.27_13.58.29,0,LTE,13577,210,D\n2018.01.27_13.58.31,0,LTE,-,192,D\n",
    "nyu": "0.57,Mbits/sec\r\n867,Kbits/sec\r\n0,bits/sec\r\n",
    "nyu-multivariate": "23,10,0,-77,-16,1,0,2100\r\n30.4,9,1,-83,-20,1,0,2100\r\n",
    "lumos5g": "1.0\t562.0\n2.0\t296.0\n3.0\t118.0\n",
    "5g-wild": "time_since_start,downlink_mbps,uplink_mbps,Throughput,direction,radio_type_used,"
    "nrStatus\n0.0,1,20,30,uplink,SA only,CONNECTED\n1.0,1,21,0,uplink,SA only,CONNECTED\n",
    "5gophers": "protocol,seq_num,Sprint_throughput_mbps\nTCP,0,25.7\nTCP,1,65.0\n",
    "5gophers-ping": "protocol,network_type,ue_location,target_server,probe_num,rtt_in_ms\n"
    "ICMP,4G,A,First-Hop,1,63.8\nICMP,4G,A,First-Hop,2,22.5\n",
    "solis": "0.0\t21.7\n1.0\t7.97\n2.01\t7.97\n",
    "wifi-cellular": "1,3239130\r\n2,7585662\r\n3,0\r\n",
    "oboe": "15.0 3168.6\n474.0 3168.6\n514.0 3183.2\n905.0 3183.2\n",
    "cicv5g": "pub_time(ms) sub_time(ms) delay(ms) utmX(m) cellid(db) sinr(db)\n"
    "1721289815174 1721289815217 43 329055.09 5C42 6\n1721289815229 1721289815256 27 329054.9 6\n",
    "rrc-probe": "enabled_radio_type,carrier,interval,RTT1,RTT2,active_radio_type,KeepOrDrop\n"
    "5G-SA-Low-Band,T-Mobile,1,113,113,6,YEP\n5G-SA-Low-Band,T-Mobile,2,90,90,6,NOPE\n",
}


PIECES = [bytes([byte]) for byte in b'\n, \t"[{}0e.:\r']


def attempt(name: str, data: bytes):
    """Read `data` as format `name`; return the trace, or the error's text."""
    source = Source(Path("fuzzed"), data)
    try:
        trace = formats.load(name)().read(source)
    except TraceError as error:
        text = str(error)
        assert text.startswith("fuzzed:")
        assert len(text) < 20_000
        return text
    assert 0 < trace.period_ns <= MAX_PERIOD_NS
    assert len(trace.stamps_ns)
    assert trace.stamps_ns[0] >= 0
    assert trace.stamps_ns[-1] <= trace.period_ns
    assert (np.diff(trace.stamps_ns) >= 0).all()
    if trace.kind == "rate":
        assert trace.stamps_ns[0] == 0
        assert len(trace.rates_bps) == len(trace.stamps_ns)
        assert (trace.rates_bps >= 0).all()
        assert trace.rates_bps.any()
        assert trace.stamps_ns[-1] < trace.period_ns
    elif trace.kind != "opportunities":
        assert (trace.delays_ns >= 0).all()
    return trace


def test_every_format_has_an_example_here():
    assert set(EXAMPLES) == set(formats)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_example_of_a_format_is_recognised_as_it(name):
    source = Source(Path("x"), EXAMPLES[name].encode())

    assert detect.format_of(source) == name
    assert not isinstance(attempt(name, EXAMPLES[name].encode()), str)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused(name, data):
    if data.strip():
        attempt(name, data)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.data())
def test_a_good_file_with_a_few_bytes_changed_is_read_or_refused(name, draw):
    data = bytearray(EXAMPLES[name].encode())
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        piece = draw.draw(
            st.sampled_from(
                [b"", b"-", b"nan", b"inf", b"1e308", b"9" * 30, b"\0", b"\xff", b"\n\n", *PIECES]
            )
        )
        data[at : at + draw.draw(st.integers(0, 3))] = piece
        if not data.strip():
            return
    attempt(name, bytes(data))


@settings(max_examples=100, deadline=None)
@given(data=st.binary(min_size=1, max_size=300))
def test_telling_formats_apart_never_fails(data):
    if data.strip():
        detect.guesses(Source(Path("fuzzed"), data))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(draw=st.data())
def test_what_reads_can_be_linted_drawn_and_converted(name, draw, tmp_path):
    data = bytearray(EXAMPLES[name].encode())
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at : at + 1] = draw.draw(st.sampled_from([b"0", b"9", b"99999", b"1", b"", b"\n"]))
    path = tmp_path / "x.txt"
    path.write_bytes(data)

    report = lint(path)
    assert report.broken or report.format in EXAMPLES
    json.dumps(report.facts(), allow_nan=False)
    if report.broken:
        return
    trace = read(path)
    assert len(plot.sparkline(trace)) <= 73
    for conversion in (convert.to_rates, convert.to_opportunities):
        # Delays, a window longer than the trace, or too many packets are refused.
        with contextlib.suppress(TestbedError):
            assert conversion(trace).period_ns >= trace.period_ns


ROW_FORMATS = sorted(set(EXAMPLES) - {"iperf3-json", "sabre-json"})


@pytest.mark.parametrize("name", ROW_FORMATS)
def test_every_malformed_line_is_named_by_its_number(name):
    lines = EXAMPLES[name].splitlines()
    bad = [*lines, "what is this", lines[-1], "and, this", lines[-1]]

    text = attempt(name, ("\n".join(bad) + "\n").encode())

    assert isinstance(text, str)
    for number in (len(lines) + 1, len(lines) + 3):
        assert f"fuzzed:{number}: " in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"duration_ms": 1, "bandwidth_kbps": -5}]', "fuzzed:2: bandwidth_kbps '-5' is neg"),
        (
            '[\n{"duration_ms": 1,\n"bandwidth_kbps": "x"}]',
            "fuzzed:3: bandwidth_kbps \"'x'\" is not",
        ),
        ('[\n{"duration_ms": 1}]', "fuzzed:2: entry 0 lacks bandwidth_kbps"),
        ('[\n{"duration_ms": 0, "bandwidth_kbps": 5}]', "fuzzed:2: duration_ms is 0"),
        ('[\n{"duration_ms": 1, "bandwidth_kbps": 5},\n', "fuzzed:3: is not JSON: the end of the"),
        (
            '[\n{"duration_ms": 1,\n "bandwidth_kbps" 5}]',
            "fuzzed:3: is not JSON: '5' where a colon",
        ),
        ("[\n1]", "fuzzed:2: is not an object in a list"),
        ("[" * 100_000, "fuzzed:1: is nested more than 32 deep"),
        ("[]", "fuzzed: has no entry"),
    ],
)
def test_faults_in_json_are_named_by_line(text, message):
    assert attempt("sabre-json", text.encode()).startswith(message)


def test_a_failed_iperf_run_is_reported_in_its_own_words():
    text = '{"start": {}, "intervals": [],\n "error": "unable to connect to server"}'

    found = attempt("iperf3-json", text.encode())

    assert found == "fuzzed:2: a failed run: unable to connect to server"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ucc", EXAMPLES["ucc"].replace("2018", "9999"), "fuzzed:2: the year is 9999"),
        ("ucc", EXAMPLES["ucc"].replace("2018.01", "2018.13"), "fuzzed:2: month must be"),
        ("stamped-csv", EXAMPLES["stamped-csv"].replace("2024", "0001"), "fuzzed:2: the year is 1"),
        (
            "iperf3-json",
            '{"intervals": {"a": {"sum": {"start": 0}}}}',
            "fuzzed:1: intervals is not a list",
        ),
        ("sabre-json", EXAMPLES["sabre-json"] + " " * 5000 + "x", "fuzzed:3: is not JSON: 'x'"),
        ("mahimahi", "\ufeff", "fuzzed: has no line of values"),
    ],
)
def test_what_lies_outside_of_every_range_is_refused_by_line(name, text, message):
    assert attempt(name, text.encode()).startswith(message)


def test_blanks_after_json_do_not_matter():
    data = (EXAMPLES["sabre-json"] + "\n" * 5000).encode()

    assert not isinstance(attempt("sabre-json", data), str)


def bomb(name: str) -> list[bytes]:
    """Return files of about 100 kB that are cheap to write and may be dear to read."""
    header = EXAMPLES[name].encode()
    last = header.splitlines(keepends=True)[-1]
    return [
        header + b"\n" * 100_000 + b"x",
        header + b"9\n" * 100_000,
        header + b"," * 100_000,
        header + b'"' * 100_000,
        b"[" + b"[]," * 33_000,
        b'{"' + b"a" * 100_000,
        b'[{"a":1' + b',"a":1' * 16_000,
        header + last * (100_000 // len(last)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_memory_stays_below_ten_times_the_file(name):
    for data in bomb(name):
        tracemalloc.start()
        attempt(name, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * len(data)


@pytest.mark.parametrize(
    ("name", "row", "header"),
    [
        ("mahimahi", "{0}\n", ""),
        ("lumos5g", "{0} 0\n", ""),
        ("wifi-cellular", "{2},1\n", "1,1\n"),
        ("oboe", "{0} 1\n{1} 1\n", ""),
        ("rate-csv", "{0},1\n", "time_s,rate_mbps\n"),
        ("nyu", "1,bps\n", ""),
        ("cicv5g", "{0} {0} 0\n", "pub_time(ms) sub_time(ms) delay(ms)\n"),
    ],
)
def test_memory_of_a_long_good_file_stays_below_ten_times_the_file(name, row, header):
    body = "".join(row.format(n, n + 1, 2 * n + 3) for n in range(2, 120_000, 2))
    data = (header + body + ("9999999 5\n" if name == "lumos5g" else "")).encode()

    tracemalloc.start()
    trace = attempt(name, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert not isinstance(trace, str), trace
    assert peak < 10 * len(data)
