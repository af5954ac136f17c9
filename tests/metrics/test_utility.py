"""What a frame is worth, by hand and in a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed import records
from testbed.compare import figures_of, ladders_of, utility_of
from testbed.metrics.utility import (
    UNDECIDED,
    Utility,
    Worth,
    mean_per_seed,
    places_of,
    total,
)
from testbed.model import SKIP, OperatingPoint, Rung
from testbed.run import run
from testbed.scenario import dump

NARROW, WIDE = OperatingPoint(0.25), OperatingPoint(1.0)
LADDER = (
    Rung(SKIP, 0, 0.0),
    Rung(NARROW, 10, 0.30, encode_j=1.0),
    Rung(WIDE, 40, 0.40, encode_j=2.0),
)


def rows(points, answered, client="camera", policy="p", seed=1):
    """Return frames captured every 100 ns, answered so many ns later (None: never)."""
    return pd.DataFrame(
        {
            "policy": policy,
            "seed": seed,
            "client": client,
            "frame": range(len(points)),
            "captured_ns": [100 * i for i in range(len(points))],
            "answered_ns": pd.array(
                [None if a is None else 100 * i + a for i, a in enumerate(answered)], "Int64"
            ),
            "width": [None if p is None else p.width for p in points],
            "bits": pd.array([None if p is None else p.bits for p in points], "Int64"),
            "mode": [None if p is None else p.mode.value for p in points],
            "payload_bytes": 0,
        }
    )


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({}, [0.30, 0, 0.40, 0, 0]),
        ({"energy": 1.0}, [0.30 - 0.5, -1.0, 0.40 - 1.0, 0, 0]),
        ({"switching": 1.0}, [0.30, -0.5, 0.40, 0, -1.0]),  # the dropped one is passed over
        ({"miss": 1.0}, [0.30, -1, 0.40, -1, -1]),
        ({"age": 15.0}, [0.30, -1, 0.40, -1, -2]),
    ],
    ids=str,
)
def test_each_weight_counts_as_the_formula_says(weights, expected):
    """Narrow in time, wide late, wide in time, dropped before the decision, skipped."""
    frames = rows([NARROW, WIDE, WIDE, None, SKIP], [50, 90, 60, None, None])
    utility = Utility(**({"switching": 0.0, "energy": 0.0} | weights))
    places = places_of(frames, LADDER)
    in_time = np.array([True, False, True, False, False])

    assert places.tolist() == [1, 2, 2, UNDECIDED, 0]
    assert Worth(LADDER, utility).of(places, in_time).tolist() == pytest.approx(expected)
    assert total(frames, LADDER, utility, deadline_ns=60) == pytest.approx(sum(expected))


@given(
    st.lists(st.tuples(st.sampled_from([UNDECIDED, 0, 1, 2]), st.booleans()), max_size=40),
    st.builds(Utility, *[st.sampled_from([0.0, 0.05, 1.0])] * 4),
)
def test_frame_by_frame_and_all_at_once_are_the_same(life, utility):
    life = [(place, in_time and place != UNDECIDED) for place, in_time in life]
    worth, last, age, stepped = Worth(LADDER, utility), None, 0, []
    for place, in_time in life:
        age = 0 if in_time else age + 1
        value = worth.gain(place, in_time, age)
        if place != UNDECIDED:
            value -= worth.cost(place, last)
            last = place
        stepped.append(value)
    places, in_time = (np.array(column) for column in zip(*life, strict=True)) if life else ([], [])
    at_once = worth.of(np.array(places, np.int64), np.array(in_time, bool))

    assert at_once.tolist() == pytest.approx(stepped)


def test_an_answer_is_older_for_fifteen_frames_and_no_longer():
    worth = Worth(LADDER, Utility(0.0, 0.0, age=1.0))
    values = worth.of(np.zeros(20, np.int64), np.zeros(20, bool))

    assert values.tolist() == pytest.approx([-min(k, 15) / 15 for k in range(1, 21)])


def test_the_mean_is_over_the_frames_of_all_clients():
    frames = pd.concat(
        [rows([NARROW] * 3, [1, 1, 1], "one"), rows([SKIP], [None], "two")], ignore_index=True
    )
    utility = Utility(0.0, 0.0)
    ladders = {"one": LADDER, "two": LADDER}

    assert mean_per_seed(frames, ladders, utility, 50) == {("p", 1): pytest.approx(0.9 / 4)}
    assert mean_per_seed(frames, {"one": LADDER}, utility, 50) == {}


def test_rows_that_name_a_codec_are_told_apart_by_it_and_others_by_their_payload():
    raw, packed = OperatingPoint(0.5), OperatingPoint(0.5, codec="zstd")
    ladder = (Rung(packed, 10, 0.3), Rung(raw, 20, 0.3))
    frames = rows([raw, packed], [1, 1])
    by_payload = frames.assign(payload_bytes=[20, 10])
    by_codec = frames.assign(codec=["raw", "zstd"])

    assert places_of(by_payload, ladder).tolist() == [1, 0]
    assert places_of(by_codec, ladder).tolist() == [1, 0]
    with pytest.raises(ValueError, match="on the ladder"):
        places_of(rows([WIDE], [1]), ladder)


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="negative"):
        Utility(miss=-0.1)


def test_a_run_has_the_utility_of_its_scenario(world, tmp_path):
    """Without weights it is the on-time mAP; energy takes something off every frame encoded."""
    found = {}
    for energy in (0, 0.2):
        scenario = world("utility", {"switching": 0, "energy": energy}, "duration_s", 4)
        done = records.read(run(scenario, tmp_path))
        found[energy] = figures_of(done)["narrow"][1]
    ladder = ladders_of(done)["camera"]

    assert utility_of(done) == Utility(0, 0.2)
    assert [rung.point for rung in ladder] == [r.point for r in scenario.clients[0].ladder]
    assert found[0]["utility"] == pytest.approx(found[0]["on_time_map"])
    price = 0.2 * ladder[0].encode_j / max(rung.encode_j for rung in ladder)
    assert found[0]["utility"] - found[0.2]["utility"] == pytest.approx(price)
    assert done.summary["policies"]["narrow"]["utility"]["value"] == pytest.approx(
        found[0.2]["utility"]
    )


def test_policies_that_plan_take_the_weights_of_the_scenario_unless_they_have_their_own(world):
    scenario = world(
        *("utility", {"switching": 0.2, "miss": 0.3}),
        *("clients.0.ladder.modes", ["split", "skip"]),
        "policies",
        {
            "taken": {"kind": "mpc"},
            "own": {"kind": "drift-plus-penalty", "switching": 0, "energy": 0.5},
            "inner": {"kind": "late-drop", "policy": {"kind": "robust-mpc"}},
        },
    )
    weights = {
        name: (spec.switching, spec.energy, spec.miss)
        for name, spec in (
            ("taken", scenario.spec.policies["taken"]),
            ("own", scenario.spec.policies["own"]),
            ("inner", scenario.spec.policies["inner"].policy),
        )
    }

    assert weights == {"taken": (0.2, 0.1, 0.3), "own": (0, 0.5, 0.3), "inner": (0.2, 0.1, 0.3)}
    assert "switching: 0.2" in dump(scenario)
