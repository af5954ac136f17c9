"""Reading CSV whose header names a time and a rate with their units."""

import pytest

from testbed.errors import TraceError
from testbed.traces import read, write


def save(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_value_holds_after_its_stamp_unless_the_file_says_otherwise(tmp_path):
    trace = read(save(tmp_path, "time_s,rate_mbps\n10,2\n11,4\n13,6\n"))

    assert trace.kind == "rate"
    assert trace.stamps_ns.tolist() == [0, 10**9, 3 * 10**9]
    assert trace.rates_bps.tolist() == [2_000_000, 4_000_000, 6_000_000]
    assert trace.period_ns == 4_500_000_000  # the last value holds for the median step, 1.5 s
    assert trace.holds == "after"
    assert trace.mean_bps == pytest.approx((2 * 1 + 4 * 2 + 6 * 1.5) / 4.5 * 1e6)


def test_a_value_may_hold_before_its_stamp(tmp_path):
    path = save(tmp_path, "# holds: before\ntime_s,rate_mbps\n0,99\n1,2\n3,4\n")
    trace = read(path)

    assert trace.stamps_ns.tolist() == [0, 10**9]
    assert trace.rates_bps.tolist() == [2_000_000, 4_000_000]
    assert trace.period_ns == 3 * 10**9
    assert read(path, holds="after").rates_bps.tolist() == [99_000_000, 2_000_000, 4_000_000]


@pytest.mark.parametrize(
    ("header", "rate_bps", "second_ns"),
    [
        ("time_ms,rate_kbps", 8_000, 1_000_000),
        ("t (us),Rate (Mbit/s)", 8_000_000, 1_000),
        ("stamp_ns,goodput [bit/s]", 8, 1),
        ("time_s,rate_bytes_per_s", 64, 10**9),
        ("time_s,rate (MB/s)", 64_000_000, 10**9),
        ("time_s,rate_MBps", 64_000_000, 10**9),
        ("time_s,rate_Mbps", 8_000_000, 10**9),
        ("time_s,rate (Mb/s)", 8_000_000, 10**9),
        ("time_s,rate (kb/s)", 8_000, 10**9),
        ("time_s,rate (kB/s)", 64_000, 10**9),
    ],
)
def test_units_come_from_the_header(tmp_path, header, rate_bps, second_ns):
    trace = read(save(tmp_path, f"{header}\n0,8\n1,8\n"))

    assert trace.rates_bps[0] == rate_bps
    assert trace.stamps_ns[1] == second_ns


def test_what_was_written_reads_back_equal(tmp_path):
    text = "# direction: up\n# technology: lte\n# note: mine\n# period_s: 7.25\n"
    text += "time_s,rate_mbps\n0,1.5\n2.5,0\n"
    once = read(save(tmp_path, text))
    again = read(save(tmp_path, write.rate_csv(once), "again.csv"))

    assert again.stamps_ns.tolist() == once.stamps_ns.tolist() == [0, 2_500_000_000]
    assert again.rates_bps.tolist() == once.rates_bps.tolist() == [1_500_000, 0]
    assert again.period_ns == once.period_ns == 7_250_000_000
    assert (again.direction, again.technology) == ("up", "lte")
    assert again.notes == once.notes == ("mine", "taken to hold after its stamp")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,rate_mbps\n0,1\n1,x\n", ":3: rate 'x' is not a number"),
        ("time_s,rate_mbps\n0,1\n1,nan\n", ":3: rate 'nan' is not a number"),
        ("time_s,rate_mbps\n0,1\n1,-1\n", ":3: rate '-1' is negative"),
        ("time_s,rate_mbps\n0,1\n-1,1\n", ":3: time '-1' is negative"),
        ("time_s,rate_mbps\n1,1\n0,1\n", ":3: time 0 is before the time of the line above"),
        ("time_s,rate_mbps\n1,1\n1,2\n", ":3: time 1 is equal to the time of the line above"),
        ("time_s,rate_mbps\n0,1\n1,2,3\n", ":3: 3 columns; the header has 2"),
        ("time_s,rate_mbps\n0,1e12\n", ":2: rate '1e12' is above 10 Tbit/s"),
        ("time_s,rate_mbps\n0,1\n1e300,2\n", ":3: time '1e300' is too large"),
        ("time_s,rate_mbps\n0,0\n1,0\n", ": every rate is 0, so no transfer would end"),
        ("time_s,rate_mbps\n", ": has no line of values below its header"),
        ("# holds: both\ntime_s,rate_mbps\n0,1\n", ":1: holds is 'both'; allowed: before or after"),
        ("# period_s: 1\ntime_s,rate_mbps\n0,1\n5,1\n", ": period_s is 1, but the last value"),
        ("time_s,a_mbps,b_mbps\n0,1,2\n", ":1: the header must name one column of rate"),
        ("time,rate\n0,1\n", ":1: no trace format begins like this"),
    ],
)
def test_a_broken_file_is_refused_with_the_line_and_what_is_allowed(tmp_path, text, message):
    path = save(tmp_path, text)

    with pytest.raises(TraceError) as caught:
        read(path)

    assert str(caught.value).startswith(f"{path}{message}")


def test_an_option_picks_one_of_several_columns(tmp_path):
    path = save(tmp_path, "time_s,a_mbps,b_mbps\n0,1,2\n")

    assert read(path, column="b_mbps").rates_bps.tolist() == [2_000_000]
    with pytest.raises(TraceError, match="has no option colum; it has: column, holds"):
        read(path, format="rate-csv", colum="b_mbps")
