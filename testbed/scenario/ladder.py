"""The operating points of one client, with what they cost on its device and server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from testbed.detectors.recording import Recording
from testbed.model import LOCAL, SKIP, Ladder, Mode, OperatingPoint, Rung
from testbed.scenario import recorded
from testbed.scenario.schema import LadderSpec

if TYPE_CHECKING:
    from testbed.detectors.published import DetectorTable, TablePoint
    from testbed.devices.profile import DeviceProfile, ServerProfile

RAW = "raw"

Fault = tuple[tuple[str | int, ...], str]
"""The key path within the ladder, and what is wrong there."""


def faults(spec: LadderSpec, table: DetectorTable | Recording) -> Iterator[Fault]:
    """Yield everything that the detector cannot do of what is asked for."""
    if isinstance(table, Recording):
        yield from recorded.faults(spec, table)
        return
    if spec.widths != "all":
        listed = ", ".join(f"{width:g}" for width in table.widths)
        for i, width in enumerate(spec.widths):
            if width not in table.widths:
                yield ("widths", i), f"{table.name} has no α {width:g}; it has {listed}"
    nobody = f"nobody has published, for {table.name},"
    for i, bits in enumerate(spec.bits):
        if bits != table.bits:
            yield ("bits", i), f"{nobody} the accuracy at {bits} bits, only at {table.bits}"
    for i, codec in enumerate(spec.codecs):
        if codec != RAW:
            yield ("codecs", i), f"{nobody} payloads under '{codec}', only without a codec: '{RAW}'"
    for i, mode in enumerate(spec.modes):
        if mode is Mode.OFFLOAD:
            what = "the accuracy on compressed pictures; modes it can do: split, local, skip"
            yield ("modes", i), f"{nobody} {what}"
        elif mode is Mode.LOCAL and table.local is None:
            what = "how much the whole network computes; modes it can do: split, skip"
            yield ("modes", i), f"{nobody} {what}"
    if all(mode is Mode.SKIP for mode in spec.modes):
        yield ("modes",), "must hold more than 'skip', which processes no frame at all"


def build(
    spec: LadderSpec,
    table: DetectorTable | Recording,
    device: DeviceProfile,
    server: ServerProfile | None,
) -> Ladder:
    """Return the ladder of a spec that has no faults.

    Without a server (because the scenario's is wrong) decode times are zero: good enough to check
    the rest of the scenario.
    """
    if isinstance(table, Recording):
        return recorded.build(spec, table, device, server)
    rungs: list[Rung] = []
    for mode in spec.modes:
        if mode is Mode.SKIP:
            rungs.append(Rung(SKIP, payload_bytes=0, accuracy=0.0))
        elif mode is Mode.LOCAL:
            whole = table.local
            assert whole is not None
            rungs.append(
                Rung(
                    LOCAL,
                    payload_bytes=0,
                    accuracy=whole.map,
                    device_mac=whole.device_mac,
                    encode_ns=device.encode_ns(whole.device_mac),
                    encode_j=device.encode_j(whole.device_mac),
                )
            )
        else:
            for point in table.points:
                if spec.widths == "all" or point.width in spec.widths:
                    rungs.append(_split(point, table, device, server))
    return Ladder(tuple(rungs))


def _split(
    point: TablePoint, table: DetectorTable, device: DeviceProfile, server: ServerProfile | None
) -> Rung:
    what: dict[str, Any] = {"detector": table.name, "width": point.width}
    return Rung(
        OperatingPoint(point.width, table.bits),
        payload_bytes=point.payload_bytes,
        accuracy=point.map,
        device_mac=point.device_mac,
        server_mac=point.server_mac,
        encode_ns=device.encode_ns(point.device_mac, **what),
        encode_j=device.encode_j(point.device_mac, **what),
        decode_ns=server.decode_ns(point.server_mac, **what) if server else 0,
    )
