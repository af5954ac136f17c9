"""How late a relay was, and what follows from it."""

from __future__ import annotations

import json

import pytest

from testbed.emulate.engine import _client_late
from testbed.emulate.lateness import ORDINARY_GATE, REALTIME_GATE, Lateness, RelayReport

MS = 1_000_000


def report(**changes):
    said = {
        "backend": "tun",
        "realtime": True,
        "packets": 1000,
        "queue_drops": 0,
        "losses": 0,
        "kernel_drops": 0,
        "late_p50_ns": 50_000,
        "late_p99_ns": 1 * MS,
        "late_p999_ns": 5 * MS,
        "late_max_ns": 60 * MS,
        "cpu_share": 0.2,
        "load_average": 2.0,
        "gate": REALTIME_GATE,
    }
    return RelayReport(**said | changes)


def test_nothing_counted_was_never_late():
    assert Lateness().counts() == {
        "packets": 0,
        "late_p50_ns": 0,
        "late_p99_ns": 0,
        "late_p999_ns": 0,
        "late_max_ns": 0,
    }


def test_quantiles_are_the_smallest_that_enough_did_not_exceed():
    late = Lateness()
    for us in range(1000):
        late.add(us * 1000)
    assert late.quantile_ns(500) == 500_000  # 0 to 499 us, the last one's bin ends there
    assert late.quantile_ns(990) == 990_000
    assert late.quantile_ns(999) == 999_000
    assert late.quantile_ns(1000) == late.worst_ns == 999_000


def test_what_is_too_early_is_not_late_and_what_is_very_late_is_the_worst():
    late = Lateness()
    late.add(-5)
    late.add(3_000 * MS)
    assert late.quantile_ns(500) == 1000
    assert late.quantile_ns(999) == 3_000 * MS


def test_a_run_at_its_bounds_is_valid():
    assert report().valid
    assert report().reason is None
    assert json.loads(json.dumps(report().as_json()))["valid"] is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"late_p99_ns": 1_001_000}, "99 % of the packets were up to 1.00 ms late; at most 1 ms"),
        ({"late_p999_ns": 6 * MS}, "99.9 % of the packets were up to 6.00 ms late; at most 5 ms"),
        ({"kernel_drops": 3}, "interfaces dropped 3 packets of their own accord"),
    ],
)
def test_a_run_beyond_them_says_why_it_is_not(changes, reason):
    assert not report(**changes).valid
    assert report(**changes).reason.startswith(reason)


def test_without_real_time_the_bounds_are_wider_and_stated():
    late = {"late_p99_ns": 4 * MS, "late_p999_ns": 15 * MS}
    assert not report(**late).valid
    loose = report(**late, realtime=False, gate=ORDINARY_GATE)
    assert loose.valid
    assert loose.as_json()["gate"] == {"p99_ns": 5 * MS, "p999_ns": 20 * MS}


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        ({"p99_ns": 1 * MS, "p999_ns": 2 * MS, "max_ns": 5 * MS}, None),
        ({}, None),
        ({"p99_ns": 2 * MS, "max_ns": 3 * MS}, "99 % of the timers of camera were up to 2.00 ms"),
        ({"p99_ns": MS, "p999_ns": MS, "max_ns": 6 * MS}, "all of the timers of camera were up to"),
    ],
)
def test_a_client_is_held_to_all_of_its_timers(late, reason):
    gate = {"p99_ns": 1 * MS, "p999_ns": 5 * MS}

    said = _client_late({"camera": {"late_ns": late}}, gate)

    assert said == reason or said.startswith(reason)
