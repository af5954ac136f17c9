"""Scenario files: everything one run depends on, from YAML to a frozen `Scenario`."""

from testbed.scenario.load import Client, Scenario, dump, load, load_text
from testbed.scenario.schema import (
    BEST_FIXED,
    ClientSpec,
    LadderSpec,
    LinkSpec,
    NetworkSpec,
    PolicySpec,
    ScenarioSpec,
    ServerSpec,
    SourceSpec,
    TransportSpec,
)

__all__ = [
    "BEST_FIXED",
    "Client",
    "ClientSpec",
    "LadderSpec",
    "LinkSpec",
    "NetworkSpec",
    "PolicySpec",
    "Scenario",
    "ScenarioSpec",
    "ServerSpec",
    "SourceSpec",
    "TransportSpec",
    "dump",
    "load",
    "load_text",
]
