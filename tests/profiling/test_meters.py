"""Joules from fake kernels: which meter is taken, what it counts, and what it leaves out."""

from __future__ import annotations

import sys
import types

import pytest

from testbed.errors import EnvironmentLacks, InputErrors
from testbed.profiling import meters
from testbed.profiling.meters import Counter, choose, nvml, rapl
from testbed.profiling.sampled import MeterFile, Sampled, ina3221, integral_j

WRAP = 262_143_328_850  # max_energy_range_uj of a desktop of 2020


def zone(sysfs, folder, name, count, wraps=WRAP):
    path = sysfs / "class/powercap" / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{wraps}\n")
    (path / "energy_uj").write_text(f"{count}\n")
    return path / "energy_uj"


def test_packages_and_their_dram_are_added_and_nothing_within_them_is_counted_twice(tmp_path):
    counts = {
        name: zone(tmp_path, folder, name, 1_000_000)
        for folder, name in [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "uncore"),
            ("intel-rapl:0:2", "dram"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:2", "psys"),
        ]
    }
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    meter = rapl(tmp_path)

    meter.begin()
    for joules, name in enumerate(counts, start=1):
        counts[name].write_text(str(1_000_000 + joules * 1_000_000))

    assert meter.name == "RAPL (package-0, dram of package-0, package-1)"
    assert meter.end() == pytest.approx(1 + 4 + 5)


def test_a_counter_that_wraps_around_goes_on_from_zero(tmp_path):
    count = zone(tmp_path, "intel-rapl:0", "package-0", WRAP - 1_999_999)
    meter = rapl(tmp_path)

    meter.begin()
    count.write_text("3000000")

    # Two joules up to the largest count and the step to zero, three from there.
    assert meter.end() == pytest.approx(5.0)


def test_a_counter_that_cannot_wrap_must_not_run_backwards():
    with pytest.raises(EnvironmentLacks, match="GPU 0 ran backwards"):
        Counter("GPU 0", lambda: 0, 1e-3).between(5, 4)


def test_a_counter_that_only_root_may_read_is_said_to_be_so(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    read = meters.Path.read_text

    def refuse(path, **kwargs):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path, **kwargs)

    monkeypatch.setattr(meters.Path, "read_text", refuse)

    with pytest.raises(EnvironmentLacks, match="only root may, until `chmod a\\+r"):
        choose("rapl", tmp_path)
    meter, why = choose("auto", tmp_path)
    assert meter is None
    assert "no INA3221 sensor" in why
    assert "only root may" in why


def rail(folder, index, label, **values):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / label[0].format(index)).write_text(label[1])
    for name, value in values.items():
        (folder / name.format(index)).write_text(str(value))


def test_the_input_rail_of_an_old_jetson_holds_the_others(tmp_path):
    device = tmp_path / "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    for index, name, milliwatts in [
        (0, "POM_5V_IN", 2500),
        (1, "POM_5V_GPU", 900),
        (2, "POM_5V_CPU", 700),
    ]:
        rail(device, index, ("rail_name_{}", name), **{"in_power{}_input": milliwatts})

    meter = ina3221(tmp_path)

    assert meter.name == "INA3221 (rail POM_5V_IN)"
    assert meter.read_w() == pytest.approx(2.5)


def test_volts_and_amperes_of_a_new_jetson_are_multiplied(tmp_path):
    device = tmp_path / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon4"
    for index, name, millivolts, milliamperes in [
        (1, "VDD_IN", 5000, 1240),
        (2, "VDD_CPU_GPU_CV", 4960, 400),
        (3, "NC", 8, 0),
    ]:
        values = {"in{}_input": millivolts, "curr{}_input": milliamperes}
        rail(device, index, ("in{}_label", name), **values)

    meter = ina3221(tmp_path)

    assert meter.name == "INA3221 (rail VDD_IN)"
    assert meter.read_w() == pytest.approx(6.2)


def test_a_board_without_an_input_rail_is_the_sum_of_its_rails_and_says_so(tmp_path):
    for bus, name, milliamperes in [("1-0040", "GPU", 2000), ("1-0041", "CPU", 1000)]:
        device = tmp_path / "bus/i2c/drivers/ina3221" / bus / "hwmon/hwmon3"
        values = {"in{}_input": 5000, "curr{}_input": milliamperes}
        rail(device, 1, ("in{}_label", name), **values)

    meter, why = choose("auto", tmp_path)

    assert meter.read_w() == pytest.approx(15.0)
    assert "the sum of the rails, less than the whole board: CPU, GPU" in why


def test_power_between_samples_is_a_straight_line():
    assert integral_j([(0.0, 2.0), (1.0, 4.0), (3.0, 4.0)]) == pytest.approx(3.0 + 8.0)


def test_a_sampled_meter_gives_power_times_time():
    import time

    meter = Sampled("constant", lambda: 4.0, period_s=0.001)
    began = time.perf_counter()
    meter.begin()
    time.sleep(0.02)
    joules = meter.end()
    took = time.perf_counter() - began

    assert 4.0 * 0.02 <= joules <= 4.0 * took


def test_a_gpu_tells_millijoules(monkeypatch):
    counts = {0: [1000, 1000, 3500], 1: [0, 0, 500]}
    fake = types.ModuleType("pynvml")
    fake.NVMLError = RuntimeError
    fake.nvmlInit = lambda: None
    fake.nvmlDeviceGetCount = lambda: 2
    fake.nvmlDeviceGetHandleByIndex = lambda index: index
    fake.nvmlDeviceGetTotalEnergyConsumption = lambda handle: counts[handle].pop(0)
    monkeypatch.setitem(sys.modules, "pynvml", fake)

    meter = nvml()
    meter.begin()

    assert meter.name == "NVML (GPU 0, GPU 1)"
    assert meter.end() == pytest.approx(3.0)


def test_without_its_library_there_is_no_gpu_meter(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert nvml() is None
    with pytest.raises(EnvironmentLacks, match="nvidia-ml-py"):
        choose("nvml")


def test_no_meter_is_asked_for():
    assert choose("none") == (None, "no meter was asked for")


def log(tmp_path, *lines, heading="time_s,power_w"):
    path = tmp_path / "log.csv"
    path.write_text("\n".join([heading, *lines]) + "\n")
    return path


def test_the_log_of_a_meter_is_integrated_between_two_instants(tmp_path):
    path = log(tmp_path, "100,2", "101,4", "102,4", "103,0")
    now = iter([100.5, 102.5])
    meter = MeterFile(path, clock=lambda: next(now))

    meter.begin()

    # 100.5 to 101 at 3 to 4 W, one second at 4 W, half a second at 4 to 2 W.
    assert meter.end() == pytest.approx(1.75 + 4.0 + 1.5)
    assert choose(str(path))[1] == "measured by a meter's log (log.csv)"


def test_a_log_that_grows_is_waited_for(tmp_path, monkeypatch):
    path = log(tmp_path, "100,2")
    now = iter([100.0, 101.0])
    meter = MeterFile(path, clock=lambda: next(now))
    meter.begin()
    monkeypatch.setattr(
        "testbed.profiling.sampled.time.sleep",
        lambda _: path.write_text("time_s,power_w\n100,2\n101,2\n102,"),
    )

    assert meter.end() == pytest.approx(2.0)


def test_a_log_of_another_time_is_refused(tmp_path):
    now = iter([1000.0, 1001.0])
    meter = MeterFile(log(tmp_path, "1,2", "2,2"), clock=lambda: next(now), patience_s=0)
    meter.begin()

    with pytest.raises(EnvironmentLacks, match=r"covers 1.0 to 2.0, not .* Unix seconds"):
        meter.end()


@pytest.mark.parametrize(
    ("lines", "heading", "said"),
    [
        (["1,2"], "seconds;watts", r"log\.csv:1: the heading of a meter's log is time_s,power_w"),
        (["1,2", "1,2"], "time_s,power_w", r"log\.csv:3: expected a later time and watts"),
        (["1,-2"], "time_s,power_w", r"log\.csv:2: expected"),
        (["1,nan"], "time_s,power_w", r"log\.csv:2: expected"),
        (["1,2", "two"], "time_s,power_w", r"log\.csv:3: expected .* not 'two'"),
    ],
)
def test_a_log_that_is_none_is_refused_with_its_line(tmp_path, lines, heading, said):
    with pytest.raises(InputErrors, match=said):
        MeterFile(log(tmp_path, *lines, heading=heading))


def test_a_log_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputErrors, match="cannot be read: No such file"):
        choose(str(tmp_path / "none.csv"))
