"""A training from its recipe to a policy and its result, in a folder that can be gone on with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import testbed
from testbed import records
from testbed.errors import EnvironmentLacks, TestbedError
from testbed.learning import score
from testbed.learning.agent import Agent
from testbed.learning.config import PolicyConfig, Recipe
from testbed.learning.sets import Sets, sets_of
from testbed.policies.network import Network, read
from testbed.scenario import Scenario

Told = Callable[[int, int], None]
"""Told how many decisions were learned from, of how many."""


def train(recipe: Recipe, out: Path, *, told: Told = lambda done, total: None) -> dict[str, Any]:
    """Train a network for each seed, keep the best, and try it on the test traces.

    What was done before in the same folder is not done again, and an interrupted training ends
    with the very files it would have had.

    Args:
        recipe: From `testbed.learning.config.load`.
        out: The folder; it gets `NAME.safetensors`, `result.json`, `recipe.yaml`, the synthetic
            traces, and for each seed a folder with `log.csv`, the network and its last state.
        told: Told about the progress.

    Returns:
        The content of `result.json`.

    Raises:
        InputErrors: The recipe's scenario and traces do not go together.
        TestbedError: The folder holds another training.
        EnvironmentLacks: The folder cannot be written.
    """
    config = recipe.config
    _claim(recipe, out)
    sets = sets_of(recipe, out / "traces")
    total = len(config.seeds) * config.steps
    networks: dict[int, Network] = {}
    for place, seed in enumerate(config.seeds):
        done = place * config.steps
        networks[seed] = _learn(
            config,
            sets,
            seed,
            out / f"seed-{seed}",
            lambda steps, done=done: told(done + min(steps, config.steps), total),  # type: ignore[misc]
        )
        told(done + config.steps, total)
    result = judge(config, sets, networks)
    best = networks[result["kept_seed"]]
    _replace(out / f"{config.name}.safetensors", best.bytes())
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    _replace(out / "result.json", text.encode())
    return result


def _claim(recipe: Recipe, out: Path) -> None:
    """Make the folder that of this recipe, or refuse it if it is that of another."""
    mark, digest = out / "recipe.sha256", recipe.config.digest()
    if mark.is_file():
        if mark.read_text(encoding="utf-8").strip() != digest:
            raise TestbedError(f"{out} holds a training of another recipe; name another --out")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentLacks(f"cannot write {out}: {error.strerror}") from error
    records.write_text(out / "recipe.yaml", recipe.text)
    records.write_text(mark, digest + "\n")


def _learn(
    config: PolicyConfig, sets: Sets, seed: int, folder: Path, told: Callable[[int], None]
) -> Network:
    """Return the best network of one seed, by validation; go on where it was left."""
    agent = Agent(config, list(sets["train"].values()), seed)
    kept = folder / "state.pt"
    log: list[dict[str, float]] = []
    network: Network | None = None
    if kept.is_file():
        state = torch.load(kept, weights_only=True)
        agent.restore(state["agent"])
        log = state["log"]
        network = read(folder / "policy.safetensors")
    while agent.steps < config.steps:
        said = agent.learn(min(config.check_every, config.steps - agent.steps), told)
        now = agent.network({})
        value = score.mean(score.of_network(now, sets["validation"], config.runs))
        best = max((row["validation"] for row in log), default=None)
        log.append({"steps": agent.steps, "validation": value} | said)
        folder.mkdir(parents=True, exist_ok=True)
        if best is None or value > best:
            network = agent.network(_about(config, seed, agent.steps, value))
            _replace(folder / "policy.safetensors", network.bytes())
        _replace(folder / "log.csv", _csv(log).encode())
        content = io.BytesIO()
        torch.save({"agent": agent.state(), "log": log}, content)
        _replace(kept, content.getvalue())  # last: what it goes with is there
    assert network is not None, "a training has a step at least"
    return network


def _about(config: PolicyConfig, seed: int, steps: int, validation: float) -> dict[str, str]:
    return {
        "name": config.name,
        "scenario": Path(config.scenario).stem,
        "algorithm": config.algorithm,
        "recipe": config.digest(),
        "seed": str(seed),
        "steps": str(steps),
        "validation": repr(validation),
        "testbed": testbed.__version__,
    }


def judge(config: PolicyConfig, sets: Sets, networks: dict[int, Network]) -> dict[str, Any]:
    """Return what networks are worth on test traces, beside what others are.

    The network that is kept is that of the best seed on validation traces; the heuristic and the
    single point it is held against are those that are best on training traces.
    """
    runs, test = config.runs, sets["test"]
    values = {seed: float(network.about["validation"]) for seed, network in networks.items()}
    seed = max(values, key=lambda key: values[key])
    heuristic, point = _tuned(sets["train"], runs)
    policies, points = score.of_policies(test, runs), score.of_points(test, runs)
    plan, bound = score.of_optimum(test, runs)
    learned = {key: score.of_network(network, test, runs) for key, network in networks.items()}
    rivals = {
        f"{heuristic}, best policy on training traces": policies[heuristic],
        f"{point}, best point on training traces": points[point],
        "best point of each trace in hindsight": score.hindsight(points),
    }
    static = score.mean(rivals["best point of each trace in hindsight"])
    room = score.mean(plan) - static
    ours = learned[seed]
    return {
        "name": config.name,
        "algorithm": config.algorithm,
        "unit": "mean utility of a captured frame, each trace counting the same",
        "kept_seed": seed,
        "traces": len(test),
        "runs": runs,
        "learned": score.mean(ours),
        "learned_by_seed": {str(key): score.mean(found) for key, found in learned.items()},
        "over_seeds": score.over_seeds(list(learned.values()), rivals),
        "validation_by_seed": {str(key): value for key, value in values.items()},
        "policies": {name: score.mean(found) for name, found in policies.items()},
        "points": {name: score.mean(found) for name, found in points.items()},
        "tuned_policy": heuristic,
        "tuned_point": point,
        "best_point_in_hindsight": static,
        "plan_of_the_optimum": score.mean(plan),
        "bound": score.mean(bound),
        "captured": (score.mean(ours) - static) / room if room > 0 else None,
        "contrasts": score.contrasts(ours, rivals),
        "by_trace": {
            trace: {
                "learned": ours[trace],
                heuristic: policies[heuristic][trace],
                point: points[point][trace],
                "best point in hindsight": score.hindsight(points)[trace],
                "plan": plan[trace],
                "bound": bound[trace],
            }
            for trace in test
        },
    }


def _tuned(train: dict[str, Scenario], runs: int) -> tuple[str, str]:
    """Return the policy and the point that are best on training traces."""
    return score.best(score.of_policies(train, runs)), score.best(score.of_points(train, runs))


def _csv(log: Sequence[dict[str, float]]) -> str:
    text = io.StringIO()
    columns = dict.fromkeys(name for row in log for name in row)
    rows = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    rows.writeheader()
    rows.writerows(log)
    return text.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once, so that whoever interrupts leaves the old one or the new one."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise EnvironmentLacks(f"cannot write {path}: {error.strerror}") from error
