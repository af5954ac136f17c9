"""A scenario with one of its policies."""

from __future__ import annotations

import json

from ruamel.yaml import YAML

from testbed.errors import UnknownName
from testbed.scenario import Scenario, dump, load_text


def only(scenario: Scenario, policy: str) -> Scenario:
    """Return a scenario without its other policies, and without claims, which may be about them.

    Raise `UnknownName` if it has no such policy.
    """
    data = YAML(typ="safe").load(dump(scenario))
    if policy not in data["policies"]:
        raise UnknownName("policy", policy, data["policies"])
    data["policies"] = {policy: data["policies"][policy]}
    data["claims"] = []
    return load_text(json.dumps(data), file=scenario.spec.name)
