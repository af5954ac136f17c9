"""What a reader of the results should know about a scenario that is not wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from testbed.detectors.recording import Recording
from testbed.model import NS_PER_MS, NS_PER_S, Ladder, Mode
from testbed.parts import PartSpec
from testbed.scenario.recorded import dominated
from testbed.scenario.schema import ClientSpec, ScenarioSpec
from testbed.scenario.source import KeyPath, dotted

if TYPE_CHECKING:
    from testbed.detectors.published import DetectorTable
    from testbed.traces.trace import Trace

PUBLISHED = "published/"
"""Begins the name of a detector that is a table, without pictures and boxes."""

_MEANT: dict[KeyPath, str] = {("network", "uplink"): "up", ("network", "downlink"): "down"}


def warnings_of(
    spec: ScenarioSpec,
    ladders: Mapping[str, Ladder],
    detectors: Mapping[str, DetectorTable | Recording],
    traces: Mapping[KeyPath, Trace],
) -> Iterator[str]:
    """Yield one sentence for each thing, beginning with the key path it is about.

    Args:
        spec: The scenario.
        ladders: Of each group of clients, by its name.
        detectors: The same for its detector.
        traces: From the key path of each trace's name to the trace.
    """
    if len(spec.seeds) == 1:
        yield "seeds: one seed gives no confidence intervals"
    yield from _shared_transport(spec)
    for path, trace in traces.items():
        yield from _trace(spec, path, trace)
    yield from _forecasts(spec)
    for i, client in enumerate(spec.clients):
        yield from _client(
            spec, f"clients.{i}", client, ladders[client.name], detectors[client.name]
        )


def _forecasts(spec: ScenarioSpec) -> Iterator[str]:
    if all(client.detector.startswith(PUBLISHED) for client in spec.clients):
        for name, policy in spec.policies.items():
            if "forecast" in kinds_in(policy):
                yield (
                    f"policies.{name}: a forecast moves boxes, and published tables have none, so "
                    "it has no effect"
                )


def kinds_in(policy: PartSpec) -> set[str]:
    """Return the kinds of a policy and of the parts within it."""
    inner = [value for _, value in policy if isinstance(value, PartSpec)]
    return {policy.kind}.union(*map(kinds_in, inner))


def _shared_transport(spec: ScenarioSpec) -> Iterator[str]:
    transport = spec.network.transport.kind
    if transport == "ideal" or sum(client.count for client in spec.clients) < 2:
        return
    for key, link in (("uplink", spec.network.uplink), ("downlink", spec.network.downlink)):
        if link.sharing not in ("none", "fifo"):
            yield (
                f"network.{key}.sharing: with {link.sharing} only the bytes on the wire of "
                f"{transport} are counted, headers included; handshake, slow start, loss and "
                "deadlines are not. Use `sharing: none` or `sharing: fifo` to have them"
            )


def _trace(spec: ScenarioSpec, path: KeyPath, trace: Trace) -> Iterator[str]:
    where = dotted(path)
    for note in trace.notes:
        yield f"{where}: {note}"
    meant = _MEANT.get(path[:2])
    if meant is not None and trace.direction not in (None, meant):
        yield f"{where}: a trace of the direction '{trace.direction}' is used as {path[1]}"
    if trace.measures == "goodput":
        yield f"{where}: holds the goodput of a connection, a lower bound of the capacity"
    if trace.period_ns < spec.duration_ns:
        yield (
            f"{where}: lasts {trace.period_ns / NS_PER_S:g} s and repeats "
            f"within the {spec.duration_s:g} s of a run"
        )


def _client(
    spec: ScenarioSpec,
    where: str,
    client: ClientSpec,
    ladder: Ladder,
    detector: DetectorTable | Recording,
) -> Iterator[str]:
    if isinstance(detector, Recording):
        yield from _recording(spec, where, client, ladder, detector)
    elif client.source.dataset is not None:
        yield f"{where}.source.dataset: has no effect, because a published table has no pictures"
    busy = [rung for rung in ladder if rung.point.mode is not Mode.SKIP]
    fastest = min(rung.encode_ns for rung in busy)
    if fastest * client.source.fps > NS_PER_S:
        yield (
            f"{where}.source.fps: the encoder needs {fastest / NS_PER_MS:.0f} ms for a frame, so "
            f"at {client.source.fps:g} frames a second some are always dropped or skipped"
        )
    widths = {rung.point.width for rung in ladder if rung.point.mode is Mode.SPLIT}
    switches = any(policy.kind != "fixed" for policy in spec.policies.values())
    if not detector.configurable and client.weights is None and len(widths) > 1 and switches:
        yield (
            f"{where}.weights: each width of {client.detector} has weights of its own, being a "
            "separate network; to switch is to load others, which without this key costs nothing"
        )
    delays = spec.network.uplink.delay_ns + spec.network.downlink.delay_ns
    least = min(
        rung.encode_ns + (0 if rung.point.mode is Mode.LOCAL else rung.decode_ns + delays)
        for rung in busy
    )
    if least > spec.deadline_ns:
        yield (
            f"{where}: encoding, propagation and decoding alone take {least / NS_PER_MS:.0f} ms, "
            f"so no answer can meet the deadline of {spec.deadline_ms:g} ms"
        )


def _recording(
    spec: ScenarioSpec, where: str, client: ClientSpec, ladder: Ladder, recording: Recording
) -> Iterator[str]:
    if listed := "; ".join(str(point) for point in dominated(ladder)):
        yield (
            f"{where}.ladder: nobody should choose {listed}: beside each there is a point that "
            "sends no more, computes no more on the device and detects no worse"
        )
    camera = client.source
    if recording.fps is None:
        yield (
            f"{where}.source: {recording.dataset} is no video: each capture shows the next "
            "picture, so that an answer says nothing about the frames after its own"
        )
    elif camera.fps > recording.fps:
        yield (
            f"{where}.source.fps: {recording.dataset} has {recording.fps:g} frames a second, so "
            f"that at {camera.fps:g} some of them are captured twice"
        )
    played_s = recording.frames / (recording.fps or camera.fps)
    if played_s < spec.duration_s:
        yield (
            f"{where}.source: {recording.dataset} lasts {played_s:g} s and begins anew "
            f"within the {spec.duration_s:g} s of a run"
        )
