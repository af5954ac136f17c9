"""The committed validations: within their bounds, and what the page says."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from testbed.scenario import load
from testbed.validate.bounds import NETWORK, TAKEN, bounds_of

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "analysis" / "validation").glob("*.json"))


@pytest.fixture(scope="module")
def script():
    """Return `analysis/validation.py` as a module."""
    spec = importlib.util.spec_from_file_location(
        "analysis_validation", ROOT / "analysis" / "validation.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_simulator_is_within_the_stated_bounds(path, script):
    result = json.loads(path.read_text(encoding="utf-8"))
    scenario, backend = script.VALIDATIONS[path.stem]
    loaded = load(f"validation/{scenario}")
    kind, bounds = bounds_of(loaded, backend, live=path.stem == "live-tiny")

    assert result["bounds"] == kind
    assert result["digest"] == loaded.digest, "the scenario has changed: validate it again"
    assert result["machine"]["valid"] == result["machine"]["runs"]
    for policy in result["policies"]:
        assert policy["frames"]["emulated"] >= 20
        held = [(b["stage"], b["figure"], b["most_percent"]) for b in policy["bounds"]]
        assert held == [(bound.stage, bound.figure, bound.most_percent) for bound in bounds]
        taken = policy["as_taken"]["bounds"] if kind == NETWORK else []
        held = [(b["stage"], b["figure"], b["most_percent"]) for b in taken]
        if kind == NETWORK:
            assert held == [(bound.stage, bound.figure, bound.most_percent) for bound in TAKEN]
        for bound in (*policy["bounds"], *taken):
            assert bound["value_percent"] <= bound["most_percent"], bound


def test_there_are_three_traces_both_kinds_of_connection_a_shared_cell_and_the_kernels_shaper():
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
    specs = {name: load(f"validation/{name.removesuffix('-tc')}").spec for name in results}

    traces = {spec.network.uplink.model_dump().get("trace") for spec in specs.values()}
    assert len(results) >= 6
    assert len(traces - {None}) >= 3
    connections = {spec.network.transport.model_dump()["connection"] for spec in specs.values()}
    assert connections == {"long", "per_frame"}
    assert specs["two-clients"].clients[0].count == 2
    assert {result["machine"]["backend"] for result in results.values()} == {"tun", "tc"}


def test_the_page_says_what_the_files_say(script):
    assert (ROOT / "docs" / "validation.md").read_text(encoding="utf-8") == script.page()
