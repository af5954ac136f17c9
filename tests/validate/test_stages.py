"""The arithmetic of a validation, on frames written by hand."""

import numpy as np
import pandas as pd
import pytest

from testbed.validate.stages import ks_distance, matched, stages

MS = 1_000_000


def frames(*rows, policy="p", seed=1):
    """Return frames of one client; a row is captured, handed over, arrived, answered in ms."""
    columns = {}
    for number, (captured, encoded, arrived, answered) in enumerate(rows):
        instants = {
            "captured_ns": captured,
            "encode_start_ns": captured,
            "encode_end_ns": encoded,
            "send_start_ns": encoded,
            "arrived_ns": arrived,
            "batch_start_ns": arrived,
            "decoded_ns": arrived,
            "answered_ns": answered,
        }
        row = {name: None if at is None else round(at * MS) for name, at in instants.items()}
        row |= {"policy": policy, "seed": seed, "client": "camera", "frame": number}
        row |= {"width": 0.5, "bits": 8, "mode": "split"}
        row["fate"] = "unfinished" if answered is None else "on_time"
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    table = pd.DataFrame(columns)
    return table.astype({name: "Int64" for name in table if name.endswith("_ns")})


def stage(name, simulated, emulated):
    return next(found for found in stages(simulated, emulated) if found.name == name)


def test_a_slower_simulator_has_a_positive_error_as_a_share_of_the_emulated_time():
    simulated = frames((0, 10, 112, 120), (500, 510, 612, 620))
    emulated = frames((0, 10, 110, 120), (500, 510, 610, 620))

    transfer = stage("transfer", simulated, emulated)

    assert (transfer.simulated.mean, transfer.emulated.mean) == (102, 100)
    assert transfer.error_percent["p50"] == pytest.approx(2.0)
    assert transfer.per_frame.n == 2
    assert transfer.per_frame.bias_ms == pytest.approx(2.0)
    assert transfer.per_frame.p95_percent == pytest.approx(2.0)
    assert stage("total", simulated, emulated).per_frame.p95_ms == 0


def test_errors_that_cancel_out_in_the_mean_show_frame_by_frame():
    simulated = frames((0, 10, 120, 200), (500, 510, 600, 700))
    emulated = frames((0, 10, 110, 200), (500, 510, 610, 700))

    transfer = stage("transfer", simulated, emulated)

    assert transfer.error_percent["mean"] == 0
    assert (transfer.per_frame.bias_ms, transfer.per_frame.median_ms) == (0, 10)


def test_frames_handed_over_at_other_times_are_compared_as_distributions_only():
    simulated = frames((0, 10, 110, 120), (500, 510, 610, 620))
    emulated = frames((0, 10, 110, 120), (500, 516, 716, 720))

    left, right = matched(simulated, emulated)

    assert len(left) == len(right) == 1
    transfer = stage("transfer", simulated, emulated)
    assert transfer.per_frame.n == 1
    assert transfer.emulated.n == 2
    assert transfer.ks == 0.5


def test_frames_of_another_fate_or_point_are_no_pair():
    simulated = frames((0, 10, 110, 120), (500, 510, 610, 620))
    emulated = frames((0, 10, 110, 120), (500, 510, 610, None))
    assert len(matched(simulated, emulated)[0]) == 1

    other = frames((0, 10, 110, 120), (500, 510, 610, 620))
    other["width"] = 0.25
    assert len(matched(simulated, other)[0]) == 0
    assert stage("transfer", simulated, other).per_frame is None


def test_a_frame_that_got_nowhere_in_both_is_a_pair_without_durations():
    nowhere = frames((0, None, None, None))

    assert len(matched(nowhere, nowhere)[0]) == 1
    transfer = stage("transfer", nowhere, nowhere)
    assert (transfer.simulated.n, transfer.simulated.mean, transfer.ks) == (0, None, None)


def test_a_stage_below_a_millisecond_has_no_relative_error():
    simulated = frames((0, 10, 10.2, 120))
    emulated = frames((0, 10, 10.9, 120))

    transfer = stage("transfer", simulated, emulated)

    assert transfer.error_percent["p50"] is None
    assert transfer.per_frame.median_percent is None
    assert transfer.per_frame.median_ms == pytest.approx(0.7)


def test_quantiles_are_observed_values():
    rows = [(500 * i, 500 * i + 10, 500 * i + 10 + i + 1, 500 * i + 200) for i in range(100)]

    spread = stage("transfer", frames(*rows), frames(*rows)).simulated

    assert (spread.p50, spread.p90, spread.p95, spread.p99) == (50, 90, 95, 99)


def test_the_distance_of_two_distributions():
    one = np.array([1.0, 2.0, 3.0, 4.0])

    assert ks_distance(one, one) == 0
    assert ks_distance(one, one + 10) == 1
    assert ks_distance(one, np.array([1.0, 2.0, 3.0, 9.0])) == 0.25
    assert ks_distance(one, np.array([])) is None
