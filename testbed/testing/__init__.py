"""Referees for parts of your own: hand one a part and it holds it to the contract."""

from testbed.testing.detectors import check_detector
from testbed.testing.links import check_link
from testbed.testing.policies import check_policy, example_ladder

__all__ = ["check_detector", "check_link", "check_policy", "example_ladder"]
