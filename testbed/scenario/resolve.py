"""Looks up everything a scenario names: profiles, detectors, traces, parts.

Works on whatever is sound, so that one wrong key does not hide what is wrong with the others.
Names become canonical on the way: what the catalogue has by its name there, a file of the user's
by its absolute path; parts that keep a checksum of a file get it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from testbed import catalog, traces
from testbed.catalog import Shelf
from testbed.detectors import published, recording
from testbed.detectors.recording import Recording
from testbed.devices import profile
from testbed.devices.weights import Cost, Residency, switch_cost
from testbed.errors import InputErrors, Problem, TestbedError, TraceError, UnknownName
from testbed.model import Ladder
from testbed.parts import (
    CatalogFile,
    Nested,
    PartRefused,
    PartSpec,
    UtilityWeight,
    make,
    markers,
)
from testbed.scenario import ladder, recorded
from testbed.scenario.schema import (
    BatterySpec,
    LadderSpec,
    SourceSpec,
    UtilitySpec,
    WeightsSpec,
)
from testbed.scenario.source import OVERRIDES, KeyPath, Source

if TYPE_CHECKING:
    from testbed.detectors.published import DetectorTable
    from testbed.devices.profile import DeviceProfile, RadioProfile, ServerProfile
    from testbed.traces.trace import Trace


class _Profile(Protocol):
    @property
    def sha256(self) -> str: ...


T = TypeVar("T", bound=_Profile)


def _config(annotation: Any) -> ConfigDict | None:
    """Return what makes a single value as strict as it is within its model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return None
    return ConfigDict(strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Equipment:
    """What a group of clients is made of, once everything it names has been found."""

    device: DeviceProfile
    radio: RadioProfile
    detector: DetectorTable | Recording
    ladder: Ladder
    switch_cost: Cost | None


@dataclass
class Resolver:
    """Looks up names and collects what is wrong.

    Attributes:
        source: The scenario; names in its data become canonical.
        problems: Everything wrong so far.
        files: From the name of everything looked up to its sha256.
        hashes: From the key path of a name to the sha256 of what it names.
        traces: From the key path of a trace's name to the trace.
    """

    source: Source
    problems: list[Problem] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    hashes: dict[KeyPath, str] = field(default_factory=dict)
    traces: dict[KeyPath, Trace] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)

    def report(self, path: KeyPath, message: str) -> None:
        """Note a problem with `path`."""
        self.problems.append(self.source.problem(path, message))

    def sound(self, annotation: Any, path: KeyPath) -> Any:
        """Return what stands at `path` if it fits `annotation`, else None; reports nothing."""
        value = self.source.get(path)
        try:
            return TypeAdapter(annotation, config=_config(annotation)).validate_python(value)
        except ValidationError:
            return None

    def server(self, path: KeyPath) -> ServerProfile | None:
        """Return the server profile that `path` names, or None after reporting why not."""
        return self._profile(path, "devices/servers", profile.load_server)

    def equipment(self, path: KeyPath, server: ServerProfile | None) -> Equipment | None:
        """Return what the clients at `path` are made of, or None after reporting why not."""
        device = self._device(path)
        radio = self._profile((*path, "radio"), "devices/radios", profile.load_radio)
        detector = self._detector((*path, "detector"))
        below = (*path, "ladder")
        spec = LadderSpec() if self.source.get(below) is None else self.sound(LadderSpec, below)
        if isinstance(detector, Recording):
            camera = self.sound(SourceSpec, (*path, "source"))
            for key, message in recorded.source_faults(camera, detector) if camera else ():
                self.report((*path, "source", *key), message)
        if detector is None or spec is None:
            return None
        for key, message in ladder.faults(spec, detector):
            self.report((*below, *key), message)
            device = None
        if device is None or radio is None:
            return None
        self._suits(path, device)
        cost = self._switch_cost((*path, "weights"), device, detector)
        rungs = ladder.build(spec, detector, device, server)
        return Equipment(device, radio, detector, rungs, cost)

    def part(self, path: KeyPath, marker: Nested) -> Any:
        """Return a new part from what stands at `path`, or None after reporting why not.

        What pydantic has to say about it is not reported here.
        """
        before = len(self.problems)
        self._part_names(path, marker)
        try:
            spec = marker.validate(self.source.get(path))
        except ValidationError:
            return None
        if len(self.problems) > before:
            return None
        try:
            return make(marker.registry, spec)
        except PartRefused as error:
            self.report((*path, *error.path), error.message)
        return None

    def policy(self, path: KeyPath, marker: Nested, ladders: dict[str, Ladder]) -> None:
        """Report what is wrong with a policy, in itself and on the ladder of each client."""
        policy = self.part(path, marker)
        if policy is None:
            return
        said: dict[str, list[str]] = {}
        for client, rungs in ladders.items():
            try:
                policy.check(rungs)
            except ValueError as error:
                said.setdefault(str(error), []).append(client)
        for message, clients in said.items():
            whose = "" if len(clients) == len(ladders) else f"for {', '.join(clients)}: "
            self.report(path, whose + message)

    def _device(self, path: KeyPath) -> DeviceProfile | None:
        """Return the device of the clients at `path`, in its mode."""
        device = self._profile((*path, "device"), "devices/devices", profile.load_device)
        mode = self.sound(str, (*path, "mode"))
        if device is None or mode is None:
            return device
        if not device.modes:
            self.report((*path, "mode"), f"{device.name} has no modes; leave the key out")
            return None
        try:
            return device.in_mode(mode)
        except TestbedError as error:
            self.report((*path, "mode"), str(error))
            return None

    def _suits(self, path: KeyPath, device: DeviceProfile) -> None:
        """Report what the options of the clients at `path` ask for and their device lacks."""
        battery = self.sound(BatterySpec, (*path, "battery"))
        if battery and battery.capacity_wh is None and device.sheet.battery is None:
            message = f"{device.name} has no battery of its own; give one a capacity_wh"
            self.report((*path, "battery"), message)
        if self.source.get((*path, "ambient_c")) is not None and device.sheet.thermal is None:
            message = f"the file of {device.name} says nothing of heat: it has no key 'thermal'"
            self.report((*path, "ambient_c"), message)

    def _switch_cost(
        self, path: KeyPath, device: DeviceProfile, detector: DetectorTable | Recording
    ) -> Cost | None:
        """Return what other weights cost, None if nothing or after reporting what is wrong."""
        spec = self.sound(WeightsSpec, path)
        if spec is None:
            return None
        if detector.configurable:
            message = f"{detector.name} has one set of weights for all widths: nothing is loaded"
            self.report(path, message)
            return None
        size_bytes, residency = round(1e6 * spec.set_mb), Residency(spec.residency)
        try:
            return switch_cost(size_bytes, residency, device.sheet.weights, restart=spec.restart)
        except ValueError as error:
            self.report(path, f"{device.name}: {error}")
            return None

    def _detector(self, path: KeyPath) -> DetectorTable | Recording | None:
        name = self.sound(str, path)
        if name is None:
            return None
        try:
            found = self._table_or_recording(name)
        except TestbedError as error:
            self.report(path, str(error))
            return None
        self.files[found.name] = self.hashes[path] = found.sha256
        self.source.put(path, found.name)
        return found

    def _table_or_recording(self, name: str) -> DetectorTable | Recording:
        try:
            folder = recording.find(name, self.source.folder)
        except (OSError, ValueError) as error:  # too long, or with a NUL byte in it
            reason = getattr(error, "strerror", None) or str(error)
            raise TestbedError(f"cannot be the name of a recording: {reason}") from None
        if folder is not None:
            return recording.load(folder)
        tables = published.names()
        if name not in tables:
            raise UnknownName("detector", name, [*tables, *recording.names()])
        return published.load(name)

    def _profile(self, path: KeyPath, shelf: Shelf, load: Callable[[Path], T]) -> T | None:
        file = self._find(path, shelf)
        if file is None:
            return None
        try:
            found = load(file)
        except InputErrors as error:
            self.problems += error.problems
            return None
        self._note(path, shelf, file, found.sha256)
        return found

    def _part_names(self, path: KeyPath, marker: Nested) -> None:
        """Resolve what a part, and those inside it, take from files and from the scenario."""
        data = self.source.get(path)
        kind = data.get("kind") if isinstance(data, dict) else None
        try:
            model = marker.model(str(kind))
        except (TestbedError, ImportError):
            return
        for name, item in markers(model):
            if isinstance(item, Nested):
                self._part_names((*path, name), item)
            elif isinstance(item, UtilityWeight):
                if name not in data:
                    self.source.put((*path, name), getattr(self._utility(), item.key))
            elif data.get(name) is not None:
                self._part_file((*path, name), item, model)

    def _utility(self) -> UtilitySpec:
        """Return what a frame is worth; by default where what the file says is not sound."""
        return self.sound(UtilitySpec, ("utility",)) or UtilitySpec()

    def _part_file(self, path: KeyPath, marker: CatalogFile, model: type[PartSpec]) -> None:
        file = self._find(path, marker.shelf)
        if file is None:
            return
        if marker.shelf == "traces":
            try:
                trace = traces.read_cached(file)
            except TraceError as error:
                for fault in str(error).splitlines():
                    self.report(path, fault)
                return
            if trace.kind not in marker.kinds:
                needed = " or ".join(marker.kinds)
                what = (
                    f"'{self.source.get(path)}' is a trace of kind {trace.kind}; needed: {needed}"
                )
                self.report(path, what)
                return
            if trace.kind != "delay-after-idle":  # no series in time that a run could outlast
                self.traces[path] = trace
            digest = trace.sha256
        else:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
        label = self._note(path, marker.shelf, file, digest)
        if marker.checksum not in model.model_fields:
            return
        check = (*path[:-1], marker.checksum)
        if self._overridden(path) and not self._overridden(check):
            self.source.put(check, None)  # it is of the file that was named before
        self._compare(check, label, digest)
        self.source.put(check, digest)
        self.hashes[check] = digest

    def _overridden(self, path: KeyPath) -> bool:
        return self.source.place(path).file == OVERRIDES

    def _compare(self, path: KeyPath, label: str, digest: str) -> None:
        """Report a checksum at `path` that is not that of the file, once for each file."""
        wanted = self.source.get(path)
        if isinstance(wanted, str) and wanted != digest and label not in self._changed:
            self._changed.add(label)
            self.report(
                path,
                f"{label} has changed since this was written: its sha256 is {digest}; "
                "restore the file, or remove the checksum to accept it as it is",
            )

    def checksums(self, path: KeyPath) -> None:
        """Compare the checksums at `path` with those of the files found; put the latter there."""
        for label, digest in self.files.items():
            self._compare((*path, label), label, digest)
        self.source.put(path, dict(self.files))

    def _find(self, path: KeyPath, shelf: Shelf) -> Path | None:
        name = self.sound(str, path)
        if name is None:
            return None
        try:
            file = catalog.find(shelf, name, beside=self.source.folder)
        except TestbedError as error:
            self.report(path, str(error))
            return None
        except (OSError, ValueError) as error:  # too long, or with a NUL byte in it
            reason = getattr(error, "strerror", None) or str(error)
            self.report(path, f"cannot be the name of a file: {reason}")
            return None
        if file.is_dir():
            self.report(path, f"'{name}' is a folder; a file is needed")
            return None
        return file

    def _note(self, path: KeyPath, shelf: Shelf, file: Path, digest: str) -> str:
        """Remember a file, put its canonical name into the data, and return its label."""
        name = catalog.name_of(shelf, file)
        own = str(file.resolve())
        label = f"{shelf}/{name}" if name else own
        self.files[label] = self.hashes[path] = digest
        self.source.put(path, name or own)
        return label
