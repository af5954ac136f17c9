"""What `lint` says about a trace."""

import numpy as np
import pytest

from testbed.traces.lint import lint


def save(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def codes(report, level=None):
    return {each.code for each in report.findings if level in (None, each.level)}


def message(report, code):
    return next(each.message for each in report.findings if each.code == code)


def test_a_mahimahi_trace_is_named_with_direction_figures_and_wrap(tmp_path):
    stamps = [ms for ms in range(0, 4001, 2) if not 1000 < ms < 2500]
    report = lint(save(tmp_path, "\n".join(map(str, stamps)) + "\n", "lte-a.up"))

    assert (report.format, report.direction, report.kind) == ("mahimahi", "up", "opportunities")
    assert (report.technology, report.measures) == ("lte", "capacity")
    assert report.format_sureness == pytest.approx(0.95)
    assert report.samples == len(stamps)
    assert report.period_s == report.duration_s == 4.0
    assert report.mean_mbps == pytest.approx((len(stamps) - 1) * 12e3 / 4e6)
    assert "the longest 1.5 s from 1.0 s on" in message(report, "silence")
    assert "repeats every 4 s" in message(report, "wrap")
    assert "goodput" not in codes(report)
    assert not codes(report, "warning")


def test_goodput_and_downlink_are_said_to_bias_an_uplink(tmp_path):
    report = lint(save(tmp_path, "time_s,down_mbps\n0,5\n1,6\n", "download.csv"))

    assert report.direction == "down"
    assert "lower bound of the capacity" in message(report, "goodput")
    assert "using this as the uplink overstates it" in message(report, "direction")


def test_an_unknown_direction_is_a_warning(tmp_path):
    report = lint(save(tmp_path, "time_s,rate_mbps\n0,5\n1,6\n"))

    assert report.direction is None
    assert "direction" in codes(report, "warning")


@pytest.mark.parametrize(
    ("mbps", "slip"),
    [
        (900, "bits read as bytes"),
        (0.02, "bytes read as bits"),
        (5_000_000, "bit/s read as Mbit/s"),
        (9_000, "a unit a thousand times too large"),
    ],
)
def test_a_rate_that_no_lte_has_is_suspected_of_another_unit(tmp_path, mbps, slip):
    text = f"# technology: lte\ntime_s,rate_mbps\n0,{mbps}\n1,{mbps}\n"
    report = lint(save(tmp_path, text))

    assert "units" in codes(report, "warning")
    assert slip in message(report, "units")


def test_a_plausible_rate_raises_no_suspicion(tmp_path):
    report = lint(save(tmp_path, "# technology: lte\ntime_s,rate_mbps\n0,20\n1,30\n"))

    assert "units" not in codes(report)


def test_gaps_are_counted_and_never_zero(tmp_path):
    rows = [f"TCP,{second},10" for second in range(100) if second not in (30, 31, 60)]
    text = "protocol,seq_num,A_throughput_mbps\n" + "\n".join(rows) + "\n"
    report = lint(save(tmp_path, text))

    assert report.mean_mbps == 10
    assert report.duration_s == 100
    assert "2 spans without a sample, 3 s in all (3.0%), the longest 2 s" in message(report, "gaps")


def test_the_socket_buffer_of_a_sender_shows(tmp_path):
    values = [21.7, *[7.7 + 0.01 * (n % 3) for n in range(40)]]
    values[20:22] = [0, 12]
    values[30:32] = [0, 12]
    text = "".join(f"{n}.0\t{value}\n" for n, value in enumerate(values))
    report = lint(save(tmp_path, text, "wifi_a.txt"))

    said = [each.message for each in report.findings if each.code == "sender-side"]
    assert any("the first second has 21.7 Mbit/s" in text for text in said)
    assert any("2 times a single second of 0 is followed by a burst" in text for text in said)
    assert "an access line, a rate limit" in message(report, "ceiling")


def test_a_broken_file_gives_a_finding_for_every_bad_line(tmp_path):
    report = lint(save(tmp_path, "1\nx\n3\ny\n5\n6\n7\n", "x.up"))

    assert report.broken
    assert [each.message for each in report.findings if each.level == "error"] == [
        "2: 'x' is not a time; allowed: whole milliseconds, such as 1250",
        "4: 'y' is not a time; allowed: whole milliseconds, such as 1250",
    ]


def test_a_format_against_the_evidence_is_a_warning(tmp_path):
    path = save(tmp_path, "1.0\t5.0\n2.0\t6.0\n3.0\t5.5\n", "x.txt")

    assert lint(path).format == "lumos5g"
    report = lint(path, format="pensieve")
    assert report.format == "pensieve"
    assert "does not look like pensieve; it looks like lumos5g" in message(report, "format")


def test_a_draining_queue_in_a_delay_series_is_pointed_out(tmp_path):
    rows = ["pub_time(ms) sub_time(ms) delay(ms) x"]
    rows += [f"{55 * n} {1000} {1000 - 55 * n} 1" for n in range(10)]
    report = lint(save(tmp_path, "\n".join(rows) + "\n", "x.txt"))

    assert report.kind == "delay"
    assert report.mean_mbps is None
    assert report.delay_p50_ms == np.median([1000 - 55 * n for n in range(10)])
    assert "a queue drains" in message(report, "fifo")
