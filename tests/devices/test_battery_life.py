import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.devices.battery import Battery, cutoff_ns
from testbed.devices.figures import Figure
from testbed.devices.ledger import Ledger, Span
from testbed.devices.sheets import BatterySheet

S = 10**9
HOUR = 3600 * S


def given_(value):
    return Figure(float(value), "assumed", "this test")


def battery(mah=4300, volt=3.85, *, charge=1.0, **more) -> Battery:
    figures = {key: given_(value) for key, value in more.items()}
    return Battery(BatterySheet(given_(mah), given_(volt), **figures), charge)


@pytest.mark.parametrize(("mah", "kilojoules"), [(4300, 59.6), (5160, 71.5)])
def test_capacity_is_charge_times_voltage(mah, kilojoules):
    assert battery(mah).capacity_j / 1e3 == pytest.approx(kilojoules, abs=0.05)


def test_one_lte_frame_of_2012_takes_a_twenty_five_thousandth():
    cell = battery()
    cell.drain(2.30, S)

    assert 1 - cell.charge == pytest.approx(0.0039e-2, rel=0.02)


def test_it_is_empty_at_capacity_over_power():
    cell = battery()
    lasts = cell.lasts_ns(2.0)

    assert lasts == round(4.3 * 3.85 / 2 * HOUR)
    cell.drain(2.0, lasts - S)
    assert not cell.empty
    cell.drain(2.0, S)
    assert cell.left_j == pytest.approx(0, abs=1e-6)
    cell.drain(2.0, S)
    assert cell.left_j == 0
    assert cell.empty


def test_without_a_load_it_lasts_for_ever():
    assert battery().lasts_ns(0.0) is None


def test_the_device_shuts_down_at_the_cutoff():
    cell = battery(1000, 3.6, cutoff=0.25)
    cell.drain(3.6, 44 * 60 * S)

    assert not cell.empty
    assert cell.lasts_ns(3.6) == 60 * S
    cell.drain(3.6, 60 * S)
    assert cell.empty
    assert cell.charge == pytest.approx(0.25)


def test_peukert_shortens_a_hard_discharge():
    """t = H · (C / (I · H))^k: 2 Ah rated for 20 h, drawn at 1 A with k = 1.2."""
    cell = battery(2000, 3.6, peukert=1.2, rated_h=20)

    assert cell.lasts_ns(3.6) / HOUR == pytest.approx(20 * (2 / (1 * 20)) ** 1.2)
    assert cell.lasts_ns(0.36) / HOUR == pytest.approx(20.0), "at the rated current"


@given(st.floats(0.01, 50), st.floats(100, 10_000), st.floats(1, 12))
def test_an_exponent_of_one_is_the_energy_balance(watts, mah, volt):
    plain, peukert = battery(mah, volt), battery(mah, volt, peukert=1, rated_h=5)

    assert peukert.lasts_ns(watts) == plain.lasts_ns(watts)


@given(st.floats(0.1, 10_000), st.floats(0.1, 100))
def test_units_of_charge_and_energy_agree(mah, volt):
    """1 mAh · 1 V = 1 mWh = 3.6 J."""
    joules = battery(mah, volt).capacity_j

    assert math.isclose(joules, (mah / 1000) * 3600 * volt)
    assert math.isclose(joules / 3.6, mah * volt)


@given(st.floats(0, 20), st.lists(st.integers(0, 10**13), min_size=1, max_size=6))
def test_draining_in_pieces_is_draining_at_once(watts, pieces):
    whole, parts = battery(peukert=1.05, rated_h=5), battery(peukert=1.05, rated_h=5)
    whole.drain(watts, sum(pieces))
    for piece in pieces:
        parts.drain(watts, piece)

    assert parts.left_j == pytest.approx(whole.left_j, rel=1e-9, abs=1e-6)
    assert 0 <= parts.charge <= 1


def test_a_ledger_says_when_its_client_goes_dark():
    """3.6 Wh at 3.6 W for half an hour, then 7.2 W: a quarter of an hour more."""
    spans = [
        Span("idle", "on", 0, 3 * HOUR, 3.6),
        Span("compute", "busy", HOUR // 2, 2 * HOUR, 3.6),
    ]

    assert cutoff_ns(spans, battery(1000, 3.6)) == HOUR * 3 // 4
    assert cutoff_ns(spans, battery(10_000, 3.6)) is None
    assert cutoff_ns(spans, battery(1000, 3.6, charge=0)) == 0


def test_a_dark_client_draws_nothing(radio):
    lte = radio("lte-2012-aro")
    ledger = Ledger(idle_w=2.0, radio=lte)
    ledger.compute(0, 4 * S, 1.0)
    ready = lte.wake(0)
    lte.use(ready, 6 * S, up_bytes=100_000)
    ledger.stop(3 * S)
    spans = ledger.close(5 * S)

    for component in ("compute", "radio", "idle"):
        mine = [span for span in spans if span.component == component]
        assert mine[-1] == Span(component, "off", 3 * S, 5 * S, 0.0)
        assert mine[-2].end_ns == 3 * S


@pytest.mark.parametrize("charge", [-0.1, 1.1])
def test_a_charge_beyond_full_or_empty_is_refused(charge):
    with pytest.raises(ValueError, match=r"charge must be in \[0, 1\]"):
        battery(charge=charge)
