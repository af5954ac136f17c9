"""Train the networks that the study of policies plays as `learned`: one for each half and device.

    python analysis/policy_learned.py                    # analysis/learned/HALF-DEVICE.safetensors
    python analysis/policy_learned.py --halves recording --recording FOLDER

A network is of use on the ladder that it was trained for only, and the study has two. It learns by
PPO from synthetic traces of all five technologies with seeds that the study does not have; others
choose which of its states is kept. One seed each: what another one would give is not in the study
(`docs/learned-policies.md` has five seeds of another network). A network that is there is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from policy_worlds import NETWORKS, TECHNOLOGIES, Half, World, halves, synthetic

from testbed.cli.terminal import progress_bar
from testbed.learning import score
from testbed.learning.agent import Agent
from testbed.learning.config import PolicyConfig
from testbed.scenario import Scenario, load_text

STEPS = {"table": 81_920, "recording": 49_152}  # decisions; a film has many more a second
CHAPTER = 16_384
TRAIN, VALIDATION = (1, 2, 3), (51,)  # seeds of the synthetic traces; the study's begin at 101
PPO = {"steps": 256, "batch": 256, "epochs": 8, "learning_rate": 0.001, "entropy": 0.005}


def scenarios(half: Half, device: str, seeds: tuple[int, ...], folder: Path) -> dict[str, Scenario]:
    """Return a device's scenario on a trace of each kind and seed, with no policy to speak of."""
    found = {}
    for technology, (_, kinds, radio) in TECHNOLOGIES.items():
        for kind in kinds:
            for seed in seeds:
                path = synthetic(folder, kind, seed)
                world = World(half, technology, kind, path, radio, 0, device, half.seconds)
                data = half.data(world) | {"policies": {"any": {"kind": "random"}}}
                found[f"{kind}-{seed}"] = load_text(json.dumps(data))
    return found


def train(half: Half, device: str, folder: Path) -> None:
    """Train one network and write it, as it was when it was best on the validation traces."""
    path = NETWORKS / f"{half.name}-{device}.safetensors"
    train_on = scenarios(half, device, TRAIN, folder)
    validation = scenarios(half, device, VALIDATION, folder)
    config = PolicyConfig.model_validate(
        {
            "schema": 1,
            "name": path.stem,
            "scenario": "study",
            "traces": {"train": ["a"], "validation": ["b"], "test": ["c"]},  # given as scenarios
            "steps": (steps := STEPS[half.name]),
            "check_every": CHAPTER,
            "ppo": PPO,
        }
    )
    agent, best = Agent(config, list(train_on.values()), seed=1), float("-inf")
    with progress_bar(path.stem) as progress:
        while agent.steps < steps:
            agent.learn(min(CHAPTER, steps - agent.steps), lambda done: progress(done, steps))
            network = agent.network({"name": path.stem, "algorithm": "ppo", "seed": "1"})
            value = score.mean(score.of_network(network, validation, 1))
            print(f"{path.stem}: {agent.steps} decisions, {value:.4f} on validation traces")
            if value > best:
                best, kept = value, network
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept.bytes())


def main() -> None:
    """Train what is not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/study"), help="traces, devices")
    parser.add_argument("--halves", nargs="+", default=["table", "recording"])
    parser.add_argument("--recording", help="name or folder; without it the first that ships")
    parser.add_argument("--devices", nargs="+", help="without it those of each half")
    args = parser.parse_args()
    for half in halves(args.halves, args.recording, args.runs):
        for device in args.devices or half.devices:
            if not (NETWORKS / f"{half.name}-{device}.safetensors").exists():
                train(half, device, args.runs / "traces")


if __name__ == "__main__":
    main()
