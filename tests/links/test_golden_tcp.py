"""Frames over real Linux TCP, predicted.

The measurements are not part of the repository; where they are at hand, each run is fed its
measured send times, and the bounds are those that the project has set itself.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from lossy import play

from testbed import traces
from testbed.links.capacity import Opportunities
from testbed.links.fifo import FifoLink
from testbed.links.tcp.transport import Tcp

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
pytestmark = pytest.mark.skipif(
    not (SHARED / "golden").is_dir(), reason="the measured runs are not on this machine"
)
LOSSLESS = ["lte-verizon-up", "lte-verizon-down", "lte-verizon-up-rtt10"]


def latencies(name, **options):
    """Return predicted and measured latencies of a run, ns."""
    run = json.loads((SHARED / "golden" / f"{name}.json").read_text())
    with (SHARED / "golden" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    sent = np.array([int(row["send_ns"]) for row in rows])
    measured = np.array([int(row["delivered_ns"]) for row in rows]) - sent
    trace = traces.read(SHARED / "traces" / "mahimahi" / run["trace"])
    delay_ns = round(run["one_way_delay_ms"] * 1e6)
    curve = Opportunities(trace, round(run["trace_offset_s"] * 1e9))
    link = FifoLink(curve, delay_ns, run["queue_bytes"])
    connection = Tcp(
        connection="long" if run["connection"] == "long_lived" else "per_frame",
        initial_window=run["initial_window"],
        idle_restart=bool(run["slow_start_after_idle"]),
        congestion_control=run["congestion_control"],
        **options,
    ).connect(link, delay_ns)
    deliveries = play(connection, [(at_ns, run["payload_bytes"]) for at_ns in sent.tolist()])
    predicted = np.array([delivery.arrived_ns for delivery in deliveries]) - sent
    return predicted, measured


def percent_off(name, **options):
    predicted, measured = latencies(name, **options)
    return 100 * np.abs(predicted - measured) / measured


@pytest.mark.parametrize("model", ["auto", "rounds", "packets"])
@pytest.mark.parametrize("name", LOSSLESS)
def test_a_long_lived_lossless_connection_is_predicted_to_a_tenth_of_a_percent(name, model):
    predicted, measured = latencies(name, model=model)
    off = 100 * np.abs(predicted - measured) / measured
    assert np.median(off) <= 0.1
    assert np.quantile(off, 0.95) <= 0.5
    assert abs(predicted.mean() / measured.mean() - 1) <= 0.003


def test_a_new_connection_for_each_frame_is_predicted():
    off = percent_off("lte-verizon-up-new-connection")
    assert np.median(off) <= 0.2
    assert np.quantile(off, 0.95) <= 1.0


def test_a_restart_after_idle_time_is_predicted():
    assert np.quantile(percent_off("lte-verizon-up-idle-restart"), 0.95) <= 2.0


def test_recovery_from_drops_has_the_measured_distribution():
    """Packet by packet it is chaotic; the quantiles are not."""
    predicted, measured = latencies("lte-verizon-up-50kB-queue")
    for q in (0.5, 0.9, 0.99):
        assert np.quantile(predicted, q) == pytest.approx(np.quantile(measured, q), rel=0.05)
