"""Metrics are exact formulas; each test is a world small enough to work out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_run import MS, S, accuracy_of, sample_run, spans, typed

from testbed import metrics
from testbed.metrics import METRICS, STAGES, interval, per_seed, percentile, summarise
from testbed.model import Fate

MAP = {"camera": {(0.25, 8, "split"): 0.3, (1.0, 8, "split"): 0.4, (1.0, 0, "local"): 0.2}}


def frame(number: int, captured: int, answered: int | None = None, **more) -> dict:
    """Return a frame of policy p, seed 1, client camera; instants in ms."""
    fate = "unfinished" if answered is None else "on_time"
    row = {"policy": "p", "seed": 1, "client": "camera", "frame": number, "fate": fate}
    row |= {"captured_ns": captured * MS, "width": 0.25, "bits": 8, "mode": "split"}
    row |= {"payload_bytes": 0, "wire_bytes": 0, "encode_j": 0.0, "radio_j": 0.0}
    row["answered_ns"] = None if answered is None else answered * MS
    return row | more


def ledger(*rows: tuple) -> pd.DataFrame:
    """Return energy rows of policy p, seed 1, client camera: component, start ms, end ms, W."""
    rows = rows or (("idle", 0, 1000, 0.0),)
    return spans(
        [
            ("p", 1, "camera", name, name, a * MS, b * MS, w, w * (b - a) / 1000)
            for name, a, b, w in rows
        ]
    )


def figures(frames: list[dict], energy: pd.DataFrame | None = None, **more) -> dict[str, float]:
    options = {"deadline_ns": 100 * MS, "duration_ns": S, "accuracy": MAP} | more
    return per_seed(typed(frames), ledger() if energy is None else energy, **options)["p"][1]


def test_the_names_are_those_of_the_run_folder_and_of_no_others():
    stages = ["queue", "encode", "uplink_wait", "transfer", "server_wait", "decode", "downlink"]
    expected = ["captured", *[fate.value for fate in Fate], "deadline_miss_rate"]
    expected += [f"{s}_p{q}_ms" for s in ["latency", *stages] for q in (50, 95, 99)]
    expected += ["age_mean_ms", "age_p95_ms", "correct_age_mean_ms", "offline_map"]
    expected += ["streaming_map", "streaming_map50", "streaming_map_small"]
    expected += ["streaming_map_medium", "streaming_map_large", "on_time_map", "correct"]
    expected += ["utility"]
    expected += ["energy_j", "energy_per_frame_j", "energy_per_correct_j"]
    expected += ["compute_j", "radio_j", "idle_j"]
    expected += ["payload_bytes_mean", "wire_bytes", "width_mean", "switches_per_s"]

    assert list(METRICS) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [(1, 10), (10, 10), (11, 20), (50, 50), (95, 100), (99, 100), (100, 100)],
)
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(q, expected):
    values = np.arange(10, 101, 10)

    assert percentile(values, q) == expected
    assert np.percentile(values, q, method="inverted_cdf") == expected


def test_a_frame_without_an_answer_is_infinitely_late():
    """Of 100 frames p99 forgives one without an answer, not two."""
    answered = [frame(i, i, i + 10 + i % 3) for i in range(99)]

    one = figures([*answered, frame(99, 99)])
    two = figures([*answered[:98], frame(98, 98), frame(99, 99)])

    assert (one["latency_p50_ms"], one["latency_p99_ms"]) == (11, 12)
    assert (two["latency_p95_ms"], two["latency_p99_ms"]) == (12, math.inf)


def test_a_miss_is_any_captured_frame_without_an_answer_within_the_deadline():
    got = figures(
        [
            frame(0, 0, 100),
            frame(1, 0, 101, fate="late"),
            frame(2, 0, 60, fate="local", width=1.0, bits=0, mode="local"),
            frame(3, 0, None, fate="skipped", width=0.0, bits=0, mode="skip"),
            frame(4, 0, None, fate="dropped_queue", width=None, bits=None, mode=None),
        ]
    )

    assert got["deadline_miss_rate"] == 1 - 2 / 5
    assert [got[fate.value] for fate in Fate] == [1, 1, 1, 1, 0, 0, 1, 0]
    assert got["captured"] == 5


def test_accuracy_counts_what_was_answered_in_time_and_offline_what_was_chosen():
    got = figures(
        [
            frame(0, 0, 50),
            frame(1, 0, 300, fate="late", width=1.0),
            frame(2, 0, None, fate="skipped", width=0.0, bits=0, mode="skip"),
            frame(3, 0, 90, fate="local", width=1.0, bits=0, mode="local"),
            frame(4, 0, None, fate="dropped_queue", width=None, bits=None, mode=None),
        ]
    )

    assert got["on_time_map"] == pytest.approx((0.3 + 0.2) / 5, abs=1e-15)
    assert got["offline_map"] == pytest.approx((0.3 + 0.4 + 0 + 0.2) / 4, abs=1e-15)
    assert got["width_mean"] == (0.25 + 1.0) / 2
    assert math.isnan(got["streaming_map"])


def test_stages_lie_between_neighbouring_instants_and_add_up_to_the_latency():
    at = dict(zip([a for a, _ in STAGES.values()], [0, 1, 3, 6, 10, 15, 21], strict=True))
    row = frame(0, 0, 28) | {name: ms * MS for name, ms in at.items()}
    got = figures([row, frame(1, 0, None, encode_start_ns=4 * MS)])

    lengths = [got[f"{stage}_p50_ms"] for stage in STAGES]
    assert lengths == [1, 2, 3, 4, 5, 6, 7]
    assert sum(lengths) == got["latency_p50_ms"]
    assert got["queue_p99_ms"] == 4


def test_a_stage_that_nobody_completed_is_undefined():
    assert math.isnan(figures([frame(0, 0)])["decode_p50_ms"])


def test_age_of_information_grows_until_a_newer_frame_is_answered():
    """Pieces of age: 0 to 50, 50 to 150 and 50 to 100 ms."""
    got = figures([frame(0, 0, 50), frame(1, 100, 150)], duration_ns=200 * MS)

    assert got["age_mean_ms"] == (50 * 25 + 100 * 100 + 50 * 75) / 200
    assert got["age_p95_ms"] == 140


def test_an_answer_about_an_older_frame_does_not_make_the_age_worse_or_better():
    newer_first = [frame(0, 0, 180), frame(1, 100, 150)]

    assert (
        figures(newer_first, duration_ns=200 * MS)["age_mean_ms"]
        == figures([frame(0, 0), frame(1, 100, 150)], duration_ns=200 * MS)["age_mean_ms"]
    )


def test_without_any_answer_the_age_is_the_time_since_the_run_began():
    got = figures([frame(0, 0)])

    assert (got["age_mean_ms"], got["age_p95_ms"]) == (500, 950)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6),
        min_size=1,
        max_size=3,
    )
)
def test_age_agrees_with_counting_every_nanosecond(clients):
    """Answers fall on whole nanoseconds, so the age within each is a ramp of length one."""
    rows, ages = [], []
    for number, frames in enumerate(clients):
        for i, (captured, wait) in enumerate(frames):
            row = frame(i, 0, None, client=f"c{number}", captured_ns=captured)
            rows.append(row | {"answered_ns": captured + wait})
        for t in range(40):
            seen = [captured for captured, wait in frames if captured + wait <= t]
            ages.append(t - max(seen, default=0))
    got = figures(rows, duration_ns=40, accuracy={})

    assert got["age_mean_ms"] * MS == pytest.approx(np.mean(ages) + 0.5)
    within = sum(min(max(got["age_p95_ms"] * MS - age, 0), 1) for age in ages)
    assert within == pytest.approx(math.ceil(len(ages) * 95 / 100))


def test_energy_is_the_ledger_summed_by_component():
    """An idle device draws its idle power for the whole run, busy or not (conservation)."""
    energy = ledger(
        ("idle", 0, 1000, 2.5), ("compute", 100, 300, 4.0), ("radio", 0, 500, 0.1),
        ("radio", 500, 1000, 1.3),
    )  # fmt: skip
    got = figures([frame(0, 0, 50), frame(1, 100)], energy)

    assert (got["idle_j"], got["compute_j"]) == (2.5, 0.8)
    assert got["radio_j"] == pytest.approx(0.05 + 0.65, abs=1e-15)
    assert got["energy_j"] == math.fsum([got["compute_j"], got["radio_j"], got["idle_j"]])
    assert got["energy_per_frame_j"] == got["energy_j"] / 2


def test_bytes_are_means_over_payloads_and_sums_over_the_wire():
    got = figures(
        [
            frame(0, 0, 50, payload_bytes=1000, wire_bytes=1100),
            frame(1, 0, 50, payload_bytes=3000, wire_bytes=0),
            frame(2, 0, None, fate="skipped", width=0.0, bits=0, mode="skip"),
        ]
    )

    assert (got["payload_bytes_mean"], got["wire_bytes"]) == (2000, 1100)


def test_switches_are_counted_within_a_client_and_across_frames_that_got_no_point():
    lost = {"width": None, "bits": None, "mode": None, "fate": "dropped_queue"}
    first = [frame(0, 0), frame(1, 1, **lost), frame(2, 2, width=1.0), frame(3, 3, width=1.0)]
    other = [frame(i, i, client="other", width=w) for i, w in enumerate([1.0, 0.25, 1.0])]
    got = figures(first + other, duration_ns=2 * S, accuracy={})

    assert got["switches_per_s"] == 3 / (2 * 2)


def test_frames_are_pooled_over_clients_and_averaged_over_seeds():
    rows = [
        frame(0, 0, 10),
        frame(0, 0, 30, client="other"),
        frame(0, 0, 50, seed=2),
    ]
    energy = pd.concat([ledger(), ledger().assign(seed=2)])
    got = summarise(typed(rows), energy, deadline_ns=MS, duration_ns=S, accuracy={})["p"]

    assert got["latency_p50_ms"]["value"] == (10 + 50) / 2
    assert got["latency_p99_ms"]["value"] == (30 + 50) / 2
    assert got["captured"]["value"] == 1.5


def test_the_interval_is_students():
    """Mean 2, deviation 1; with two degrees of freedom t = (2p - 1) / sqrt(2p(1 - p))."""
    half = 0.95 / math.sqrt(2 * 0.975 * 0.025) / math.sqrt(3)
    got = interval([1.0, 2.0, 3.0])

    assert (got["value"], got["n"]) == (2.0, 3)
    assert got["low"] == pytest.approx(2 - half, rel=1e-11)
    assert got["high"] == pytest.approx(2 + half, rel=1e-11)
    assert interval([1.0, 2.0, 3.0], confidence=0.5)["high"] == pytest.approx(2.471404, abs=1e-6)


def test_an_interval_stays_within_what_is_possible():
    got = interval([0.0, 0.0, 1.0], within=(0.0, 1.0))

    assert (got["low"], got["high"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {"value": None, "low": None, "high": None, "n": 0}),
        ([math.nan], {"value": None, "low": None, "high": None, "n": 0}),
        ([7.0], {"value": 7.0, "low": None, "high": None, "n": 1}),
        ([7.0, math.inf], {"value": "inf", "low": None, "high": None, "n": 2}),
        ([math.inf, -math.inf], {"value": None, "low": None, "high": None, "n": 2}),
        ([7.0, math.nan, 7.0], {"value": 7.0, "low": 7.0, "high": 7.0, "n": 2}),
        ([1 / 3], {"value": 0.333333333333, "low": None, "high": None, "n": 1}),
    ],
)
def test_json_says_inf_and_null_where_a_number_would_lie(values, expected):
    assert interval(values) == expected


def test_an_operating_point_without_a_map_is_named():
    with pytest.raises(ValueError, match=r"client 'camera': no mAP .* α=0.5 8 bit split.* α=0.25"):
        figures([frame(0, 0, 10, width=0.5)])


def test_a_client_without_any_map_has_no_accuracy_figures():
    got = figures([frame(0, 0, 10)], accuracy={})

    assert math.isnan(got["on_time_map"])
    assert math.isnan(got["offline_map"])


@pytest.mark.parametrize("fate", [None, "vanished"])
def test_a_frame_without_a_known_fate_is_refused(fate):
    with pytest.raises(ValueError, match=f"without a known fate: {fate or 'null'}"):
        figures([frame(0, 0, 10), frame(1, 0, 10, fate=fate)])


@pytest.fixture(scope="module")
def sample():
    return sample_run(seeds=(1, 2), clients=2, seconds=8)


def _summary(run, frames=None, energy=None) -> str:
    return json.dumps(
        summarise(
            run.frames if frames is None else frames,
            run.energy if energy is None else energy,
            deadline_ns=200 * MS,
            duration_ns=8 * S,
            accuracy=accuracy_of(run),
        )
    )


def test_the_order_of_the_rows_changes_no_byte(sample):
    shuffled = sample.frames.sample(frac=1, random_state=3)
    spans_shuffled = sample.energy.sample(frac=1, random_state=4)

    assert _summary(sample, shuffled, spans_shuffled) == _summary(sample)


def test_nullable_columns_read_as_floats_change_no_byte(sample):
    """A table read without nullable integers has floats and NaN in their place."""
    frames = sample.frames.copy()
    for name in frames.columns:
        if frames[name].dtype in ("Int64", "Float64"):
            frames[name] = frames[name].to_numpy(float, na_value=math.nan)

    assert _summary(sample, frames) == _summary(sample)


def test_every_captured_frame_has_one_fate(sample):
    got = json.loads(_summary(sample))

    for policy in got.values():
        fates = sum(policy[fate.value]["value"] for fate in Fate)
        assert fates == policy["captured"]["value"] == 160


def test_every_metric_has_a_definition_and_a_unit():
    for name, metric in METRICS.items():
        assert metric.meaning
        assert metric.label
        unit = {"ms": "ms", "j": "J", "bytes": "B"}.get(name.rpartition("_")[2])
        assert unit in (None, metric.unit), name


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [
        ("1", 0.31249, "0.312"),
        ("1", 0.0, "0"),
        ("ms", 1234.5, "1 234"),
        ("ms", 12.345, "12.3"),
        ("J", 0.012345, "0.0123"),
        ("ms", math.inf, "∞"),
        ("ms", math.nan, "-"),
        ("1", -0.5, "−0.500"),
    ],
)
def test_values_are_shown_to_three_digits(unit, value, shown):
    assert metrics.Metric("", unit, "").show(value) == shown
