"""A measurement becomes a file that reads back, that a scenario names, and that can be checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import catalog
from testbed.devices.figures import Figure, read_sheet
from testbed.devices.profile import DeviceProfile, load_device, load_server
from testbed.devices.sheets import DeviceSheet, ServerSheet, WeightsSheet
from testbed.errors import EnvironmentLacks, TestbedError, UnknownName
from testbed.profiling.drift import Drift, drifts, machine_drift, requests, verdict
from testbed.profiling.environment import Environment
from testbed.profiling.measure import Times
from testbed.profiling.sheet import (
    Origin,
    assumed_watts,
    borrowed_watts,
    device_sheet,
    measured_watts,
    server_sheet,
)
from testbed.profiling.take import Measurement, Point, Request, groups
from testbed.profiling.write import dump_sheet

NETWORK = "efficientdet-d2-cp-c48-min25"
TABLE = f"published/{NETWORK}"
ORIGIN = Origin("A board", "machine, 4 cores, test", "2026-01-31")
MS = 1e6


def spent(ms):
    return Times(ms * MS, ms * MS, 1.1 * ms * MS, 1.2 * ms * MS, 0.05, 50)


def measurement(*, side=768, part="encoder", watts=None, doubts=(), factor=1.0, runs=50):
    widths = {0.25: 100.0, 1.0: 300.0}
    points = tuple(
        Point(
            detector=NETWORK, side=side, width=width, mac=round(2e9 * width),
            times=spent(ms * factor), waited_share=0.1 if doubts else 0.0, switch_ns=0.5 * MS,
            peak_bytes=20_000_000, active_w=watts and 4.0 + 2 * width,
        )
        for width, ms in widths.items()
    )  # fmt: skip
    machine = Environment(processor="test", virtual=False, cpus=4, memory_bytes=8 * 10**9, load=0.1)
    return Measurement(
        request=Request(groups=((NETWORK, side, tuple(widths)),), part=part, runs=runs),
        engine="an engine", before=machine, after=machine, points=points,
        yardstick=spent(2.0 * factor), first_ns=round(400 * MS),
        floor=spent(5.0) if part == "decoder" else None,
        idle_w=watts, meter="measured by a meter" if watts else "no meter", doubts=tuple(doubts),
    )  # fmt: skip


def written(tmp_path, sheet):
    path = tmp_path / "board.yaml"
    path.write_text(dump_sheet(sheet), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("shelf", "name"),
    [
        (shelf, name)
        for shelf in ("devices/devices", "devices/servers")
        for name, _ in catalog.entries(shelf)
    ],
)
def test_every_shipped_file_reads_back_as_it_was_written(tmp_path, shelf, name):
    kind = DeviceSheet if shelf == "devices/devices" else ServerSheet
    sheet, _ = read_sheet(kind, catalog.find(shelf, name))

    assert read_sheet(kind, written(tmp_path, sheet))[0] == sheet


words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)


@given(
    st.floats(min_value=1e-12, max_value=1e12),
    st.lists(words, min_size=1, max_size=40).map(" ".join),
)
def test_any_value_and_any_source_read_back(tmp_path_factory, value, source):
    sheet = WeightsSheet(
        sram_mb=Figure(value, "measured", source), open_s=Figure(value, "assumed", source)
    )
    path = written(tmp_path_factory.mktemp("any"), sheet)

    assert read_sheet(WeightsSheet, path)[0] == sheet


def test_a_measured_device_says_what_was_measured(tmp_path):
    found = measurement()
    device = load_device(
        written(tmp_path, device_sheet(found, ORIGIN, assumed_watts(cpus=4, threads=1)))
    )

    # 2.5 GMAC in 0.4 s; each width's own rate makes the spread.
    assert device.rate == 6.25
    assert device.spread == (5.0, 6.667)
    assert device.jitter_cv == 0.05
    point = device.point(TABLE, 0.25)
    assert (point.time_s.value, point.p50_s.value, point.p90_s.value) == (0.1, 0.1, 0.11)
    assert (point.p99_s.value, point.gmac.value, point.switch_s.value) == (0.12, 0.5, 0.0005)
    assert point.peak_memory_mb.value == 20
    assert device.sheet.weights.first_inference_s.value == 0.4
    times = [f for key, f in device.figures() if key.endswith("_s")]
    assert {figure.kind for figure in times} == {"measured"}
    for figure in times:
        assert "an engine" in figure.source
        assert "machine, 4 cores, test" in figure.source
        assert "2026-01-31" in figure.source


def test_watts_without_a_meter_are_not_called_measured(tmp_path):
    sheet = device_sheet(measurement(), ORIGIN, assumed_watts(cpus=4, threads=2))

    assert (sheet.idle_w.value, sheet.active_w.value) == (4.0, 12.0)
    assert (sheet.idle_w.kind, sheet.active_w.kind) == ("assumed", "assumed")
    assert "Watts were not measured" in sheet.notes


def test_borrowed_watts_keep_their_source_and_are_never_measured_here():
    pi = load_device(catalog.find("devices/devices", "raspberry-pi-4"))
    watts = borrowed_watts(pi)

    assert watts.idle.value == pi.idle_w
    assert watts.idle.source.startswith("as raspberry-pi-4 has it: ")
    found = measurement(watts=3.0)
    own = device_sheet(found, ORIGIN, measured_watts(found, ORIGIN))
    assert borrowed_watts(DeviceProfile("own", "", own)).active.kind == "published"


def test_a_meter_gives_watts_of_each_point_and_their_mean_over_time(tmp_path):
    found = measurement(watts=3.0)
    watts = measured_watts(found, ORIGIN)
    device = load_device(written(tmp_path, device_sheet(found, ORIGIN, watts)))

    assert (device.idle_w, device.sheet.idle_w.kind) == (3.0, "measured")
    assert device.active_w == pytest.approx((4.5 * 0.1 + 6.0 * 0.3) / 0.4)
    assert device.point(TABLE, 1.0).active_w.value == 6.0
    assert "measured by a meter, mean over 5 s" in device.sheet.idle_w.source
    assert device.encode_j(0, detector=TABLE, width=1.0) == pytest.approx(3.0 * 0.3)


def test_a_meter_that_does_not_see_the_work_is_refused():
    with pytest.raises(EnvironmentLacks, match=r"9 W idle and 5\.\d+ W computing"):
        measured_watts(measurement(watts=9.0), ORIGIN)


def test_a_busy_machine_is_written_all_over_the_file():
    sheet = device_sheet(measurement(doubts=["a load"]), ORIGIN, assumed_watts(4, 1))

    assert sheet.title == "A board (measured while busy)"
    assert "no claim about its speed" in sheet.rate_gmac_per_s.source
    assert "up to 10% of the time" in sheet.points[0].time_s.source
    assert "No claim about the speed of the machine: a load." in sheet.notes


def test_a_quick_look_has_no_p99_and_says_that_it_is_one():
    sheet = device_sheet(measurement(runs=10), ORIGIN, assumed_watts(4, 1))

    assert sheet.points[0].p99_s is None
    assert "a quick look" in sheet.points[0].time_s.source


def test_a_measured_decoder_is_a_server(tmp_path):
    sheet = server_sheet(measurement(part="decoder"), ORIGIN, assumed_watts(4, 1))
    server = load_server(written(tmp_path, sheet))

    assert server.floor_s == 0.005
    assert server.decode_ns(2_500_000_000) == 400_000_000
    assert server.decode_ns(1_000) == 5_000_000


def test_a_scenario_uses_measured_points_of_its_detector_and_size(world, tmp_path):
    path = written(tmp_path, device_sheet(measurement(), ORIGIN, assumed_watts(4, 1)))
    rungs = ladder(world, path, TABLE, [0.25, 0.5, 1.0])

    # The rate of 6.25 GMAC/s stands in for the width that was not measured.
    assert rungs[0.25].encode_ns == 100_000_000
    assert rungs[1.0].encode_ns == 300_000_000
    assert rungs[0.5].encode_ns == round(rungs[0.5].device_mac / 6.25)
    assert rungs[1.0].encode_j == pytest.approx(4.0 * 0.3)


def test_a_point_of_another_size_of_picture_is_not_used(world, tmp_path):
    path = written(tmp_path, device_sheet(measurement(side=256), ORIGIN, assumed_watts(4, 1)))
    rungs = ladder(world, path, TABLE, [0.25])

    assert rungs[0.25].encode_ns == round(rungs[0.25].device_mac / 6.25)


def ladder(world, path, detector, widths):
    loaded = world(
        "clients.0.device", str(path), "clients.0.detector", detector,
        "clients.0.ladder.widths", widths, "policies.narrow.width", widths[0],
    )  # fmt: skip
    return {rung.point.width: rung for rung in loaded.clients[0].ladder.rungs}


def test_a_check_measures_the_points_of_the_file_as_they_were_measured():
    sheet = device_sheet(measurement(side=256), ORIGIN, assumed_watts(4, 1))

    assert requests("board", sheet, runs=10, warm_up=3) == [
        Request(groups=((NETWORK, 256, (0.25, 1.0)),), threads=1, runs=10, warm_up=3)
    ]


def test_a_file_without_measured_points_cannot_be_checked():
    sheet, _ = read_sheet(DeviceSheet, catalog.find("devices/devices", "raspberry-pi-5"))

    with pytest.raises(TestbedError, match="raspberry-pi-5 has no measured points"):
        requests("raspberry-pi-5", sheet)


def test_drift_is_told_per_point_and_for_the_machine_itself():
    sheet = device_sheet(measurement(), ORIGIN, assumed_watts(4, 1))
    now = measurement(factor=1.2)

    assert [round(d.share, 6) for d in drifts(sheet, now)] == [0.2, 0.2]
    assert machine_drift(sheet, [now]) == pytest.approx(0.2)


def test_the_verdict_is_conclusive_only_on_a_quiet_machine_of_the_same_speed():
    still, slower = (Drift("d", 256, 1.0, 0.1, now) for now in (0.105, 0.13))

    assert verdict([still], None, [], 0.1) == (True, "It holds: the largest drift is +5.0%.")
    assert verdict([still, slower], 0.01, [], 0.1)[1].endswith("10%. Measure it anew.")
    assert "Not conclusive: a load" in verdict([slower], 0.0, ["a load"], 0.1)[1]
    assert "matrix product drifted by +30.0%" in verdict([slower], 0.3, [], 0.1)[1]
    assert not verdict([slower], 0.3, [], 0.1)[0]


def test_networks_are_found_before_anything_is_measured():
    assert groups([TABLE], None, [1.0, 0.25]) == ((NETWORK, 768, (0.25, 1.0)),)
    assert groups(["tiny-d0-cp"], [128, 256], [0.5]) == (
        ("tiny-d0-cp", 128, (0.5,)),
        ("tiny-d0-cp", 256, (0.5,)),
    )
    with pytest.raises(UnknownName, match="Did you mean 'tiny-d0-cp'"):
        groups(["tiny-d0-cb"], None, None)
    with pytest.raises(TestbedError, match=r"tiny-d0-cp has no width 0\.3; it has 0\.25, 0\.5"):
        groups(["tiny-d0-cp"], None, [0.3])


SHIPPED = "vm-epyc-2core"


def test_the_shipped_measurement_says_what_machine_it_is_of_and_nothing_more():
    device = load_device(catalog.find("devices/devices", SHIPPED))

    assert device.sheet.title.startswith("Virtual machine, 2 cores, AMD EPYC, PyTorch eager fp32")
    for key, figure in device.figures():
        if key.endswith("_s") and "networks" not in key:
            assert "virtual machine, 2 cores, AMD EPYC" in figure.source, key
            assert figure.kind == "measured", key
    assert {device.sheet.idle_w.kind, device.sheet.active_w.kind} == {"assumed"}
    names = {point.detector for point in device.sheet.points}
    assert {TABLE, f"{NETWORK}@256", "small-d0-cp"} <= names


def test_the_shipped_measurement_is_what_a_scenario_runs_on(world):
    path = catalog.find("devices/devices", SHIPPED)
    device = load_device(path)
    measured = ladder(world, SHIPPED, TABLE, [0.25, 0.5, 0.75, 1.0])
    other = ladder(world, SHIPPED, "published/efficientdet-d2-bw", [0.25])

    for width, rung in measured.items():
        seconds = device.point(TABLE, width).time_s.value
        assert rung.encode_ns == round(seconds * 1e9)
    assert other[0.25].encode_ns == round(other[0.25].device_mac / device.rate)


def test_running_on_the_shipped_measurement_encodes_as_long_as_it_was_measured(tmp_path):
    from testbed import records, run, scenario

    changes = [
        f"clients.0.device={SHIPPED}", f"clients.0.detector=published/{NETWORK}",
        "policies={wide: {kind: fixed, width: 1.0}}", "seeds=[1]", "duration_s=60",
    ]  # fmt: skip
    folder = run.run(scenario.load("quickstart", changes), tmp_path)
    frames = records.read(folder).frames
    device = load_device(catalog.find("devices/devices", SHIPPED))

    encoded_s = (frames["encode_end_ns"] - frames["encode_start_ns"]).dropna() / 1e9
    assert len(encoded_s) > 60
    expected = device.point(TABLE, 1.0).time_s.value
    assert encoded_s.mean() == pytest.approx(expected, rel=4 * device.jitter_cv / 60**0.5)
