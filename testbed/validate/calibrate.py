"""A scenario with the times and sizes of a real network, measured on this machine just before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.devices.figures import Figure
from testbed.devices.profile import DeviceProfile, ServerProfile
from testbed.devices.sheets import PointSheet
from testbed.emulate import kernel
from testbed.emulate.decoding_live import Network
from testbed.emulate.encoding_worker import pictures
from testbed.errors import TestbedError
from testbed.model import NS_PER_S, Ladder, Mode, Rung
from testbed.scenario import Client, Scenario

if TYPE_CHECKING:
    from testbed.detectors.pair import SplitPair

RUNS = 40
SOURCE = "measured on this machine right before the validation"


@contextmanager
def as_endpoint() -> Iterator[bool]:
    """Have the priority that clients and server have, if that is allowed; yield whether it is."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    granted = kernel.realtime(kernel.ENDPOINT_PRIORITY)
    try:
        yield granted
    finally:
        os.sched_setscheduler(0, policy, parameters)


def calibrated(scenario: Scenario, network: Network, runs: int = RUNS) -> Scenario:
    """Return the scenario with measured times of encoder and decoder and real payload sizes.

    Args:
        scenario: Whose ladders are measured; each width of mode `split`.
        network: What encodes and decodes.
        runs: Of each width.

    Raises:
        TestbedError: The network does not have a width of a ladder.
    """
    from testbed.emulate.decoding_worker import load

    pair = load(replace(network, threads=1))
    server = scenario.server
    clients = []
    with as_endpoint():
        for client in scenario.clients:
            device, rungs = client.device, []
            for rung in client.ladder:
                if rung.point.mode is Mode.SPLIT:
                    found, encode, decode = _measure(pair, rung, client.detector.name, runs)
                    device = _with_device(device, encode)
                    server = _with_server(server, decode)
                    rungs.append(found)
                else:
                    rungs.append(rung)
            clients.append((client, device, rungs))
    own = tuple(_client(client, device, rungs, server) for client, device, rungs in clients)
    return replace(scenario, server=server, clients=own)


def _client(
    client: Client, device: DeviceProfile, rungs: list[Rung], server: ServerProfile
) -> Client:
    timed = []
    for rung in rungs:
        what = {"detector": client.detector.name, "width": rung.point.width}
        if rung.point.mode is Mode.SPLIT:
            encode_ns = round(_value(device.point(**what)) * NS_PER_S)  # type: ignore[arg-type]
            rung = replace(
                rung,
                encode_ns=encode_ns,
                encode_j=device.compute_w * encode_ns / NS_PER_S,
                decode_ns=server.decode_ns(rung.server_mac, **what),  # type: ignore[arg-type]
            )
        timed.append(rung)
    return replace(client, device=device, ladder=Ladder(tuple(timed)))


def _value(point: PointSheet | None) -> float:
    assert point is not None
    return point.time_s.value


def _measure(
    pair: SplitPair, rung: Rung, detector: str, runs: int
) -> tuple[Rung, PointSheet, PointSheet]:
    """Return the rung with its real size, and the two points of the profiles."""
    if rung.point.width not in pair.detector.config.widths:
        listed = ", ".join(f"{width:g}" for width in pair.detector.config.widths)
        name = pair.detector.config.name
        raise TestbedError(f"{name} has no width {rung.point.width:g}; it has {listed}")
    seen = pictures(pair.detector.config.side, 0, "calibration")
    payload = b""

    def encode() -> None:
        nonlocal payload
        payload = pair.encode(next(seen), rung.point)

    encoding = _times(encode, runs)
    decoding = _times(lambda: pair.decode(payload), runs)
    points = (_point(detector, rung.point.width, times) for times in (encoding, decoding))
    return (replace(rung, payload_bytes=len(payload)), *points)  # type: ignore[return-value]


def _times(run: Callable[[], object], runs: int) -> list[int]:
    """Return how long some runs took, ns, after a few that are not counted."""
    times = []
    for _ in range(runs + 5):
        began_ns = time.monotonic_ns()
        run()
        times.append(time.monotonic_ns() - began_ns)
    return times[5:]


def _point(detector: str, width: float, times_ns: list[int]) -> PointSheet:
    import numpy as np

    seconds = np.array(times_ns) / NS_PER_S

    def figure(value: float) -> Figure[float]:
        return Figure(float(value), "measured", SOURCE)

    return PointSheet(
        detector=detector,
        width=figure(width),
        time_s=figure(seconds.mean()),
        jitter_cv=figure(min(2.0, seconds.std() / seconds.mean())),
    )


def _with_device(device: DeviceProfile, point: PointSheet) -> DeviceProfile:
    return replace(device, sheet=replace(device.sheet, points=_add(device.sheet.points, point)))


def _with_server(server: ServerProfile, point: PointSheet) -> ServerProfile:
    return replace(server, sheet=replace(server.sheet, points=_add(server.sheet.points, point)))


def _add(points: tuple[PointSheet, ...], point: PointSheet) -> tuple[PointSheet, ...]:
    """Return points with one more, in place of any of the same detector and width."""
    kept = (p for p in points if (p.detector, p.width.value) != (point.detector, point.width.value))
    return (*kept, point)
