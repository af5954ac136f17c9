"""Every published trace reads as its description says. Skipped where the recordings are absent."""

from pathlib import Path

import numpy as np
import pytest

from testbed.traces import read
from testbed.traces.statistics import binned, figures

MEASURED = Path(__file__).resolve().parents[3] / "shared" / "traces"
pytestmark = pytest.mark.skipif(not MEASURED.is_dir(), reason="the recordings are not here")

# file, format, direction, option column, bins of 1 s, without a sample; then Mbit/s: mean, p5, p50,
# p95; CV, share of bins below 1 Mbit/s, lag-1. As published with the files, but for CV and lag-1 of
# the cafe (0.24 and 0.40 there), which count its lines as seconds although seven share a stamp.
TABLE = """
mahimahi/ATT-LTE-driving-2016.down mahimahi down - 120 0 4.56 0.58 3.74 11.1 0.85 0.125 0.63
mahimahi/ATT-LTE-driving-2016.up mahimahi up - 120 0 1.91 0.03 1.57 4.79 0.88 0.217 0.41
mahimahi/ATT-LTE-driving.up mahimahi up - 1012 0 0.83 0.00 1.04 1.19 0.49 0.435 0.84
mahimahi/TMobile-LTE-short.down mahimahi down - 140 0 16.7 4.12 13.9 36.6 0.59 0.000 0.70
mahimahi/Verizon-LTE-short.down mahimahi down - 140 0 5.03 1.07 4.30 10.8 0.64 0.050 0.84
mahimahi/Verizon-LTE-short.up mahimahi up - 140 0 5.95 1.17 5.69 11.4 0.52 0.043 0.75
mahimahi/orange-4G-traces-A-up.pps mahimahi up - 604 0 2.44 1.72 2.46 3.13 0.19 0.012 0.84
ghent_4g/report_car_0003.log ghent-log down - 494 0 33.9 14.0 30.3 59.8 0.44 0.004 0.71
ghent_4g/report_foot_0006.log ghent-log down - 584 0 22.1 2.71 16.8 57.8 0.76 0.036 0.81
sabre_json/report_train_0003.json sabre-json down - 540 0 21.0 0.02 20.2 46.3 0.68 0.102 0.79
pensieve_cooked/bus.ljansbakken-oslo-report.2010-09-28_1407CEST.log pensieve down - 461 0 2.76 0.27 2.65 4.88 0.54 0.167 0.96
pensieve_cooked/norway_train_8 pensieve down - 313 0 1.01 0.35 0.92 2.03 0.54 0.534 0.95
pensieve_cooked/trace_28838_http---www.amazon.com pensieve down - 1855 0 2.45 0.87 1.04 4.52 0.70 0.499 0.98
ucc_4g/4G_A_2018.01.27_13.58.29.csv ucc down - 953 97 5.74 1.81 3.98 17.2 0.82 0.005 0.84
ucc_5g/Download_Driving_B_2019.12.14_10.16.30.csv ucc down - 1163 149 10.2 0.00 5.62 38.0 1.52 0.220 0.90
ucc_5g/Download_Static_B_2020.02.14_13.21.26.csv ucc down - 1103 164 129 0.06 164 237 0.67 0.058 0.77
nyu_mets/7Train1.csv nyu - - 4910 0 6.81 0.69 5.28 18.2 0.81 0.079 0.88
nyu_mets/BB61.first1200s.txt nyu-multivariate - - 1200 0 16.6 3.16 15.9 34.9 0.58 0.047 0.90
nyu_mets/bus62_2.csv nyu - - 1452 0 2.58 0.25 2.49 4.50 0.51 0.094 0.82
lumos5g/4g_trace_walking_50050_a lumos5g down - 800 1 40.2 1.00 31.0 104 0.92 0.028 0.96
lumos5g/5g_trace_12_walking lumos5g down - 792 0 587 44.7 608 1180 0.69 0.008 0.92
lumos5g/5g_trace_23_driving lumos5g down - 250 0 148 0.00 114 448 0.88 0.084 0.84
5g_wild_power/S20UPM-run123.csv 5g-wild down - 1056 175 746 47.9 448 2280 1.03 0.000 0.90
5g_wild_power/S20UPM-run20070.csv 5g-wild up - 1086 6 26.3 0.53 27.0 47.1 0.47 0.055 0.90
5g_wild_power/S20UPM-run69.csv 5g-wild up - 1230 180 74.2 55.1 71.6 105 0.22 0.000 0.80
5gophers/car-driving-trace-1.csv 5gophers down Sprint_throughput_mbps 126 6 265 97.6 262 438 0.39 0.000 0.88
5gophers/car-driving-trace-1.csv 5gophers down TMobile_throughput_mbps 126 6 97.1 0.00 81.5 260 0.86 0.150 0.87
5gophers/car-driving-trace-1.csv 5gophers down Verizon_throughput_mbps 126 6 275 10.5 66.4 1585 1.73 0.025 0.99
wifi_solis/wifi_cafe_231115-154511.txt solis up - 200 0 7.63 7.44 7.71 8.18 0.23 0.035 0.45
wifi_solis/wifi_campus_231115-203027.txt solis up - 200 0 49.7 0.00 58.7 91.8 0.64 0.095 0.73
wifi_solis/wifi_office_231115-145110.txt solis up - 200 0 26.3 4.07 28.1 40.9 0.45 0.020 0.78
wifi_cellular_pairs/11_4_cellular.csv wifi-cellular - - 100 0 43.6 31.8 41.5 66.4 0.26 0.010 0.63
wifi_cellular_pairs/11_4_wifi.csv wifi-cellular - - 100 0 41.2 0.01 48.5 56.1 0.41 0.080 0.96
wifi_cellular_pairs/8_5_cellular.csv wifi-cellular - - 100 0 47.5 15.7 47.0 73.4 0.36 0.010 0.72
wifi_cellular_pairs/8_5_wifi.csv wifi-cellular - - 100 0 13.5 0.00 0.00 48.1 1.36 0.560 0.95
iperf3/APPLE-run10045-udp-loc5-600m-1-iPerf.json iperf3-json down - 65 0 590 598 600 602 0.16 0.000 0.22
iperf3/PXBMN-run60262-iPerf.json iperf3-json down - 30 0 1800 1553 1882 1898 0.17 0.000 0.21
iperf3/PXBMN-run60274-iPerf.json iperf3-json down - 30 0 416 119 464 645 0.53 0.000 0.96
oboe/trace_0.txt oboe down - 176 0 2.63 1.18 2.71 4.54 0.35 0.000 0.94
"""  # noqa: E501
ROWS = [line.split() for line in TABLE.split("\n") if line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}")
def test_format_direction_and_figures_are_the_published_ones(row):
    name, form, direction, column, seconds, without, *published = row
    options = {} if column == "-" else {"column": column}

    trace = read(MEASURED / name, **options)
    found = figures(trace)

    assert trace.format == form
    assert (trace.direction or "-") == direction
    assert abs(found.bins - int(seconds)) <= 1  # whether the last, partial second counts
    assert found.uncovered_bins == int(without)
    mean, p5, p50, p95, cv, below, lag1 = map(float, published)
    assert found.mean_mbps == pytest.approx(mean, rel=0.01)
    assert found.p50_mbps == pytest.approx(p50, rel=0.02, abs=0.006)
    assert found.p95_mbps == pytest.approx(p95, rel=0.02)
    assert found.p5_mbps == pytest.approx(p5, rel=0.1, abs=0.05)
    assert found.cv == pytest.approx(cv, rel=0.02, abs=0.011)
    assert found.below_1_mbps == pytest.approx(below, abs=0.01)
    assert found.lag1 == pytest.approx(lag1, abs=0.02)


def test_every_file_of_the_collection_is_recognised_and_surely():
    from testbed.traces.detect import guesses
    from testbed.traces.source import Source

    files = [path for path in sorted(MEASURED.glob("*/*")) if path.is_file()]
    assert len(files) == 42
    for path in files:
        found = guesses(Source.open(path))
        assert found[0][1].sureness >= 0.7, path
        assert len(found) == 1 or found[1][1].sureness < found[0][1].sureness, path


@pytest.mark.parametrize(
    ("name", "p5", "p50", "p95", "p99", "longest", "over_100_ms"),
    [
        ("cicv5g_delay/urban_n78_v30_run01.txt", 13.0, 16.0, 22.0, 26.0, 80.0, 0.000),
        ("cicv5g_delay/south_n8_v10_04.txt", 17.0, 41.0, 5792, 7523, 8182, 0.432),
        ("5gophers/ping-trace-03.log", 25.6, 30.1, 37.0, 48.5, 63.8, 0.0),
        ("5gophers/ping-trace-17.log", 20.4, 25.8, 37.2, 45.8, 49.3, 0.0),
    ],
)
def test_delays_are_the_published_ones(name, p5, p50, p95, p99, longest, over_100_ms):
    trace = read(MEASURED / name)

    assert trace.kind == "delay"
    delays_ms = trace.delays_ns / 1e6
    assert np.percentile(delays_ms, [5, 50, 95, 99, 100]) == pytest.approx(
        [p5, p50, p95, p99, longest], rel=0.005, abs=0.06
    )
    assert (delays_ms > 100).mean() == pytest.approx(over_100_ms, abs=0.001)


def test_a_round_trip_after_idle_is_longer_beyond_the_inactivity_timer():
    """Published: below 10 s of silence p50 84 ms, from 12 to 20 s p50 811 and p95 1634 ms."""
    trace = read(MEASURED / "rrc_probe/S20US_TMobile_SA.csv")

    assert trace.kind == "delay-after-idle"
    assert len(trace.stamps_ns) == 966
    idle_s, delays_ms = trace.stamps_ns / 1e9, trace.delays_ns / 1e6
    late = delays_ms[(idle_s >= 12) & (idle_s <= 20)]
    soon = delays_ms[(idle_s >= 0.3) & (idle_s < 10)]
    assert np.median(soon) == pytest.approx(84, abs=2)
    assert np.percentile(late, [50, 95]) == pytest.approx([811, 1634], rel=0.02)


def test_a_capacity_and_a_goodput_are_told_apart():
    assert read(MEASURED / "mahimahi/Verizon-LTE-short.up").measures == "capacity"
    assert read(MEASURED / "ghent_4g/report_car_0003.log").measures == "goodput"


def test_pensieve_values_may_be_read_as_later_simulators_do():
    path = MEASURED / "pensieve_cooked/norway_train_8"

    assert read(path).rates_bps[0] == 918_898  # the value of line 2, from 0 to 2.15 s
    assert read(path, holds="after").rates_bps[0] == 1_104_964  # the value of line 1


def test_the_acknowledgements_of_a_download_are_marked_as_such():
    trace = read(MEASURED / "ucc_4g/4G_A_2018.01.27_13.58.29.csv", column="UL_bitrate")

    assert trace.direction == "up"
    assert binned(trace).covered.mean() == pytest.approx(0.1, abs=0.05)
    assert any("acknowledgements" in note for note in trace.notes)
