"""Synthetic traces: the same bytes everywhere, with the statistics of measured ones."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import TestbedError, UnknownName
from testbed.traces import read, write
from testbed.traces.draws import Draws, share_below
from testbed.traces.statistics import binned, figures
from testbed.traces.synthesise import rates_mbps, synthesise
from testbed.traces.technologies import TECHNOLOGIES

TRACES = Path(__file__).resolve().parents[2] / "traces"
SHIPPED = re.findall(
    r"\| `(\S+)` \| `(\S+)` \| (\d+) \| (\d+) \| (\S+) \|", (TRACES / "README.md").read_text()
)


def text_of(trace):
    return write.mahimahi(trace) if trace.kind == "opportunities" else write.rate_csv(trace)


@pytest.mark.parametrize(
    ("technology", "kind", "sha256"),
    [
        (
            "lte-driving-up",
            "opportunities",
            "6aae391a35c40f6c1aec086a338bb97802bae5440279a798d6ec412b767d9c1f",
        ),
        (
            "mmwave-walking-down",
            "rate",
            "938ae0d77042a8d4c1a5d475eb74533137372461d79faee87e6cd503b68934ca",
        ),
    ],
)
def test_the_bytes_of_a_short_trace_never_change(technology, kind, sha256):
    trace = synthesise(technology, 10, 42)

    assert trace.kind == kind
    assert hashlib.sha256(text_of(trace).encode()).hexdigest() == sha256


def test_random_numbers_are_the_pinned_ones():
    assert (Draws(1, "a").uniform(2) * 2**53).astype(int).tolist() == [
        7038091685857487,
        8218620705128006,
    ]
    normal = Draws(1, "a").normal(200_000)
    assert normal.mean() == pytest.approx(0, abs=0.01)
    assert normal.std() == pytest.approx(1, abs=0.01)


def test_the_share_below_is_the_normal_one():
    from statistics import NormalDist

    z = np.linspace(-4, 4, 81)
    exact = [NormalDist().cdf(each) for each in z]
    assert share_below(z) == pytest.approx(exact, abs=6e-4)


@pytest.mark.parametrize("row", SHIPPED, ids=lambda row: row[0])
def test_a_shipped_trace_is_made_by_the_command_that_its_table_states(row):
    name, technology, seconds, seed, mean = row
    kind = "rate" if name.endswith(".csv") else "opportunities"
    mean_mbps = None if mean == "-" else float(mean)
    trace = synthesise(technology, int(seconds), int(seed), mean_mbps=mean_mbps, kind=kind)

    path = TRACES / name
    assert path.read_text() == text_of(trace)
    assert path.stat().st_size < 500_000
    again = read(path)
    assert (again.direction, again.technology) == (trace.direction, name.split("/")[0])
    assert again.period_ns == int(seconds) * 10**9
    if mean != "-":
        assert again.mean_bps / 1e6 == pytest.approx(float(mean), rel=1e-3)


def test_every_trace_that_ships_is_in_the_table():
    files = {path.relative_to(TRACES).as_posix() for path in TRACES.glob("*/*")}

    assert files == {row[0] for row in SHIPPED}


@pytest.mark.parametrize("name", sorted(TECHNOLOGIES))
def test_another_seed_is_another_run_and_the_same_seed_the_same(name):
    first, again, other = (synthesise(name, 60, seed, kind="rate") for seed in (1, 1, 2))

    assert first.rates_bps.tolist() == again.rates_bps.tolist()
    assert first.rates_bps.tolist() != other.rates_bps.tolist()
    assert first.mean_bps != other.mean_bps


@pytest.mark.parametrize("name", sorted(TECHNOLOGIES))
def test_a_run_of_either_kind_has_the_mean_asked_for_and_the_same_seconds(name):
    rates = synthesise(name, 30, 5, mean_mbps=3.0, kind="rate")
    packets = synthesise(name, 30, 5, mean_mbps=3.0, kind="opportunities")

    assert rates.mean_bps == pytest.approx(3e6, rel=1e-6)
    assert packets.mean_bps == pytest.approx(3e6, rel=1e-3)
    assert np.abs(binned(rates).mbps - binned(packets).mbps).max() <= 2 * 0.012


def test_outages_come_in_two_lengths():
    tech = TECHNOLOGIES["lte-walking-down"]
    lengths = []
    for seed in range(20):
        rates = rates_mbps(tech, 800, seed, None)
        out = np.concatenate(([0], rates < 0.1 * np.median(rates), [0])).astype(int)
        edges = np.flatnonzero(np.diff(out))
        lengths += (edges[1::2] - edges[::2]).tolist()

    assert np.median(lengths) == 1
    assert 2.0 < np.mean(lengths) < 3.8  # measured: 2.7
    assert max(lengths) > 15
    assert np.std(lengths) / np.mean(lengths) > 1.2  # a geometric length has less than 1


def test_both_directions_of_one_drive_are_neither_alike_nor_independent():
    """Measured: the correlation of up and down at 1 s is 0.18 to 0.48."""
    found = []
    for seed in range(30):
        up = rates_mbps(TECHNOLOGIES["lte-driving-up"], 300, seed, None)
        down = rates_mbps(TECHNOLOGIES["lte-driving-down"], 300, seed, None)
        found.append(np.corrcoef(up, down)[0, 1])

    assert 0.18 < np.mean(found) < 0.48


def test_delivery_is_bursty_below_a_second():
    """Measured on Verizon's LTE downlink: CV 2.13, 0.85, 0.71 and 0.64 at 1, 20, 100, 1000 ms."""
    found = []
    for seed in range(8):
        trace = synthesise("lte-driving-down", 140, seed, mean_mbps=5.03)
        rates = [binned(trace, width * 1_000_000).mbps for width in (1, 20, 100, 1000)]
        found.append([each.std() / each.mean() for each in rates])

    assert np.mean(found, axis=0) == pytest.approx([2.13, 0.85, 0.71, 0.64], rel=0.15)


def test_the_spread_between_runs_is_that_of_measured_ones():
    """Measured for 4G on foot: ln(mean) has a standard deviation of 0.53 around ln(35.4)."""
    means = [synthesise("lte-walking-down", 2, seed).mean_bps / 1e6 for seed in range(400)]

    assert np.log(means).std() == pytest.approx(0.53, rel=0.1)
    assert np.median(means) == pytest.approx(35.4, rel=0.1)


def test_figures_of_a_long_run_are_near_the_measured_ones():
    trace = synthesise("5g-sa-walking-up", 1000, 3)
    found = figures(trace)

    assert found.cv == pytest.approx(0.42, abs=0.12)
    assert found.lag1 == pytest.approx(0.88, abs=0.06)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lte-driving-up", 1, 1), "duration is 1 s; allowed: 2 to 86400"),
        (("lte-driving-up", 10, -1), "seed is -1; allowed: 0 or more"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments, message):
    with pytest.raises(TestbedError, match=message):
        synthesise(*arguments)
    with pytest.raises(UnknownName, match="Did you mean 'lte-driving-up'"):
        synthesise("lte-drivin-up", 10, 1)
    with pytest.raises(TestbedError, match="mean is 0 Mbit/s"):
        synthesise("lte-driving-up", 10, 1, mean_mbps=0)
    with pytest.raises(TestbedError, match="opportunities; at most 10000000"):
        synthesise("lte-driving-up", 86_400, 1, mean_mbps=9_000)
