"""Comparisons are paired over seeds and say no more than the intervals do."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
from sample_run import sample_run

from testbed import compare
from testbed.compare import (
    best_fixed,
    between_runs,
    check_claims,
    forecasters_of,
    kinds_of,
    paired,
    verdicts,
)
from testbed.errors import TestbedError, UnknownName
from testbed.metrics import METRICS

KINDS = {"narrow": "fixed", "wide": "fixed", "adaptive": "goodput", "random": "random"}


def figures(**policies: dict[str, list[float]]) -> dict:
    """Return figures per policy and seed: metrics given as one value per seed, others NaN."""
    out = {}
    for policy, metrics in policies.items():
        seeds = len(next(iter(metrics.values())))
        out[policy] = {
            seed + 1: dict.fromkeys(METRICS, math.nan) | {m: v[seed] for m, v in metrics.items()}
            for seed in range(seeds)
        }
    return out


def maps(**values: list[float]) -> dict:
    """Return figures with an on-time mAP per seed, a joule per frame and α = 0.25."""
    return figures(
        **{
            policy: {
                "on_time_map": v,
                "energy_per_frame_j": [1.0] * len(v),
                "width_mean": [0.25] * len(v),
            }
            for policy, v in values.items()
        }
    )


def test_the_best_static_policy_is_the_fixed_one_with_the_best_mean():
    got = maps(narrow=[0.3, 0.2], wide=[0.1, 0.5], adaptive=[0.9, 0.9])

    assert best_fixed(got, KINDS) == "wide"


def test_lower_is_better_where_the_metric_says_so():
    got = figures(narrow={"latency_p95_ms": [math.inf]}, wide={"latency_p95_ms": [90.0]})
    for seeds in got.values():
        seeds[1]["energy_per_frame_j"] = 1.0

    assert best_fixed(got, KINDS, "latency_p95_ms") == "wide"


def test_ties_go_to_less_energy_and_then_to_the_name():
    got = maps(wide=[0.3], narrow=[0.3])
    assert best_fixed(got, KINDS) == "narrow"

    got["wide"][1]["energy_per_frame_j"] = 0.9
    assert best_fixed(got, KINDS) == "wide"


def test_without_a_static_policy_there_is_no_best_one():
    assert best_fixed(maps(adaptive=[0.3]), KINDS) is None


def test_a_difference_is_paired_so_that_what_seeds_share_cancels():
    """Seeds differ by 0.3 and policies by 0.01; the interval knows only the latter."""
    got = maps(narrow=[0.1, 0.4, 0.25], adaptive=[0.111, 0.409, 0.26])
    found = paired(got["adaptive"], got["narrow"], "on_time_map")

    half = 0.95 / math.sqrt(2 * 0.975 * 0.025) * 0.001 / math.sqrt(3)
    assert found["value"] == pytest.approx(0.01, abs=1e-12)
    assert (found["low"], found["high"]) == pytest.approx((0.01 - half, 0.01 + half), abs=1e-11)
    assert found["n"] == 3


def test_only_seeds_that_both_sides_have_are_paired():
    ours, theirs = maps(a=[0.3, 0.4, 0.9])["a"], maps(a=[0.2, 0.3])["a"]

    assert paired(ours, theirs, "on_time_map")["n"] == 2
    assert paired(ours, {7: theirs[1]}, "on_time_map")["n"] == 0


def test_a_difference_of_infinities_is_undefined_and_no_seed_is_left_out_for_it():
    got = figures(a={"latency_p99_ms": [10.0, math.inf]}, b={"latency_p99_ms": [20.0, math.inf]})

    assert paired(got["a"], got["b"], "latency_p99_ms") == {
        "value": None, "low": None, "high": None, "n": 2,
    }  # fmt: skip


def test_the_verdict_names_both_sides_the_interval_and_the_energy():
    got = maps(narrow=[0.30, 0.20], wide=[0.1, 0.1], adaptive=[0.31, 0.211])
    for seed in got["adaptive"].values():
        seed["energy_per_frame_j"] = 1.03

    assert verdicts(got, KINDS) == [
        "adaptive: on-time mAP 0.261 vs 0.250 of the best static policy (narrow, α = 0.25): "
        "+0.011 [+0.004, +0.017], 95 % over 2 seeds, at 3 % more energy per frame."
    ]


def test_the_verdict_shows_no_difference_when_the_interval_holds_zero():
    got = maps(narrow=[0.3, 0.2], adaptive=[0.33, 0.19])

    assert "no difference shown (+0.010 [" in verdicts(got, KINDS)[0]
    assert verdicts(got, KINDS)[0].endswith("at the same energy per frame.")


def test_the_verdict_says_so_when_the_adaptive_policy_loses():
    got = maps(narrow=[0.3, 0.2, 0.25], adaptive=[0.2, 0.1, 0.16])

    assert "adaptive loses, −0.097 [−0.111, −0.082], 95 % over 3 seeds" in verdicts(got, KINDS)[0]


def test_one_seed_shows_nothing():
    got = maps(narrow=[0.3], adaptive=[0.9])

    assert (
        "no difference shown (+0.600 on one seed, so without an interval)"
        in (verdicts(got, KINDS)[0])
    )


def test_several_adaptive_policies_are_said_to_be_picked_in_hindsight():
    kinds = KINDS | {"other": "mpc"}
    got = maps(narrow=[0.3, 0.2], adaptive=[0.4, 0.3], other=[0.5, 0.4], random=[0.9, 0.9])
    said = verdicts(got, kinds)

    assert said[0].startswith("other (best of 2 adaptive policies): ")
    assert [text.partition(":")[0] for text in said[1:]] == ["adaptive", "random"]


@pytest.mark.parametrize(
    ("got", "start"),
    [
        (maps(narrow=[0.3], wide=[0.4]), "wide is the best of the static policies: on-time mAP"),
        (maps(adaptive=[0.3]), "adaptive has the best on-time mAP, 0.300; no static policy"),
        (maps(narrow=[math.nan]), "No policy has a defined on-time mAP"),
    ],
)
def test_without_two_sides_the_verdict_says_what_there_is(got, start):
    assert verdicts(got, KINDS)[0].startswith(start)


CLAIM = {"metric": "on_time_map", "better": "adaptive", "than": "best-fixed", "by": 0.0}


@pytest.mark.parametrize(
    ("adaptive", "by", "holds"),
    [
        ([0.41, 0.31, 0.36], 0.0, True),
        ([0.41, 0.31, 0.36], 0.01, False),  # the mean is beyond it, the interval is not
        ([0.35, 0.19, 0.27], 0.0, False),
        ([0.2, 0.1, 0.14], 0.0, False),
    ],
)
def test_a_claim_holds_when_the_whole_interval_lies_beyond_by(adaptive, by, holds):
    got = maps(narrow=[0.4, 0.29, 0.345], wide=[0.0, 0.0, 0.0], adaptive=adaptive)
    (result,) = check_claims([CLAIM | {"by": by}], got, KINDS)

    assert result["holds"] is holds
    assert result["message"].startswith("holds: " if holds else "fails: ")
    assert "adaptive better than narrow in on-time mAP" in result["message"]


def test_a_claim_about_a_cost_is_turned_so_that_less_is_better():
    got = figures(
        narrow={"latency_p95_ms": [90.0, 95.0, 99.0], "energy_per_frame_j": [1, 1, 1]},
        adaptive={"latency_p95_ms": [80.0, 84.0, 90.0], "energy_per_frame_j": [1, 1, 1]},
    )
    claim = CLAIM | {"metric": "latency_p95_ms"}

    assert check_claims([claim | {"by": 5}], got, KINDS)[0]["holds"]
    assert not check_claims([claim | {"by": 9}], got, KINDS)[0]["holds"]


def test_best_fixed_in_a_claim_is_the_best_on_the_claims_own_metric():
    """So nobody can pick a weak rival by picking the metric."""
    both = {"on_time_map": [0.3, 0.3], "latency_p50_ms": [50.0, 60.0]}
    got = figures(
        narrow=both,
        wide={"on_time_map": [0.4, 0.4], "latency_p50_ms": [500.0, 600.0]},
        adaptive={"on_time_map": [0.5, 0.5], "latency_p50_ms": [100.0, 110.0]},
    )
    (result,) = check_claims([CLAIM | {"metric": "latency_p50_ms"}], got, KINDS)

    assert not result["holds"]
    assert "better than narrow" in result["message"]


def test_the_confidence_of_a_claim_widens_its_interval():
    got = maps(narrow=[0.4, 0.3, 0.35], adaptive=[0.41, 0.312, 0.359])
    sure, surer = check_claims(
        [CLAIM | {"confidence": 0.8}, CLAIM | {"confidence": 0.999}], got, KINDS
    )

    assert sure["holds"]
    assert not surer["holds"]


def test_a_claim_on_an_infinite_figure_fails_and_says_why():
    got = figures(
        narrow={"latency_p99_ms": [math.inf, math.inf], "energy_per_frame_j": [1, 1]},
        adaptive={"latency_p99_ms": [90.0, 95.0], "energy_per_frame_j": [1, 1]},
    )
    (result,) = check_claims([CLAIM | {"metric": "latency_p99_ms"}], got, KINDS)

    assert not result["holds"]
    assert "not finite on every seed" in result["message"]


def test_a_claim_without_a_static_policy_fails():
    (result,) = check_claims([CLAIM], maps(adaptive=[0.4, 0.5]), KINDS)

    assert not result["holds"]
    assert "no static policy" in result["message"]


def test_a_claim_about_an_unknown_policy_or_metric_names_the_nearest():
    got = maps(narrow=[0.4, 0.5])
    with pytest.raises(UnknownName, match=r"no policy 'narow'\. Did you mean 'narrow'"):
        check_claims([CLAIM | {"better": "narow"}], got, KINDS)
    with pytest.raises(UnknownName, match=r"no metric 'on_time_mp'\. Did you mean 'on_time_map'"):
        check_claims([CLAIM | {"metric": "on_time_mp"}], got, KINDS)
    with pytest.raises(TestbedError, match="'width_mean' is neither better high nor better low"):
        check_claims([CLAIM | {"metric": "width_mean"}], got, KINDS)


def test_runs_are_compared_policy_by_policy_over_the_seeds_they_share():
    first = maps(narrow=[0.3, 0.4, 0.5], adaptive=[0.4, 0.4, 0.4])
    second = maps(narrow=[0.35, 0.47, 0.5, 0.9], wide=[0.1, 0.1, 0.1, 0.1])
    rows = between_runs({"a": first, "b": second})

    assert {row["policy"] for row in rows} == {"narrow"}
    row = next(row for row in rows if row["metric"] == "on_time_map")
    assert (row["run"], row["against"], row["value"], row["n"]) == ("b", "a", 0.04, 3)
    assert between_runs({"a": first}) == []


def test_the_summary_of_a_run_is_json_with_metrics_comparison_and_claims():
    run = sample_run(seeds=(1, 2), seconds=5)
    got = json.loads(json.dumps(compare.summary(run), allow_nan=False))

    assert list(got["policies"]) == ["narrow", "wide", "adaptive"]
    assert list(got["policies"]["narrow"]) == list(METRICS)
    assert got["comparison"]["best_fixed"] == "narrow"
    assert set(got["comparison"]["differences"]) == {"wide", "adaptive"}
    assert [claim["better"] for claim in got["claims"]] == ["adaptive"]
    assert got["policies"]["narrow"]["streaming_map"]["value"] is None


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"kind": "frame-filter", "every": 2, "policy": {"kind": "fixed"}}, "fixed"),
        ({"kind": "frame-filter", "outstanding": 1, "policy": {"kind": "fixed"}}, "frame-filter"),
        ({"kind": "forecast", "policy": {"kind": "fixed"}}, "fixed"),
        ({"kind": "forecast", "policy": {"kind": "mpc"}}, "mpc"),
        ({"kind": "late-drop", "policy": {"kind": "fixed"}}, "late-drop"),
    ],
)
def test_a_wrapper_that_adapts_to_nothing_is_of_the_kind_of_what_is_in_it(options, kind):
    run = SimpleNamespace(scenario={"policies": {"it": options}})

    assert kinds_of(run) == {"it": kind}
    assert forecasters_of(run) == ({"it"} if options["kind"] == "forecast" else set())


def test_a_plan_is_no_adaptive_policy():
    got = maps(narrow=[0.3, 0.2], adaptive=[0.4, 0.3], plan=[0.9, 0.9])

    assert [v.partition(":")[0] for v in verdicts(got, KINDS | {"plan": "planned"})][-1] == "plan"
