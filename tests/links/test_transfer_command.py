"""`testbed transfer` as a user meets it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from testbed.cli import main

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture
def command(monkeypatch, capsys):
    """Return a function that runs a command line and gives exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["testbed", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def trace(tmp_path):
    """Return a trace of one packet a millisecond: 12 Mbit/s."""
    path = tmp_path / "steady.up"
    path.write_text("1\n")
    return path


def test_payloads_at_a_frame_rate(command, trace):
    """73 728 bytes are 50 packets of 1500 on an ideal transport: 50 ms and the propagation."""
    code, out, _ = command(
        "transfer", trace, "--payload-bytes", 73_728, "--fps", 10, "--duration-s", 1,
        "--delay-ms", 25, "--transport", "ideal", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert (found["payloads"], found["delivered"]) == (10, 10)
    assert found["latency_p50_ms"] == found["latency_max_ms"] == 75.0
    assert found["transfers"][3] == {
        "frame": 3,
        "send_ns": 300_000_000,
        "delivered_ns": 375_000_000,
        "wire_bytes": 73_728,
        "loss": None,
    }


def test_payloads_at_given_times_and_a_csv_of_the_same_form(command, trace, tmp_path):
    """What is written has the columns of a measured run, and can be read again."""
    sends = tmp_path / "sends.csv"
    sends.write_text("frame,send_ns\n0,500000\n1,7000001\n")
    out_csv = tmp_path / "out.csv"
    code, out, _ = command(
        "transfer", trace, "--payload-bytes", 1500, "--at", sends, "--transport", "ideal",
        "--csv", out_csv,
    )  # fmt: skip
    assert code == 0
    assert out_csv.read_text() == (
        "frame,send_ns,delivered_ns\n0,500000,1000000\n1,7000001,8000000\n"
    )
    assert str(out_csv) in out
    code, *_ = command("transfer", trace, "--payload-bytes", 1500, "--at", out_csv)
    assert code == 0


def test_an_offset_moves_the_start_into_the_trace(command, tmp_path):
    trace = tmp_path / "late.up"
    trace.write_text("10\n500\n")
    words = ["transfer", trace, "--payload-bytes", 1500, "--fps", 1, "--duration-s", 1]
    words += ["--transport", "ideal", "--json"]
    assert json.loads(command(*words)[1])["latency_p50_ms"] == 10.0
    assert json.loads(command(*words, "--offset-s", 0.2)[1])["latency_p50_ms"] == 300.0


def test_a_queue_drops_what_does_not_fit(command, trace):
    """Two payloads of 50 packets a second into 60 kB: refused whole by an ideal transport."""
    code, out, _ = command(
        "transfer", trace, "--payload-bytes", 75_000, "--fps", 2, "--duration-s", 1,
        "--transport", "ideal", "--queue-bytes", 60_000, "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert (found["delivered"], found["lost_queue"], found["latency_p50_ms"]) == (0, 2, None)
    assert found["transfers"][0]["delivered_ns"] is None


def test_datagrams_are_given_up_at_their_deadline(command, trace):
    code, out, _ = command(
        "transfer", trace, "--payload-bytes", 75_000, "--fps", 10, "--duration-s", 1,
        "--transport", "datagram", "--deadline-ms", 30, "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["lost_deadline"] == 10
    assert found["wire_bytes"] < 10 * 32 * 1500


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fps", 1, "--at", "x.csv"], "either --fps or --at"),
        ([], "either --fps or --at"),
        (["--fps", 0], "--fps is 0; allowed: above 0"),
        (["--fps", 1, "--delay-ms", -1], "--delay-ms is -1; allowed: 0 and above"),
        (["--fps", 1, "--deadline-ms", 5], "for --transport datagram"),
        (["--fps", 1, "--duration-s", 0], "--duration-s is 0"),
        (["--fps", 1e6, "--duration-s", 1e6], "too many"),
        (["--at", "nowhere.csv"], "nowhere.csv: send_ns: cannot be read: No such file"),
        (["--fps", 1, "--csv", "/nowhere/out.csv"], "/nowhere/out.csv: cannot be written"),
        (["--fps", 1, "--model", "rounds", "--queue-bytes", 9000], "cannot lose packets"),
    ],
)
def test_a_mistake_is_one_line(command, trace, words, complaint):
    code, out, err = command("transfer", trace, "--payload-bytes", 1500, *words)
    assert code in (2, 3)
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_every_bad_line_of_the_times_is_named(command, trace, tmp_path):
    sends = tmp_path / "sends.csv"
    sends.write_text("send_ns\n5\nsoon\n3\n-1\n")
    code, _, err = command("transfer", trace, "--payload-bytes", 1500, "--at", sends)
    assert code == 2
    assert err.splitlines() == [
        f"{sends}:3: send_ns: 'soon' is not a time; allowed: whole nanoseconds",
        f"{sends}:4: send_ns: 3 is before the line above it",
        f"{sends}:5: send_ns: '-1' is not a time; allowed: whole nanoseconds",
    ]


def test_times_without_the_column_or_without_lines(command, trace, tmp_path):
    sends = tmp_path / "sends.csv"
    sends.write_text("when\n5\n")
    _, _, err = command("transfer", trace, "--payload-bytes", 1500, "--at", sends)
    assert err.strip() == f"{sends}:1: send_ns: no such column; the first line has when"
    sends.write_text("send_ns\n")
    _, _, err = command("transfer", trace, "--payload-bytes", 1500, "--at", sends)
    assert "no times" in err


def test_a_trace_of_delays_carries_nothing(command, tmp_path, monkeypatch):
    import testbed.traces
    from testbed.traces.trace import Trace

    probes = tmp_path / "probes.txt"
    probes.write_text("x")
    delays = Trace(
        kind="delay", stamps_ns=np.zeros(1, np.int64), period_ns=10**9,
        delays_ns=np.ones(1, np.int64),
    )  # fmt: skip
    monkeypatch.setattr(testbed.traces, "read", lambda *_, **__: delays)
    code, _, err = command("transfer", probes, "--payload-bytes", 1500, "--fps", 1)
    assert code == 2
    assert "a trace of kind 'delay' carries no traffic" in err


@pytest.mark.skipif(
    not (SHARED / "golden").is_dir(), reason="the measured runs are not on this machine"
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lte-verizon-up", ["--idle-restart", "off"]),
        ("lte-verizon-up-idle-restart", ["--idle-restart", "on"]),
        (
            "lte-verizon-up-50kB-queue",
            ["--idle-restart", "off", "--queue-bytes", 50_000, "--offset-s", 35],
        ),
        ("lte-verizon-up-new-connection", ["--idle-restart", "off", "--connection", "per-frame"]),
    ],
)
def test_a_measured_run_from_the_command_line(command, tmp_path, name, options):
    """The mean is within a percent of what real Linux TCP took."""
    measured = SHARED / "golden" / f"{name}.csv"
    out = tmp_path / "out.csv"
    code, *_ = command(
        "transfer", SHARED / "traces" / "mahimahi" / "Verizon-LTE-short.up",
        "--payload-bytes", 73_744, "--at", measured, "--delay-ms", 25, "--csv", out, *options,
    )  # fmt: skip
    assert code == 0

    def mean_ms(path):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        return np.mean([(int(r["delivered_ns"]) - int(r["send_ns"])) / 1e6 for r in rows])

    assert mean_ms(out) == pytest.approx(mean_ms(measured), rel=0.01)
