"""The manual's page on policies names what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.estimators import estimators
from testbed.policies import policies

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*policies, *estimators])
def test_everything_there_is_has_its_line(name):
    assert f"\n| `{name}` |" in PAGE, f"docs/policies.md has no row that begins with `{name}`"
