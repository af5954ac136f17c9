"""The simple rivals are named, set against the best adaptive policy, and missed where absent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from testbed.compare import at_matched_map, baselines, kinds_of
from testbed.metrics import METRICS


def rung(width, bits, mode, size, accuracy, codec="raw"):
    return {
        "width": width, "bits": bits, "codec": codec, "mode": mode,
        "payload_bytes": size, "accuracy": accuracy,
    }  # fmt: skip


LADDER = [
    rung(0.25, 8, "split", 2000, 0.30),
    rung(1.0, 4, "split", 4000, 0.40),
    rung(1.0, 8, "split", 8000, 0.45),
    rung(1.0, 0, "local", 0, 0.50),
    rung(1.0, 0, "offload", 6000, 0.44, "jpeg-50"),
    rung(1.0, 0, "offload", 9000, 0.46, "jpeg-75"),
    rung(1.0, 0, "offload", 20000, 0.50, "jpeg-95"),
    rung(0.0, 0, "skip", 0, 0.0),
]
POLICIES = {
    "wide": {"kind": "fixed", "width": 1.0, "bits": 8, "codec": "raw", "mode": "split"},
    "few-bits": {"kind": "fixed", "width": 1.0, "bits": 4, "codec": "raw", "mode": "split"},
    "device": {"kind": "fixed", "width": 1.0, "bits": 8, "codec": "raw", "mode": "local"},
    "picture": {"kind": "fixed", "width": 1.0, "bits": 8, "codec": "jpeg-75", "mode": "offload"},
    "coarse": {"kind": "fixed", "width": 1.0, "bits": 8, "codec": "jpeg-50", "mode": "offload"},
    "half": {
        "kind": "frame-filter", "every": 2, "outstanding": None,
        "policy": {"kind": "fixed", "width": 1.0, "bits": 8, "codec": "raw", "mode": "split"},
    },
    "adaptive": {"kind": "goodput"},
    "worse": {"kind": "mpc"},
    "any": {"kind": "random"},
}  # fmt: skip
MAPS = {
    "wide": 0.30, "few-bits": 0.35, "device": 0.45, "picture": 0.40, "coarse": 0.38,
    "half": 0.20, "adaptive": 0.40, "worse": 0.33, "any": 0.99,
}  # fmt: skip


def world(policies=POLICIES, ladder=LADDER, maps=MAPS):
    """Return a run whose figures wander a little over three seeds, the same way for all."""
    run = SimpleNamespace(
        scenario={"policies": policies}, provenance={"ladders": {"camera": ladder}}
    )
    figures = {
        policy: {
            seed: dict.fromkeys(METRICS, 1.0)
            | {"streaming_map": maps[policy] + 0.001 * seed * (1 + len(policy) % 3)}
            for seed in (1, 2, 3)
        }
        for policy in policies
    }
    return run, figures


def rivals(*args, **more):
    run, figures = world(*args, **more)
    return {rival["baseline"]: rival for rival in baselines(run, figures, kinds_of(run))}


def test_every_rival_is_found_among_the_policies():
    found = rivals()

    assert {name: rival["policy"] for name, rival in found.items()} == {
        "best static point": "device",
        "device alone": "device",
        "whole picture at matched mAP": "picture",
        "whole picture, at another mAP": "coarse",
        "fewer frames": "half",
        "fewer bits alone": "few-bits",
    }
    assert {rival["against"] for rival in found.values()} == {"adaptive"}


def test_a_rival_that_wins_is_said_to_and_one_that_may_not_is_not():
    found = rivals()

    assert [name for name, rival in found.items() if rival["wins"]] == [
        "best static point",
        "device alone",
    ]
    assert (
        "device alone (device): beats adaptive; streaming mAP 0.406 of adaptive vs 0.452"
        in (found["device alone"]["message"])
    )
    assert (
        "no difference from adaptive shown"
        in rivals(maps=MAPS | {"picture": 0.4005})["whole picture at matched mAP"]["message"]
    )
    assert "adaptive is better" in found["fewer frames"]["message"]


def test_a_random_policy_is_neither_a_rival_nor_what_they_are_set_against():
    assert "any" not in {rival["policy"] for rival in rivals().values()}


def test_what_is_missing_is_said_with_what_to_add():
    few = {name: POLICIES[name] for name in ("wide", "adaptive")}
    found = rivals(few)

    said = {name: rival["message"] for name, rival in found.items() if rival["policy"] is None}
    assert said == {
        "device alone": "device alone: not run; add a policy {kind: fixed, mode: local}",
        "whole picture at matched mAP": "whole picture at matched mAP: not run; add a policy "
        "{kind: fixed, mode: offload, codec: jpeg-75}",
        "fewer frames": "fewer frames: not run; add a policy "
        "{kind: frame-filter, every: 2, policy: {kind: fixed}}",
        "fewer bits alone": "fewer bits alone: not run; add a policy "
        "{kind: fixed, width: 1, bits: 4}",
    }


def test_what_the_ladder_does_not_have_is_said_too():
    found = rivals({"adaptive": POLICIES["adaptive"]}, [LADDER[0]])

    for name, mode in (("device alone", "local"), ("whole picture", "offload")):
        assert found[name]["message"].endswith(f"'{mode}' is not among the modes of the ladder")
    assert found["fewer bits alone"]["message"].endswith("one number of bits at its full width")
    assert "no static policy was run" in found["best static point"]["message"]


def test_without_an_adaptive_policy_nothing_is_compared():
    found = rivals({"wide": POLICIES["wide"], "device": POLICIES["device"]})

    assert found["device alone"]["against"] is None
    assert not found["device alone"]["wins"]
    assert found["device alone"]["message"].endswith("nothing adapts")


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        (
            (),
            "At matched mAP: α = 1 at 8 bit sends 8 kB a frame for mAP 0.450; offload jpeg-75 "
            "sends 9 kB for mAP 0.460: the split sends less.",
        ),
        (
            ("jpeg-75", "jpeg-95"),
            "No picture on the ladder is as accurate as the most accurate split point: α = 1 at "
            "8 bit sends 8 kB a frame for mAP 0.450, offload jpeg-50 reaches 0.440 with 6 kB.",
        ),
        (("jpeg-50", "jpeg-75", "jpeg-95"), None),
    ],
)
def test_the_whole_picture_is_compared_at_matched_map(drop, said):
    assert at_matched_map([r for r in LADDER if r["codec"] not in drop]) == said


def test_a_picture_that_is_smaller_and_as_accurate_is_said_to_be():
    ladder = [*LADDER, rung(1.0, 0, "offload", 5000, 0.47, "webp-60")]

    assert at_matched_map(ladder).endswith(
        "offload webp-60 sends 5 kB for mAP 0.470: the whole picture is the smaller payload, so "
        "that splitting saves no bytes there."
    )
