"""Scores of estimators, by hand and from the command line."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from testbed.cli import estimate
from testbed.errors import TestbedError, UnknownName
from testbed.estimators import estimators
from testbed.estimators.ewma import Ewma
from testbed.estimators.score import Upload, score, uploads
from testbed.links.capacity import ConstantRate

MS = 1_000_000
MBPS = 1_000_000


def test_a_score_is_over_what_was_foretold():
    """The last sample foretells 8, 4, 4 Mbit/s where 4, 4, 8 come: errors of 1, 0 and 1/2."""
    made = [Upload(i, i + ms * MS, 10_000) for i, ms in enumerate((10, 20, 20, 10))]
    got = score(Ewma(gain=1), made, quantile=0.2)

    assert got.uploads == 3
    assert got.mape == pytest.approx(0.5)
    assert got.over == pytest.approx(1 / 3)
    assert got.pinball_mbps == pytest.approx((0.8 * 4 + 0 + 0.2 * 4) / 3)


def test_one_upload_is_too_few_to_foretell_anything():
    assert score(Ewma(), [Upload(0, 1, 1)]).uploads == 0


def test_uploads_are_asked_for_by_the_clock_and_only_while_the_link_is_free():
    """1 Mbit/s and 15 kB every 50 ms: each takes 120 ms, so every third is made."""
    made = list(uploads(ConstantRate(MBPS), 400 * MS, 50 * MS, 15_000))

    assert [(u.start_ns // MS, u.sent_ns // MS) for u in made] == [(0, 120), (150, 270)]


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    estimate.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["estimate", *arguments])


def test_every_estimator_is_scored_on_a_trace(run):
    got = run("lte/drive-a.up", "--json")
    page = json.loads(got.output)

    assert [row["estimator"] for row in page["estimators"]] == list(estimators)
    for row in page["estimators"]:
        assert row["mape"] > 0
        assert 0 <= row["over"] <= 1
        assert row["uploads"] > 100


def test_careful_estimators_over_estimate_less(run):
    page = json.loads(run("lte/drive-a.up", "--json").output)
    over = {row["estimator"]: row["over"] for row in page["estimators"]}

    assert over["conformal"] < 0.2 < over["ewma"]
    assert over["robust"] < over["harmonic"]


def test_an_unknown_estimator_or_trace_is_named(run):
    assert isinstance(run("lte/drive-a.up", "--estimator", "kalmn").exception, UnknownName)
    assert isinstance(run("lte/drive-b.up").exception, TestbedError)
