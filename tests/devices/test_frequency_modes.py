import pytest

from testbed import catalog
from testbed.devices.ledger import Ledger
from testbed.devices.predict import job_energy
from testbed.devices.profile import load_device
from testbed.errors import UnknownName

RESNET50 = 4_100_000_000
S = 10**9


def device(name):
    return load_device(catalog.find("devices/devices", name))


def test_on_a_tx2_the_slow_mode_is_the_cheapest_above_idle():
    tx2 = device("jetson-tx2")
    joules = {mode: tx2.in_mode(mode).encode_j(RESNET50) for mode in tx2.modes}

    assert joules == {
        "maxn": pytest.approx(0.1151, abs=5e-5),
        "maxp": pytest.approx(0.0949, abs=5e-5),
        "maxq": pytest.approx(0.0800, abs=5e-5),
    }


def test_on_a_tx2_the_order_holds_in_total_and_at_a_fixed_period():
    tx2 = device("jetson-tx2")
    back_to_back = [job_energy(tx2.in_mode(mode), RESNET50) for mode in tx2.modes]
    at_10_fps = [job_energy(tx2.in_mode(mode), RESNET50, S // 10) for mode in tx2.modes]

    assert [round(job.total_j, 3) for job in back_to_back] == [0.134, 0.117, 0.109]
    for jobs in (back_to_back, at_10_fps):
        assert jobs[0].net_j > jobs[1].net_j > jobs[2].net_j
        assert jobs[0].total_j > jobs[1].total_j > jobs[2].total_j


def test_the_energy_above_a_loaded_runtime():
    """12.57 W against 5.7 W while waiting, and so on: 73.4, 58.6 and 42.6 mJ."""
    tx2 = device("jetson-tx2")
    millijoules = []
    for mode in tx2.modes:
        moded = tx2.in_mode(mode)
        seconds = moded.encode_ns(RESNET50) / S
        millijoules.append((moded.compute_w - moded.waiting_w) * seconds * 1e3)

    assert millijoules == pytest.approx([73.4, 58.6, 42.6], abs=0.06)


def test_on_an_agx_cpu_racing_to_idle_wins_in_total_and_loses_above_idle():
    agx = device("agx-xavier-cpu")
    jobs = {mode: job_energy(agx.in_mode(mode), RESNET50) for mode in agx.modes}

    assert [round(jobs[mode].total_j, 2) for mode in agx.modes] == [1.30, 1.62, 1.61, 1.49, 2.09]
    assert min(jobs, key=lambda mode: jobs[mode].total_j) == "mode-0"
    assert min(jobs, key=lambda mode: jobs[mode].net_j) == "mode-2"
    assert max(jobs, key=lambda mode: jobs[mode].net_j) == "mode-0"


def test_at_a_fixed_period_the_total_ranks_as_the_net_does():
    """
    With the board's idle power running anyway, only what is above it decides.
    """
    agx = device("agx-xavier-cpu")
    jobs = [job_energy(agx.in_mode(mode), RESNET50, S) for mode in agx.modes]

    assert sorted(jobs) == sorted(jobs, key=lambda job: job.net_j)
    assert all(job.total_j - job.net_j == pytest.approx(6.5) for job in jobs)


def test_an_encoding_longer_than_its_period_is_refused():
    with pytest.raises(ValueError, match="longer than the period"):
        job_energy(device("raspberry-pi-4"), RESNET50, S // 10)


def test_a_mode_nobody_has_is_refused_with_the_nearest():
    with pytest.raises(
        UnknownName, match=r"no mode of jetson-tx2 'maxm'.* Known: maxn, maxp, maxq"
    ):
        device("jetson-tx2").in_mode("maxm")


def test_the_default_mode_is_the_device_itself():
    tx2 = device("jetson-tx2")

    assert tx2.in_mode("maxn") is tx2
    assert tx2.in_mode("maxq").in_mode("maxq").rate == 257.9
    assert device("raspberry-pi-5").modes == ()


def test_a_measured_point_goes_before_the_rate(tmp_path):
    text = catalog.find("devices/devices", "raspberry-pi-5").read_text()
    path = tmp_path / "pi.yaml"
    path.write_text(
        text
        + """
points:
  - detector: tiny-d0
    width: {value: 0.5, kind: measured, source: a profile}
    time_s: {value: 0.0123, kind: measured, source: a profile}
    active_w: {value: 6.6, kind: measured, source: a profile}
"""
    )
    pi = load_device(path)

    assert pi.encode_ns(89_000_000, detector="tiny-d0", width=0.5) == 12_300_000
    assert pi.encode_j(89_000_000, detector="tiny-d0", width=0.5) == pytest.approx(0.0123 * 4.0)
    assert pi.encode_ns(89_000_000, detector="tiny-d0", width=0.25) == 1_000_000
    assert pi.encode_ns(89_000_000) == 1_000_000


def test_a_waiting_runtime_is_in_the_ledger():
    tx2 = device("jetson-tx2")
    ledger = Ledger(tx2.idle_w, waiting_w=tx2.waiting_w)
    ledger.compute(S, 2 * S, tx2.compute_w)
    spans = ledger.close(3 * S)

    assert [(span.state, span.power_w) for span in spans] == [
        ("waiting", pytest.approx(3.9)),
        ("busy", pytest.approx(10.77)),
        ("waiting", pytest.approx(3.9)),
        ("on", 1.8),
    ]
    assert sum(span.energy_j for span in spans) == pytest.approx(5.7 + 12.57 + 5.7)
