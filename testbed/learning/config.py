"""The YAML of a policy to be trained: where it acts, on which traces, how it learns."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic.types import Strict

from testbed import catalog
from testbed.errors import InputErrors, Problem, TestbedError, did_you_mean
from testbed.scenario.problems import translate
from testbed.scenario.schema import Keys, Name, Seed
from testbed.scenario.source import KeyPath, Source, parse, read
from testbed.traces.technologies import TECHNOLOGIES

_LIST = Strict(False)

Count = Annotated[int, Field(ge=1, le=10**9)]
Rate = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class SyntheticSpec(Keys):
    """Synthetic traces of one technology, one for each seed."""

    technology: str = Field(description="Such as lte-driving-up.")
    seeds: Annotated[tuple[Seed, ...], _LIST] = Field(min_length=1, description="One trace each.")
    duration_s: int = Field(300, ge=2, le=86400, description="Length of a trace.")


class TracesSpec(Keys):
    """Three sets without a trace in common, split by file."""

    train: Annotated[tuple[SyntheticSpec | str, ...], _LIST] = Field(
        min_length=1, description="Traces to learn on: names, paths, or synthetic ones."
    )
    validation: Annotated[tuple[SyntheticSpec | str, ...], _LIST] = Field(
        min_length=1, description="Traces that say which of the networks on the way is kept."
    )
    test: Annotated[tuple[SyntheticSpec | str, ...], _LIST] = Field(
        min_length=1, description="Traces that are seen once, when all is over; two at least."
    )


class PpoSpec(Keys):
    """Proximal policy optimisation; Stable-Baselines3's defaults unless the manual says why not."""

    learning_rate: Rate = 3e-4
    steps: Count = Field(512, description="Of each environment between two updates.")
    batch: Count = 64
    epochs: Count = 10
    discount: Share = Field(0.95, description="γ; 0.95 looks some twenty frames ahead.")
    gae: Share = Field(0.95, description="λ of the advantage estimate.")
    clip: Rate = 0.2
    entropy: Annotated[float, Field(ge=0)] = 0.01
    value: Annotated[float, Field(ge=0)] = 0.5
    max_gradient: Annotated[float, Field(gt=0)] = 0.5


class DqnSpec(Keys):
    """Deep Q-learning; Stable-Baselines3's defaults unless the manual says why not."""

    learning_rate: Rate = 5e-4
    buffer: Count = Field(100_000, description="Steps that are remembered.")
    starts: Count = Field(1000, description="Steps before learning begins.")
    batch: Count = 32
    discount: Share = Field(0.95, description="γ; 0.95 looks some twenty frames ahead.")
    every: Count = Field(4, description="Steps of all environments between two updates.")
    target_every: Count = Field(1000, description="Steps between two updates of the target.")
    exploration: Share = Field(0.1, description="Share of the training in which ε falls.")
    exploration_end: Share = Field(0.05, description="ε after that.")
    max_gradient: Annotated[float, Field(gt=0)] = 10.0


class PolicyConfig(Keys):
    """A policy to be trained."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format: 1.")
    name: Name = Field(description="Of the policy.")
    scenario: str = Field(
        description="Where it acts: ladder, deadline, devices, utility, and the policies that it "
        "is compared with. A name in the catalogue, or a path; its uplink replays each trace."
    )
    traces: TracesSpec = Field(description="What the uplink replays.")
    algorithm: Literal["ppo", "dqn"] = Field("ppo", description="How it learns.")
    seeds: Annotated[tuple[Seed, ...], _LIST] = Field(
        (1, 2, 3, 4, 5), min_length=1, description="One network is trained for each."
    )
    steps: Count = Field(300_000, description="Decisions to learn from, for each seed.")
    check_every: Count = Field(20_000, description="Decisions between two looks at validation.")
    environments: Annotated[int, Field(ge=1, le=256)] = 8
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], _LIST] = Field(
        (64, 64), min_length=1, max_length=4, description="Units of each hidden layer."
    )
    runs: Annotated[int, Field(ge=1, le=100)] = Field(
        2, description="Runs on each trace of validation and test, each from another start."
    )
    ppo: PpoSpec = Field(default_factory=PpoSpec, description="For the algorithm `ppo`.")
    dqn: DqnSpec = Field(default_factory=DqnSpec, description="For the algorithm `dqn`.")

    def digest(self) -> str:
        """Return what tells this training from others."""
        said = self.model_dump(mode="json", by_alias=True)
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Recipe:
    """A policy to be trained, with the file that says so.

    Args:
        config: What the file says; the scenario and traces of the user's by their whole paths.
        text: The file, as it was.
        source: Where each key stands.
    """

    config: PolicyConfig
    text: str
    source: Source

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with a key of the file."""
        return self.source.problem(path, message)


def load(path: Path) -> Recipe:
    """Return what a YAML file says is to be trained. Paths in it are relative to the file.

    Raises:
        InputErrors: Something is wrong with it, or a file that it names is not there; all of it at
            once.
    """
    text = read(path)
    source = parse(text, str(path), path.parent)
    problems: list[Problem] = []
    try:
        PolicyConfig.model_validate(source.data)
    except ValidationError as error:
        problems += translate(error, PolicyConfig, source)
    if isinstance(source.get(("scenario",)), str):
        problems += _find(source, ("scenario",), "scenarios")
    taken: dict[Any, str] = {}
    for kind in TracesSpec.model_fields:
        for at in source.children(("traces", kind)):
            problems += _trace(source, at, taken, f"traces.{kind}")
    if not problems and sum(where == "traces.test" for where in taken.values()) < 2:
        problems.append(source.problem(("traces", "test"), "must be two traces at least"))
    if problems:
        raise InputErrors(problems)
    return Recipe(PolicyConfig.model_validate(source.data), text, source)


def _trace(source: Source, at: KeyPath, taken: dict[Any, str], where: str) -> list[Problem]:
    """Return what is wrong with one entry of a set; names become canonical."""
    entry = source.get(at)
    if isinstance(entry, str):
        if problems := _find(source, at, "traces"):
            return problems
        keys: list[Any] = [source.get(at)]
    elif isinstance(entry, dict) and isinstance(entry.get("technology"), str):
        technology, seeds = entry["technology"], entry.get("seeds")
        if technology not in TECHNOLOGIES:
            hint = did_you_mean(technology, TECHNOLOGIES)
            return [source.problem((*at, "technology"), f"no technology '{technology}'{hint}")]
        keys = [(technology, seed) for seed in seeds] if isinstance(seeds, list) else []
    else:
        return []
    for key in keys:
        if key in taken:
            name = key if isinstance(key, str) else f"{key[0]}, seed {key[1]},"
            return [source.problem(at, f"{name} is in {taken[key]} already; a trace is in one set")]
        taken[key] = where
    return []


def _find(source: Source, at: KeyPath, shelf: Literal["scenarios", "traces"]) -> list[Problem]:
    """Look a file up and put its canonical name in its place; return why it is not there."""
    try:
        file = catalog.find(shelf, source.get(at), beside=source.folder)
    except TestbedError as error:
        return [source.problem(at, str(error))]
    if not file.is_file():
        return [source.problem(at, f"'{source.get(at)}' is a folder; a file is needed")]
    source.put(at, catalog.name_of(shelf, file) or str(file.resolve()))
    return []
