"""What fake machines tell of themselves."""

from __future__ import annotations

import pytest

from testbed.profiling import environment

CPUINFO = """processor\t: 0
model name\t: AMD EPYC
cpu MHz\t\t: 2596.0
flags\t\t: fpu hypervisor avx2
processor\t: 1
model name\t: AMD EPYC
cpu MHz\t\t: 2600.0
flags\t\t: fpu hypervisor avx2
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    proc, sysfs = tmp_path / "proc", tmp_path / "sys"
    proc.mkdir()
    sysfs.mkdir()
    (proc / "cpuinfo").write_text(CPUINFO)
    (proc / "meminfo").write_text("MemTotal:       24689816 kB\nMemFree: 1 kB\n")
    (proc / "loadavg").write_text("1.69 2.70 2.99 3/104 12664\n")
    monkeypatch.setattr(environment, "usable_cpus", lambda: 2)
    monkeypatch.setattr(environment, "_power_mode", lambda: None)
    return proc, sysfs


def test_a_virtual_machine_tells_its_class_and_nothing_that_names_it(machine):
    found = environment.read(*machine)

    assert found.machine == "virtual machine, 2 cores, AMD EPYC"
    assert (found.mhz_now, found.mhz_min, found.governor) == (2598.0, None, None)
    assert (found.memory_bytes, found.load) == (24689816 * 1024, 1.69)


def test_clocks_governor_and_heat_of_a_board(machine):
    proc, sysfs = machine
    (proc / "cpuinfo").write_text("processor\t: 0\n")
    (proc / "device-tree").mkdir()
    (proc / "device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    for cpu, now in enumerate((1500000, 2400000)):
        folder = sysfs / f"devices/system/cpu/cpu{cpu}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("ondemand\n")
        (folder / "scaling_cur_freq").write_text(f"{now}\n")
        (folder / "cpuinfo_min_freq").write_text("1500000\n")
        (folder / "cpuinfo_max_freq").write_text("2400000\n")
    (sysfs / "class/thermal/thermal_zone0").mkdir(parents=True)
    (sysfs / "class/thermal/thermal_zone0/temp").write_text("61250\n")

    facts = dict(environment.read(proc, sysfs).facts())

    assert facts["machine"] == "machine, 2 cores, Raspberry Pi 5 Model B Rev 1.0"
    assert facts["governor"] == "ondemand"
    assert facts["clock_mhz"] == "min 1500, now 1950, max 2400"
    assert facts["temperature_c"] == 61.25


def test_a_machine_that_tells_nothing_is_still_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_power_mode", lambda: None)
    found = environment.read(tmp_path, tmp_path)

    assert (found.load, found.memory_bytes, found.mhz_now, found.virtual) == (None,) * 3 + (False,)


def test_the_power_mode_of_a_jetson_is_asked_for(tmp_path, monkeypatch):
    program = tmp_path / "nvpmodel"
    program.write_text("#!/bin/sh\necho 'NV Power Mode: 5W'\necho 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert environment.read(tmp_path, tmp_path).power_mode == "5W"


def test_queues_of_all_threads_are_added(tmp_path):
    for thread, queued in (("1", 500), ("2", 70)):
        folder = tmp_path / "self/task" / thread
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"123456 {queued} 9\n")
    (tmp_path / "self/task/3").mkdir()

    assert environment.queued_ns(tmp_path) == 570
    assert environment.queued_ns(tmp_path / "nowhere") == 0
