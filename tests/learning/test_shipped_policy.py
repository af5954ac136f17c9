"""The network that ships is what its recipe, its log and its result say."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("stable_baselines3")

from testbed import catalog, scenario
from testbed.learning.config import load
from testbed.learning.sets import run_seeds, sets_of
from testbed.metrics.utility import total
from testbed.policies.learned import Learned
from testbed.policies.network import read
from testbed.simulate import simulate

SHIPPED = dict(catalog.entries("policies"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_that_ships_comes_with_its_recipe_its_log_and_its_result(name):
    path = SHIPPED[name]
    config = load(path.with_suffix(".yaml")).config
    log = path.with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    result = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    about = read(path).about

    assert path.stat().st_size < 200_000
    assert config.name == name
    assert about["recipe"] == config.digest()
    assert int(about["seed"]) == result["kept_seed"]
    assert list(map(int, result["learned_by_seed"])) == list(config.seeds)
    assert result["traces"] >= 30
    assert max(float(row.split(",")[1]) for row in log[1:]) == float(about["validation"])
    Learned(model=name).check(scenario.load(config.scenario).clients[0].ladder)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_result_that_ships_is_had_again(name, tmp_path):
    """On the first of its test traces, in the simulator."""
    path = SHIPPED[name]
    recipe = load(path.with_suffix(".yaml"))
    result = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    first = recipe.config.traces.test[0]
    only = first.model_copy(update={"seeds": first.seeds[:1]})
    traces = recipe.config.traces.model_copy(
        update=dict.fromkeys(("train", "validation", "test"), (only,))
    )
    config = recipe.config.model_copy(update={"traces": traces})
    sets = sets_of(type(recipe)(config, recipe.text, recipe.source), tmp_path)
    ((trace, world),) = sets["test"].items()
    learned = scenario.load(
        config.scenario,
        [
            f"policies.learned={{kind: learned, model: {name}}}",
            f"network.uplink.trace={world.spec.network.uplink.trace}",
        ],
    )

    value, count = 0.0, 0
    for seed in run_seeds(0, config.runs):
        frames = simulate(learned, "learned", seed).frames.to_pandas()
        ladder, spec = learned.clients[0].ladder, learned.spec
        value += total(frames, ladder, spec.utility.weights, spec.deadline_ns)
        count += len(frames)

    assert result["by_trace"][trace]["learned"] == pytest.approx(value / count, abs=1e-9)
