import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import catalog
from testbed.devices.figures import Figure
from testbed.devices.profile import load_device
from testbed.devices.sheets import ThermalSheet
from testbed.devices.thermal import Thermal

S = 10**9


def sheet(*, throttle=60, hard=80, floor=0.5, hysteresis=5, resistance=10, tau=100) -> ThermalSheet:
    values = (resistance, tau, throttle, hard, floor, hysteresis)
    return ThermalSheet(*(Figure(float(value), "assumed", "this test") for value in values))


def test_it_warms_to_ambient_plus_power_times_resistance_along_an_exponential():
    body = Thermal(sheet())

    assert body.advance(4.0, 100 * S) == pytest.approx(25 + 40 * (1 - math.exp(-1)))
    assert body.advance(4.0, 10_000 * S) == pytest.approx(65.0)
    assert body.advance(0.0, 100 * S) == pytest.approx(25 + 40 * math.exp(-1))


@given(st.floats(0, 20), st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
def test_steps_of_any_length_lead_to_the_same_temperature(watts, steps):
    whole, pieces = Thermal(sheet()), Thermal(sheet())
    whole.advance(watts, sum(steps))
    for step in steps:
        pieces.advance(watts, step)

    assert pieces.temperature_c == pytest.approx(whole.temperature_c, abs=1e-9)


def test_speed_falls_along_a_line_between_the_limits():
    speeds = [Thermal(sheet(), start_c=at).speed for at in (59, 60, 65, 70, 80, 95)]

    assert speeds == pytest.approx([1.0, 1.0, 0.875, 0.75, 0.5, 0.5])


def test_once_slowed_it_stays_slow_until_it_has_cooled_by_the_hysteresis():
    body = Thermal(sheet(tau=1e-6), start_c=70)
    speeds = []
    for settled_c in (70, 67, 65, 62, 60, 54, 62):
        body.advance((settled_c - 25) / 10, S)
        speeds.append(body.speed)

    assert speeds == pytest.approx([0.75, 0.75, 0.75, 0.825, 0.875, 1.0, 0.95])


def test_equal_limits_make_a_switch():
    body = Thermal(sheet(throttle=60, hard=60, tau=1e-6))
    speeds = []
    for settled_c in (59.9, 60.1, 56, 54.9):
        body.advance((settled_c - 25) / 10, S)
        speeds.append(body.speed)

    assert speeds == [1.0, 0.5, 0.5, 1.0]


def test_a_pi_in_a_metal_case_does_not_throttle_in_ten_minutes_of_full_load():
    """MLPerf v2.0: 30 s means of 5.88 to 5.90 W throughout a run."""
    pi = load_device(catalog.find("devices/devices", "raspberry-pi-4"))
    body = Thermal(pi.sheet.thermal)
    body.advance(5.9, 600 * S)

    assert body.speed == 1.0


def test_a_phone_in_the_hand_throttles_under_load_and_not_at_rest():
    phone = load_device(catalog.find("devices/devices", "phone-sd765g"))
    busy, waiting = Thermal(phone.sheet.thermal), Thermal(phone.sheet.thermal)
    busy.advance(phone.active_w, 600 * S)
    waiting.advance(phone.idle_w, 3600 * S)

    assert busy.speed < 1.0 == waiting.speed
