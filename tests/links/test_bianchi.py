"""Bianchi's model against values solved independently (facts: checked against BianchiPy)."""

from __future__ import annotations

import pytest

from testbed.links.bianchi import PRESETS, Dcf, efficiency

N = (2, 5, 10, 20, 50)
TABLE = {
    (32, 3, False): (0.8473, 0.8097, 0.7532, 0.6788, 0.5529),
    (32, 3, True): (0.8189, 0.8342, 0.8371, 0.8356, 0.8270),
    (32, 5, False): (0.8473, 0.8102, 0.7579, 0.6975, 0.6109),
    (128, 3, False): (0.7676, 0.8250, 0.8263, 0.7981, 0.7252),
}


@pytest.mark.parametrize(("window", "stages", "rts"), TABLE)
def test_throughput_of_saturated_stations(window, stages, rts):
    dcf = Dcf(window=window, stages=stages, rts=rts)
    got = [dcf.throughput(stations) for stations in N]
    assert got == pytest.approx(TABLE[window, stages, rts], abs=1e-3)


def test_transmission_and_collision_probabilities():
    solved = [Dcf().solve(stations) for stations in N]
    assert [tau for tau, _ in solved] == pytest.approx(
        [0.05705, 0.04816, 0.03869, 0.02911, 0.01900], abs=1e-5
    )
    assert [p for _, p in solved] == pytest.approx(
        [0.0570, 0.1792, 0.2989, 0.4296, 0.6094], abs=1e-4
    )


def test_durations_of_the_published_parameters():
    assert Dcf().success_us == 8982
    assert Dcf().collision_us == 8713
    assert Dcf(rts=True).success_us == 9568
    assert Dcf(rts=True).collision_us == 417


def test_a_station_alone_never_collides():
    assert Dcf().solve(1) == pytest.approx((2 / 33, 0))
    assert Dcf().throughput(1) == pytest.approx(0.8388, abs=1e-4)


def test_where_the_closed_form_is_zero_over_zero():
    """At p = 1/2 the sum is m terms of 1."""
    assert Dcf().attempt(0.5) == pytest.approx(2 / (1 + 32 + 0.5 * 32 * 3))


def test_there_is_no_cell_without_stations():
    with pytest.raises(ValueError, match="at least 1"):
        Dcf().solve(0)


@pytest.mark.parametrize("preset", PRESETS)
def test_efficiency_is_relative_to_one_station(preset):
    assert efficiency(preset, 1) == 1_000_000
    assert 100_000 < efficiency(preset, 50) < efficiency(preset, 20) < 1_100_000
