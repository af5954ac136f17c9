"""From a scenario file to a frozen `Scenario`, or to every problem in it at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

from testbed import catalog
from testbed.devices.hosts import UNMEASURED, HostTimes, Live
from testbed.errors import InputErrors, Problem, did_you_mean
from testbed.model import Ladder
from testbed.parts import Nested
from testbed.scenario import overrides as override
from testbed.scenario import source as yaml_source
from testbed.scenario.checks import check, check_link
from testbed.scenario.problems import translate
from testbed.scenario.resolve import Equipment, Resolver
from testbed.scenario.schema import ClientSpec, LinkSpec, PolicySpec, ScenarioSpec, TransportSpec
from testbed.scenario.source import KeyPath
from testbed.scenario.warn import warnings_of

if TYPE_CHECKING:
    from testbed.detectors.published import DetectorTable
    from testbed.detectors.recording import Recording
    from testbed.devices.profile import DeviceProfile, RadioProfile, ServerProfile
    from testbed.devices.weights import Cost

DIGEST_CHARS = 10

_NETWORK_PARTS = {
    "uplink": Nested("link", LinkSpec),
    "downlink": Nested("link", LinkSpec),
    "transport": Nested("transport", TransportSpec),
}


@dataclass(frozen=True)
class Client:
    """A group of equal clients with everything it names.

    Args:
        spec: What the scenario says about it.
        device: What runs the encoder.
        radio: What sends.
        detector: What is encoded.
        ladder: The operating points that policies may choose from.
        switch_cost: What changing to another set of weights costs; None if it is for nothing.
    """

    spec: ClientSpec
    device: DeviceProfile
    radio: RadioProfile
    detector: DetectorTable | Recording
    ladder: Ladder
    switch_cost: Cost | None


@dataclass(frozen=True)
class Scenario:
    """Everything one run depends on, every default filled in; dumping and loading it repeats it.

    Args:
        spec: What the file says, with the names of files made canonical.
        server: Who decodes.
        clients: The groups of clients, in the order of the file.
        digest: Short sha256 of the content: files count by what is in them, not by their names.
        files: From the name of everything looked up to its sha256. What the catalogue has stands
            there as `shelf/name`, a file of the user's by its absolute path.
        warnings: What a reader of the results should know.
        hosts: What was measured of the programs and kernels of a machine; no file says it.
        live: What a real network took in place of what profiles say; no file says it either.
    """

    spec: ScenarioSpec
    server: ServerProfile
    clients: tuple[Client, ...]
    digest: str
    files: dict[str, str]
    warnings: tuple[str, ...]
    hosts: HostTimes = UNMEASURED
    live: Live = field(default_factory=dict)


def load(path: Path | str, overrides: Iterable[str] = ()) -> Scenario:
    """Read a scenario file.

    Args:
        path: A file, or the name of a scenario in the catalogue.
        overrides: Such as `network.uplink.delay_ms=10`; see `testbed.scenario.overrides`.

    Raises:
        InputErrors: Something is wrong with the file, an override, or a file they name; all of
            it at once.
    """
    path = Path(path)
    try:
        exists = path.exists()
    except OSError as error:  # in a folder that may not be entered, or too long a name
        reason = f"cannot be read: {error.strerror}"
        raise InputErrors([Problem(str(path), None, "", reason)]) from None
    if not exists:
        known = dict(catalog.entries("scenarios"))
        if str(path) not in known:
            hint = did_you_mean(str(path).removesuffix(".yaml"), known)
            raise InputErrors([Problem(str(path), None, "", f"no such file or scenario{hint}")])
        path = known[str(path)]
    return load_text(
        yaml_source.read(path), file=str(path), folder=path.parent, overrides=overrides
    )


def load_text(
    text: str,
    *,
    file: str = "<text>",
    folder: Path | None = None,
    overrides: Iterable[str] = (),
) -> Scenario:
    """Read a scenario from a text. `folder` is where relative paths in it begin."""
    source = yaml_source.parse(text, file, folder or Path())
    problems = override.apply(source, overrides)
    try:
        ScenarioSpec.model_validate(source.data)
    except ValidationError as error:
        problems += translate(error, ScenarioSpec, source)
    resolver = Resolver(source)
    server, equipment = _resolve(resolver)
    check(resolver)
    problems += resolver.problems
    if problems:
        raise InputErrors(problems)
    assert server is not None
    spec = ScenarioSpec.model_validate(source.data)  # once more: names are canonical now
    clients = tuple(
        Client(group, e.device, e.radio, e.detector, e.ladder, e.switch_cost)
        for group, e in zip(spec.clients, equipment, strict=True)
    )
    ladders = {client.spec.name: client.ladder for client in clients}
    detectors = {client.spec.name: client.detector for client in clients}
    return Scenario(
        spec=spec,
        server=server,
        clients=clients,
        digest=_digest(spec, resolver.hashes),
        files=resolver.files,
        warnings=tuple(warnings_of(spec, ladders, detectors, resolver.traces)),
    )


def dump(scenario: Scenario) -> str:
    """Return the scenario as YAML with every default filled in; loading that gives an equal one."""

    def inline_lists(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: inline_lists(item) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        listed = CommentedSeq(map(inline_lists, value))
        if not any(isinstance(item, dict) for item in value):
            listed.fa.set_flow_style()
        return listed

    stream = StringIO()
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 100
    yaml.dump(inline_lists(_plain(scenario.spec)), stream)
    return stream.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes `null` where ruamel would leave an empty place."""


_Representer.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _resolve(resolver: Resolver) -> tuple[ServerProfile | None, list[Equipment]]:
    """Look up whatever of the scenario is sound; report what cannot be found or used."""
    server = resolver.server(("server", "profile"))
    for key in ("uplink", "downlink", "transport"):
        part = resolver.part(("network", key), _NETWORK_PARTS[key])
        if part is not None and key != "transport":
            check_link(resolver, ("network", key), part)
    equipment: list[Equipment] = []
    ladders: dict[str, Ladder] = {}
    for group in resolver.source.children(("clients",)):
        if found := resolver.equipment(group, server):
            equipment.append(found)
            ladders[str(resolver.source.get((*group, "name")))] = found.ladder
    for policy in resolver.source.children(("policies",)):
        resolver.policy(policy, Nested("policy", PolicySpec), ladders)
    resolver.checksums(("sha256",))
    return server, equipment


def _plain(spec: ScenarioSpec) -> dict[str, Any]:
    """Return a spec as plain data, under the keys of the file."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value.value if isinstance(value, Enum) else value

    data: dict[str, Any] = plain(spec.model_dump(by_alias=True))
    return data


def _digest(spec: ScenarioSpec, hashes: dict[KeyPath, str]) -> str:
    """Return a short checksum of a spec with the content of files in place of their names."""
    data = _plain(spec)
    del data["sha256"]
    for path, sha256 in hashes.items():
        holder: Any = data
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = sha256
    # Keys keep the order of the schema, and policies that of the file, in which results list them.
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:DIGEST_CHARS]
