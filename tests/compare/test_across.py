"""Policies over traces: pairing, families, words; fronts; claims as JUnit."""

from __future__ import annotations

import math
from types import SimpleNamespace
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare import across, family_of, front, hypervolume, junit, no_difference_shown
from testbed.errors import TestbedError, UnknownName
from testbed.metrics import METRICS

KINDS = {"narrow": "fixed", "wide": "fixed", "adaptive": "mpc", "other": "bba"}


def figures(metric="on_time_map", **policies):
    """Return the figures of one run: policy -> values per seed of one metric."""
    blank = dict.fromkeys(METRICS, math.nan) | {"energy_per_frame_j": 1.0}
    return {
        policy: {seed: blank | {metric: value} for seed, value in enumerate(values)}
        for policy, values in policies.items()
    }


def one(rows, policy="adaptive"):
    return next(row for row in rows if row["policy"] == policy)


def test_seeds_are_averaged_and_the_best_static_policy_is_that_of_each_trace():
    """Gains of 0.1 (0.35 - 0.25), 0.1 (0.4 - 0.3) and 0.3 (0.5 - 0.2)."""
    row = one(
        across(
            {
                "a": figures(narrow=[0.2, 0.3], wide=[0.1, 0.1], adaptive=[0.3, 0.4]),
                "b": figures(narrow=[0.2, 0.2], wide=[0.3, 0.3], adaptive=[0.4, 0.4]),
                "c": figures(narrow=[0.2], wide=[0.1], adaptive=[0.5]),
            },
            KINDS,
            families={"a": "lte", "b": "lte", "c": "wifi"},
        )
    )

    assert row["n"] == 3
    assert row["value"] == pytest.approx(0.5 / 3)
    assert row["relative"] == pytest.approx(0.5 / 0.75)
    assert row["p"] == 0.25
    assert row["wins"] == {"lte": (2, 2), "wifi": (1, 1)}
    assert (row["worst"], row["worst_rival"]) == pytest.approx((0.35, 0.2))
    assert row["improvement"] == 1


def test_what_the_client_was_shown_is_compared_where_every_run_knows_it():
    def both(shown, in_time):
        found = figures("streaming_map", narrow=[shown], adaptive=[shown + 0.1])
        for policy, value in (("narrow", in_time), ("adaptive", in_time + 0.2)):
            found[policy][0]["on_time_map"] = value
        return found

    films = {name: both(0.2, 0.3) for name in "abc"}
    table = {"d": figures(narrow=[0.3], adaptive=[0.5])}

    assert one(across(films, KINDS))["metric"] == "streaming_map"
    assert one(across(films, KINDS))["value"] == pytest.approx(0.1)
    assert one(across(films | table, KINDS))["metric"] == "on_time_map"
    assert one(across(films | table, KINDS))["value"] == pytest.approx(0.2)


def many(gain, scatter, count=20, seed=1):
    """Return traces on which `adaptive` gains so much over `narrow`, and `other` nothing."""
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(count):
        base = rng.uniform(0.1, 0.4)
        ours = base + rng.normal(gain, scatter)
        out[f"t{i}"] = figures(
            narrow=[base], adaptive=[ours], other=[base + rng.normal(0, scatter)]
        )
    return out


def test_a_gain_on_nearly_every_trace_is_shown():
    row = one(across(many(0.02, 0.01), KINDS))

    assert not no_difference_shown(row)
    assert row["low"] > 0
    assert row["verdict"].startswith("adaptive against best-fixed in on-time mAP: better, +0.0")
    assert "95 % over 20 traces, p = " in row["verdict"]


def test_what_scatters_as_much_as_it_gains_is_not_shown_and_it_says_what_would_be():
    row = one(across(many(0.0, 0.05), KINDS), "other")

    assert "no difference shown (" in row["verdict"]
    assert row["verdict"].endswith(" would have been shown)")
    assert 0.01 < row["detectable"] < 0.05  # 2.95 deviations over the root of 20


def test_many_policies_must_show_more_than_one():
    """Of forty that do nothing two pass at 5 %; after Holm none does."""
    rng = np.random.default_rng(11)
    traces = {}
    for i in range(20):
        idle = {f"idle-{k}": [0.3 + rng.normal(0, 0.05)] for k in range(40)}
        traces[f"t{i}"] = figures(narrow=[0.3], **idle)
    rows = [row for row in across(traces, KINDS) if row["policy"] != "narrow"]

    assert any(row["p"] < 0.05 for row in rows)
    assert all(no_difference_shown(row) for row in rows)


def test_lower_is_better_where_the_metric_says_so():
    traces = {
        f"t{i}": figures("deadline_miss_rate", narrow=[0.3 + i / 100], adaptive=[0.2])
        for i in range(6)
    }
    row = one(across(traces, KINDS, metric="deadline_miss_rate"))

    assert row["value"] == pytest.approx(0.125)
    assert row["wins"] == {"all": (6, 6)}
    assert row["worst_rival"] == pytest.approx(0.35)


def test_a_policy_can_be_the_rival():
    rows = across(many(0.05, 0.01), KINDS, against="other")

    assert {row["policy"] for row in rows} == {"narrow", "adaptive"}
    assert one(rows)["value"] > 0


def test_two_traces_have_no_interval_and_show_nothing():
    rows = across(many(0.2, 0.001, count=2), KINDS)

    assert one(rows)["low"] is None
    assert "no difference shown" in one(rows)["verdict"]


def test_what_cannot_be_compared_is_said():
    with pytest.raises(UnknownName, match="Did you mean 'adaptive'"):
        across(many(0, 1, 3), KINDS, against="adaptiv")
    with pytest.raises(UnknownName, match="no metric"):
        across(many(0, 1, 3), KINDS, metric="on_time_mp")
    with pytest.raises(TestbedError, match="neither better high"):
        across(many(0, 1, 3), KINDS, metric="width_mean")
    with pytest.raises(TestbedError, match="t: no static policy"):
        across({"t": figures(adaptive=[0.3])}, KINDS)
    with pytest.raises(TestbedError, match="t: adaptive has no finite latency p99"):
        across(
            {"t": figures("latency_p99_ms", narrow=[9.0], adaptive=[math.inf])},
            KINDS,
            metric="latency_p99_ms",
        )


@pytest.mark.parametrize(
    ("uplink", "family"),
    [
        ({"kind": "replay", "trace": "lte/drive-a.up"}, "lte"),
        ({"kind": "replay", "trace": "/data/5g/x.csv"}, "5g"),
        ({"kind": "loss", "link": {"kind": "replay", "trace": "wifi/walk-a.up"}}, "wifi"),
        ({"kind": "replay", "trace": "mine.up"}, "replay"),
        ({"kind": "constant", "mbps": 5}, "constant"),
    ],
)
def test_a_trace_is_of_the_family_of_its_folder(uplink, family):
    assert family_of(SimpleNamespace(scenario={"network": {"uplink": uplink}})) == family


class TestFronts:
    def test_the_front_has_what_nothing_beats(self):
        points = {
            "a": (0.3, 1.0),
            "b": (0.4, 2.0),
            "c": (0.35, 2.5),
            "d": (0.4, 2.0),
            "e": (0.2, 0.5),
        }

        assert front(points) == ["e", "a", "b"]

    def test_the_volume_is_an_area_of_steps(self):
        """3 J under 4 times 0.3, then 2 times 0.1; (0.2, 3) lies inside and (0.9, 5) outside."""
        points = [(0.3, 1.0), (0.4, 2.0), (0.2, 3.0), (0.9, 5.0)]

        assert hypervolume(points, (0.0, 4.0)) == pytest.approx(0.9 + 0.2)
        assert hypervolume([], (0.0, 4.0)) == 0

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), max_size=12))
    def test_only_the_front_counts(self, points):
        named = {str(i): point for i, point in enumerate(points)}
        kept = [named[name] for name in front(named)]

        assert hypervolume(points, (0.0, 5.0)) == pytest.approx(hypervolume(kept, (0.0, 5.0)))


def test_claims_come_out_as_junit():
    claims = [
        {"better": "a", "than": "b", "metric": "on_time_map", "by": 0.0, "holds": True,
         "message": "holds: a better than b"},
        {"better": "a", "than": "best-fixed", "metric": "age_mean_ms", "by": 5, "holds": False,
         "message": "fails: a < b & more"},
    ]  # fmt: skip
    root = Xml.fromstring(junit({"run-1": {"claims": claims}, "run-2": {"claims": []}}))

    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [suite.get("name") for suite in root] == ["run-1", "run-2"]
    cases = root[0].findall("testcase")
    assert cases[0].get("name") == "a better than b in on_time_map"
    assert cases[0].find("failure") is None
    assert cases[1].get("name") == "a better than best-fixed in age_mean_ms by 5"
    assert cases[1].find("failure").get("message") == "fails: a < b & more"
