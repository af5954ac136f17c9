"""Referees for parts of your own: hand one a part and it holds it to the contract."""

from testbed.testing.links import check_link
from testbed.testing.policies import check_policy, example_ladder

__all__ = ["check_link", "check_policy", "example_ladder"]
