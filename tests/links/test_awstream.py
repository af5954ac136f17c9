"""The script that reproduces a published backlog does."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "analysis" / "awstream_backlog.py"


def test_credibility_7_published_backlog_reproduced():
    """Every figure within 5 % of the published one and of the fluid's."""
    for row in runpy.run_path(str(SCRIPT))["compare"](fps=10):
        assert row["over_published"] == pytest.approx(1, abs=0.05), row["figure"]
        assert row["over_fluid"] == pytest.approx(1, abs=0.05), row["figure"]


def test_the_fluid_has_the_computed_figures():
    fluid = runpy.run_path(str(SCRIPT))["fluid"]()
    expected = {"q1": 27.9, "median": 55.7, "mean": 57.1, "q3": 83.6, "max": 122.1}
    assert fluid == pytest.approx(expected, abs=0.06)
