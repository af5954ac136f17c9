"""Training: what is learned, that it can be gone on with, and that bad recipes are refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from testbed import cli, scenario
from testbed.environment.environment import SplitDetection
from testbed.errors import InputErrors, TestbedError
from testbed.learning import score
from testbed.learning.agent import Agent
from testbed.learning.config import load
from testbed.learning.run import judge, train
from testbed.learning.sets import sets_of
from testbed.metrics.utility import Utility
from testbed.policies.network import read
from testbed.simulate import simulate

RECIPE = """
schema: 1
name: small
scenario: world.yaml
algorithm: {algorithm}
seeds: [1, 2]
steps: 256
check_every: 128
environments: 2
hidden: [8, 8]
runs: 1
ppo: {{steps: 32, batch: 32, epochs: 2}}
dqn: {{buffer: 100, starts: 20, batch: 8, target_every: 50}}
traces:
  train: [{{technology: lte-driving-up, seeds: [1, 2], duration_s: 20}}]
  validation: [{{technology: lte-driving-up, seeds: [3], duration_s: 20}}]
  test: [{{technology: lte-static-up, seeds: [1, 2], duration_s: 20}}]
"""


@pytest.fixture
def recipe(tmp_path, world_data):
    """Return a function that writes a scenario and a recipe and loads the latter."""
    folder = tmp_path / "given"
    folder.mkdir()
    world_data["duration_s"] = 4
    world_data["network"]["uplink"] = {"kind": "replay", "trace": "lte/drive-a.up", "delay_ms": 25}
    world_data["clients"][0]["ladder"]["modes"] = ["split", "skip"]
    (folder / "world.yaml").write_text(json.dumps(world_data), encoding="utf-8")

    def make(algorithm="ppo", text=RECIPE, old="", new=""):
        path = folder / "recipe.yaml"
        text = text.format(algorithm=algorithm)
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return load(path)

    return make


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pt"
    }


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_the_policy_chooses_what_the_learner_would_choose(recipe, tmp_path, algorithm):
    """In numpy, from the file, in the simulator: the points of Stable-Baselines3's `predict`."""
    given = recipe(algorithm)
    scenarios = list(sets_of(given, tmp_path / "traces")["train"].values())
    agent = Agent(given.config, scenarios, 5)
    agent.learn(128)
    network = agent.network({})
    path = tmp_path / "network.safetensors"
    path.write_bytes(network.bytes())
    env = SplitDetection(scenarios)
    learned = scenario.load(
        tmp_path / "given" / "world.yaml",
        [
            f"policies.learned={{kind: learned, model: {path}}}",
            "network.uplink.start_s=random",
            f"network.uplink.trace={scenarios[1].spec.network.uplink.trace}",
        ],
    )

    compared = 0
    for seed in range(3):
        seen, _ = env.reset(options={"seed": seed, "scenario": 1})
        ended = False
        while not ended:
            place = agent.predict(seen)
            assert network.best(seen) == place
            compared += 1
            seen, _, terminated, truncated, _ = env.step(np.int64(place))
            ended = terminated or truncated
        rows = simulate(learned, "learned", seed)
        assert rows.frames.drop_columns("policy").equals(env.rows().frames.drop_columns("policy"))
    assert compared > 50
    rng = np.random.default_rng(0)
    anything = rng.uniform(-1, 1, (300, env.observation_space.shape[0])).astype(np.float32)
    places = [agent.predict(x) for x in anything]
    assert [network.best(x) for x in anything] == places
    assert len(set(places)) > 1


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(recipe, tmp_path, algorithm):
    given = recipe(algorithm)
    train(given, tmp_path / "whole")

    def stop(done, total):
        if done > 300:  # in the second chapter of the second seed
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(given, tmp_path / "stopped", told=stop)
    assert not (tmp_path / "stopped" / "result.json").exists()
    told = []
    train(given, tmp_path / "stopped", told=lambda done, total: told.append((done, total)))

    whole = files(tmp_path / "whole")
    assert files(tmp_path / "stopped") == whole
    assert {"small.safetensors", "result.json", "seed-1/log.csv", "seed-2/log.csv"} <= set(whole)
    assert told[0] == (256, 512)  # the first seed was done
    assert told[-1] == (512, 512)


def test_the_result_is_what_the_simulator_gives(recipe, tmp_path):
    given = recipe()
    result = train(given, tmp_path / "out")
    sets = sets_of(given, tmp_path / "out" / "traces")
    networks = {
        seed: read(tmp_path / "out" / f"seed-{seed}" / "policy.safetensors") for seed in (1, 2)
    }

    kept = read(tmp_path / "out" / "small.safetensors")
    assert kept.bytes() == networks[result["kept_seed"]].bytes()
    assert result == json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert judge(given.config, sets, networks) == result
    assert list(result["by_trace"]) == [f"lte-static-up-{seed}-20s.up" for seed in (1, 2)]
    for found in result["by_trace"].values():
        best = found["best point in hindsight"]
        assert found["plan"] >= best >= found[result["tuned_point"]]
        assert found["bound"] >= max(found["plan"], found["learned"])
    narrow = result["points"]["α=0.167 8 bit"]
    assert result["policies"]["narrow"] == pytest.approx(narrow, abs=1e-12)  # in two ways
    assert [row["traces"] for row in result["contrasts"]] == [2, 2, 2]
    seeds = result["learned_by_seed"]
    assert result["over_seeds"]["mean"] == pytest.approx((seeds["1"] + seeds["2"]) / 2)


def test_over_seeds_a_trace_has_the_mean_and_the_seeds_their_spread():
    """Means of the seeds 0.2, 0.3 and 0.4: deviation 0.1; on a 0.2, on b 0.3, on c 0.4."""
    learned = [
        {"a": 0.1, "b": 0.2, "c": 0.3},
        {"a": 0.2, "b": 0.3, "c": 0.4},
        {"a": 0.3, "b": 0.4, "c": 0.5},
    ]
    found = score.over_seeds(learned, {"rival": {"a": 0.1, "b": 0.1, "c": 0.1}})
    (row,) = found.pop("contrasts")

    assert found == pytest.approx(
        {"seeds": 3, "mean": 0.3, "deviation": 0.1, "least": 0.2, "most": 0.4}
    )
    assert (row["against"], row["traces"]) == ("rival", 3)
    assert row["difference"] == pytest.approx(0.2)
    assert score.over_seeds(learned[:1], {})["deviation"] is None


def test_learning_finds_what_pays(world):
    """Nothing gets through 0.1 Mbit/s in time, so that skipping is all there is to learn."""
    from testbed.learning.config import PolicyConfig

    config = PolicyConfig.model_validate(
        {
            "schema": 1,
            "name": "skips",
            "scenario": "world",
            "traces": {"train": ["a"], "validation": ["b"], "test": ["c", "d"]},
            "environments": 4,
            "hidden": [8],
            "ppo": {"steps": 64, "batch": 64, "learning_rate": 0.01},
        }
    )
    ladder = {"widths": [0.167], "modes": ["split", "skip"]}
    hopeless = world("network.uplink.mbps", 0.1, "clients.0.ladder", ladder)
    agent = Agent(config, [hopeless], 1)
    agent.learn(4096)

    worth = score.of_network(agent.network({}), {"hopeless": hopeless}, 1)["hopeless"]

    assert hopeless.spec.utility.weights == Utility()
    assert worth == 0.0  # a frame that is encoded in vain costs 0.1


WRONG = {
    "a key": (
        "environments:",
        "enviroments:",
        9,
        "enviroments: no such key. Did you mean 'environments'?",
    ),
    "a limit": ("batch: 32", "batch: 0", 12, "ppo.batch: must be"),
    "a technology": ("lte-static-up", "lte-sttaic-up", 17, "no technology 'lte-sttaic-up'"),
    "a trace": (
        "validation: [{technology: lte-driving-up, seeds: [3], duration_s: 20}]",
        "validation: [lte/drive-b.up]",
        16,
        "traces.validation.0: no trace 'lte/drive-b.up'",
    ),
    "twice": ("seeds: [3]", "seeds: [2]", 16, "lte-driving-up, seed 2, is in traces.train already"),
    "a scenario": ("world.yaml", "wrld.yaml", 4, "scenario: no scenario 'wrld.yaml'"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_mistake_is_said_with_its_line(recipe, name):
    old, new, line, said = WRONG[name]

    with pytest.raises(InputErrors) as error:
        recipe(old=old, new=new)

    (problem,) = str(error.value).splitlines()
    assert f"recipe.yaml:{line}: " in problem
    assert said in problem


def test_one_test_trace_shows_nothing(recipe):
    with pytest.raises(InputErrors, match=r"traces\.test: must be two traces at least"):
        recipe(old="lte-static-up, seeds: [1, 2]", new="lte-static-up, seeds: [1]")


def test_a_scenario_of_several_clients_is_refused(recipe, tmp_path, world_data):
    given = recipe()
    path = tmp_path / "given" / "world.yaml"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["clients"][0]["count"] = 2
    path.write_text(json.dumps(data), encoding="utf-8")

    with pytest.raises(InputErrors, match=r"recipe\.yaml:4: scenario: world has several clients"):
        train(given, tmp_path / "out")


def test_a_folder_of_another_training_is_refused(recipe, tmp_path):
    train(recipe(), tmp_path / "out")

    with pytest.raises(TestbedError, match="holds a training of another recipe"):
        train(recipe(old="hidden: [8, 8]", new="hidden: [8]"), tmp_path / "out")


def command(monkeypatch, capsys, *arguments):
    """Run the command line; return its exit code, what it printed, and its errors."""
    monkeypatch.setattr(sys, "argv", ["testbed", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


def test_the_command_trains_and_what_it_leaves_can_be_run(
    recipe, tmp_path, monkeypatch, capsys, world_data
):
    recipe()
    given, out = tmp_path / "given", tmp_path / "out"

    code, printed, _ = command(
        monkeypatch, capsys, "train-policy", given / "recipe.yaml", "--out", out, "--json"
    )
    result = json.loads(printed)
    again, table, _ = command(
        monkeypatch, capsys, "train-policy", given / "recipe.yaml", "--out", out
    )
    loaded = scenario.load(
        given / "world.yaml", [f"policies.mine={{kind: learned, model: {out}/small.safetensors}}"]
    )

    assert (code, again) == (0, 0)
    assert f"{result['learned']:.4f}" in table
    assert table.count("learned against") == 3
    assert simulate(loaded, "mine", 1).frames.num_rows == 20


def test_the_command_says_where_the_mistake_is(recipe, tmp_path, monkeypatch, capsys):
    recipe()
    path = tmp_path / "given" / "recipe.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "stepz: 3\n", encoding="utf-8")

    code, printed, errors = command(
        monkeypatch, capsys, "train-policy", path, "--out", tmp_path / "out"
    )

    assert code == 2
    assert printed == ""
    assert "stepz: no such key" in errors
    assert not (tmp_path / "out").exists()
