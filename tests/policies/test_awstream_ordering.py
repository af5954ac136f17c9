"""The script that reproduces AWStream's published order does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from testbed.policies import policies

SCRIPT = Path(__file__).resolve().parents[2] / "analysis" / "awstream_ordering.py"


@pytest.mark.slow
def test_credibility_8_published_adaptation_ordering(monkeypatch):
    """Probing, latency on a fine and on a coarse ladder, nothing: each mean below the next."""
    spec = importlib.util.spec_from_file_location("awstream_ordering", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "awstream_ordering", script)
    monkeypatch.setattr(policies, "_targets", dict(policies._targets))
    spec.loader.exec_module(script)
    rows = script.compare()

    assert [row["way"] for row in rows] == ["awstream", "jetstream-pp", "jetstream", "tcp"]
    probing, fine, coarse, nothing = (row["mean_ms"] for row in rows)
    assert 2 * probing < fine < coarse < nothing / 100
    assert rows[0]["median_ms"] == min(row["median_ms"] for row in rows)
    assert rows[0]["falls_after_440_s"] == 0
    assert nothing == pytest.approx(rows[-1]["published_mean_ms"], rel=0.05)
