"""Published numbers that shipped radios must reproduce, and slips of units found elsewhere."""

import pytest

from testbed import catalog
from testbed.devices.profile import load_radio
from testbed.devices.radio import Radio
from testbed.devices.radio_units import crossover_mbps

S = 10**9
RADIOS = {name: load_radio(path) for name, path in catalog.entries("devices/radios")}


def lone_packet_j(name: str) -> float:
    """Energy of promotion and tail around one packet of no duration."""
    radio = Radio(RADIOS[name])
    ready = radio.wake(0)
    radio.use(ready, ready, up_bytes=1)
    radio.advance(ready + RADIOS[name].tail_ns)
    return radio.joules


@pytest.mark.parametrize(("name", "paper_j"), [("umts-2012", 7.38), ("wifi-2012", 0.04)])
def test_one_packet_costs_what_huang_et_al_report(name, paper_j):
    assert lone_packet_j(name) == pytest.approx(paper_j, abs=0.005)


def test_one_lte_packet_is_within_two_percent_of_the_paper():
    """12.76 J for one packet; promotion and a tail at its base power make 12.585 J of it."""
    assert lone_packet_j("lte-2012") == pytest.approx(12.585, abs=5e-4)
    assert lone_packet_j("lte-2012") == pytest.approx(12.76, rel=0.02)


@pytest.mark.parametrize(
    ("other", "direction", "mbps"),
    [
        ("lte-2021", "down", 187),
        ("lte-2021", "up", 40),
        ("nr-nsa-low-2021", "down", 189),
        ("nr-nsa-low-2021", "up", 123),
    ],
)
def test_millimetre_wave_becomes_the_cheaper_one_where_the_artefact_says(other, direction, mbps):
    at = crossover_mbps(RADIOS["nr-nsa-mmwave-2021"], RADIOS[other], direction)

    assert at == pytest.approx(mbps, abs=1)


def test_lines_that_never_meet_have_no_crossover():
    low = RADIOS["wifi-modern"]
    assert crossover_mbps(low, low, "up") is None
    assert crossover_mbps(RADIOS["nr-sa-low-2021"], RADIOS["nr-nsa-low-2021-tmobile"], "up") is None


@pytest.mark.parametrize(
    ("name", "kilobytes", "mbps", "joules"),
    [
        ("lte-2012", 440, 6, 2.30),
        ("lte-2012", 70, 6, 0.37),
        ("lte-2021", 440, 6, 0.54),
        ("lte-2021", 70, 20, 0.057),
        ("nr-nsa-low-2021", 440, 6, 0.60),
        ("nr-nsa-low-2021", 440, 20, 0.25),
        ("nr-nsa-mmwave-2021", 440, 6, 1.95),
        ("nr-nsa-mmwave-2021", 70, 20, 0.097),
        ("wifi-modern", 440, 6, 0.41),
        ("wifi-modern", 70, 20, 0.020),
    ],
)
def test_the_energy_of_a_frame_on_the_air(name, kilobytes, mbps, joules):
    duration = round(kilobytes * 8e6 / mbps)
    radio = Radio(RADIOS[name])

    assert radio.use(0, duration, up_bytes=kilobytes * 1000) == pytest.approx(joules, rel=0.02)
    assert radio.out_of_range == 0


def test_a_milliwatt_per_megabit_is_a_nanojoule_per_bit_and_a_millijoule_per_megabit():
    """80.21 mW/Mbps = 80.21 nJ/bit = 0.642 J/MB, base aside."""
    radio = Radio(RADIOS["lte-2021"])
    slope_j = radio.use(0, S, up_bytes=1_000_000) - radio.use(S, 2 * S)

    assert slope_j == pytest.approx(8e6 * 80.21e-9, rel=1e-12)
    assert slope_j == pytest.approx(0.642, abs=5e-4)


def test_a_rate_in_kilobits_or_a_lost_base_would_show():
    """
    One open scheduler multiplies 438.39 by kbit/s and drops the base: 2630 W at 6 Mbit/s.
    """
    line = RADIOS["lte-2012"].sheet.up
    power_w = Radio(RADIOS["lte-2012"]).use(0, S, up_bytes=750_000)

    assert power_w == pytest.approx(line.alpha_w_per_mbps.value * 6 + line.beta_w.value, rel=1e-12)
    assert power_w == pytest.approx(3.91838, abs=1e-5)


def test_a_state_model_and_a_slope_model_of_wifi_are_two_entries():
    """ARO: 0.403 W over the transfer and 0.25 s more; Huang et al.: 283.17 nJ/bit and a base."""
    duration = round(442_368 * 8e3 / 10)
    states = Radio(RADIOS["wifi-2012-aro"])
    states.use(0, duration, up_bytes=442_368)
    states.advance(duration + S // 4)

    assert states.joules == pytest.approx(0.403 * (0.3538944 + 0.25), rel=1e-9)


def test_tail_power_is_not_connected_power():
    """
    1.092 W is the millimetre-wave tail; connected, the radio draws 2.8 to 8 W.
    """
    radio = Radio(RADIOS["nr-nsa-mmwave-2021"])
    radio.use(0, S, down_bytes=250_000_000)
    radio.advance(2 * S)

    assert [(state, power_w) for _, _, state, power_w in radio.spans] == [
        ("connected", pytest.approx(2.78 + 0.00181 * 2000)),
        ("inactivity", 1.092),
        ("drx_long", 1.092),
    ]


def test_two_generations_of_lte_are_two_entries():
    """The 2012 figures are 5.5 times (slope) and 3 times (base) those of 2021."""
    old, new = RADIOS["lte-2012"].sheet.up, RADIOS["lte-2021"].sheet.up

    assert old.alpha_w_per_mbps.value / new.alpha_w_per_mbps.value == pytest.approx(5.5, abs=0.05)
    assert old.beta_w.value / new.beta_w.value == pytest.approx(2.9, abs=0.05)


def test_a_phone_that_moves_to_5g_draws_the_switch_but_sends_meanwhile():
    radio = Radio(RADIOS["nr-nsa-low-2021"])
    ready = radio.wake(0)
    radio.use(ready, ready + S, up_bytes=1_000_000)
    radio.advance(3 * S)

    assert ready == 181_000_000
    assert [(end - start, state) for start, end, state, _ in radio.spans] == [
        (ready, "promotion"),
        (S, "connected"),
        (530_000_000, "switch"),
        (200_000_000, "inactivity"),
        (3 * S - ready - 1_730_000_000, "drx_long"),
    ]


def test_leaving_fach_takes_time_and_power_of_its_own():
    radio = Radio(RADIOS["umts-2012"])
    radio.use(0, S, up_bytes=100_000)
    fach = S + 8_100_000_000
    ready = radio.wake(fach)
    radio.use(ready, ready + S, up_bytes=100_000)
    radio.advance(ready + S)

    assert ready == fach + 582_000_000
    assert [state for _, _, state, _ in radio.spans] == [
        "connected",
        "dch_tail",
        "fach",
        "resume",
        "connected",
    ]


def test_data_for_a_phone_that_fell_silent_waits_up_to_a_third_of_a_second():
    """Verizon's LTE of 2021 listens every 0.32 s once it has been silent for a while."""
    radio = Radio(RADIOS["lte-2021"])
    radio.use(0, S, up_bytes=500_000)
    waits = [radio.hear(at) - at for at in range(2 * S, 4 * S, 1_000_000)]

    assert max(waits) > 318_000_000
    assert sum(waits) / len(waits) == pytest.approx(160_000_000, rel=0.05)
