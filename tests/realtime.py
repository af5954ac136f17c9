"""Tests that measure what a machine does in real time."""

from __future__ import annotations

import pytest

measured = pytest.mark.flaky(reruns=2, only_rerun=["AssertionError", "EnvironmentLacks"])
"""Measured again, twice at most: other work on a machine makes one run late, a fault every run."""
