"""The operating points of a client whose detector is a recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from testbed.detectors.answers import is_picture_codec
from testbed.model import LOCAL, SKIP, Ladder, Mode, OperatingPoint, Rung
from testbed.scenario.schema import LadderSpec, SourceSpec

if TYPE_CHECKING:
    from testbed.detectors.recording import Recording
    from testbed.devices.profile import DeviceProfile, ServerProfile

Fault = tuple[tuple[str | int, ...], str]
"""The key path within the ladder or the source, and what is wrong there."""

UNCODED_BITS = 16
"""Half floats, which no entropy coder takes."""


def faults(spec: LadderSpec, recording: Recording) -> Iterator[Fault]:
    """Yield everything that was not recorded of what is asked for."""
    split = [p.point for p in recording.points if p.point.mode is Mode.SPLIT]
    pictures = _picture_codecs(recording)
    coders = list(dict.fromkeys(point.codec for point in split))
    modes = {p.point.mode for p in recording.points} | {Mode.SKIP}
    wanted = {
        "modes": ([mode.value for mode in spec.modes], [m.value for m in Mode if m in modes]),
        "widths": ([] if spec.widths == "all" else spec.widths, recording.widths),
        "bits": (spec.bits if Mode.SPLIT in spec.modes else (), sorted({p.bits for p in split})),
        "codecs": (_named(spec), [*coders, *pictures]),
    }
    broken = False
    for key, (values, known) in wanted.items():
        for place, value in enumerate(values):
            if value not in known:
                broken = True
                listed = ", ".join(map(_shown, known)) or "none"
                yield (key, place), f"{recording.name} was not recorded with this; it has {listed}"
    for place, codec in enumerate(spec.codecs):
        if is_picture_codec(codec) and Mode.OFFLOAD not in spec.modes:
            yield ("codecs", place), f"{codec} is of mode offload, which 'modes' does not list"
    if Mode.SPLIT in spec.modes and not any(map(_is_coder, spec.codecs)):
        broken = True
        yield ("codecs",), "has none for the mode split; add 'raw', which is none"
    if all(mode is Mode.SKIP for mode in spec.modes):
        yield ("modes",), "must hold more than 'skip', which processes no frame at all"
    if broken:
        return
    for point in points(spec, recording):
        if point not in split and point.mode is Mode.SPLIT:
            yield (), f"{recording.name} was not recorded at {point}"


def source_faults(spec: SourceSpec, recording: Recording) -> Iterator[Fault]:
    """Yield what the camera cannot see in the recording."""
    if spec.dataset not in (None, recording.dataset):
        message = f"{recording.name} was recorded on '{recording.dataset}'; leave the key out"
        yield ("dataset",), message


def points(spec: LadderSpec, recording: Recording) -> list[OperatingPoint]:
    """Return the points of a ladder, each once: what is not coded has no codecs, and so on."""
    found: list[OperatingPoint] = []
    for mode in spec.modes:
        if mode is Mode.SKIP:
            found.append(SKIP)
        elif mode is Mode.LOCAL:
            found.append(LOCAL)
        elif mode is Mode.OFFLOAD:
            named = [codec for codec in spec.codecs if is_picture_codec(codec)]
            for codec in named or _picture_codecs(recording):
                found.append(OperatingPoint(1.0, 0, codec, mode))
        else:
            widths = recording.widths if spec.widths == "all" else spec.widths
            coders = [codec for codec in spec.codecs if _is_coder(codec)]
            for width in widths:
                for bits in spec.bits:
                    for codec in ["raw"] if bits == UNCODED_BITS else coders:
                        found.append(OperatingPoint(width, bits, codec))
    return found


def build(
    spec: LadderSpec, recording: Recording, device: DeviceProfile, server: ServerProfile | None
) -> Ladder:
    """Return the ladder of a spec that has no faults.

    Payload and mAP are means over the recording; device and server say what the multiply-
    accumulates of a point take. Without a server decode times are zero.
    """
    return Ladder(
        tuple(_rung(point, recording, device, server) for point in points(spec, recording))
    )


def _rung(
    point: OperatingPoint,
    recording: Recording,
    device: DeviceProfile,
    server: ServerProfile | None,
) -> Rung:
    if point.mode is Mode.SKIP:
        return Rung(SKIP, payload_bytes=0, accuracy=0.0)
    rung = recording.at(point).rung
    # Measured times are those of the halves of a split network.
    detector = recording.timed_as if point.mode is Mode.SPLIT else ""
    timed: dict[str, Any] = {"detector": detector, "width": point.width}
    served = server is not None and point.mode is not Mode.LOCAL
    return dataclasses.replace(
        rung,
        encode_ns=device.encode_ns(rung.device_mac, **timed),
        encode_j=device.encode_j(rung.device_mac, **timed),
        decode_ns=server.decode_ns(rung.server_mac, **timed) if server and served else 0,
    )


def dominated(ladder: Ladder) -> list[OperatingPoint]:
    """Return the points beside which another sends and computes no more and detects no worse."""
    return [rung.point for rung in ladder if ladder.dominator(rung) is not None]


def _picture_codecs(recording: Recording) -> list[str]:
    return [p.point.codec for p in recording.points if p.point.mode is Mode.OFFLOAD]


def _is_coder(codec: str) -> bool:
    return not is_picture_codec(codec)


def _named(spec: LadderSpec) -> Sequence[str]:
    """Return the codecs that matter: `raw` is the default, and of no moment without split."""
    return spec.codecs if Mode.SPLIT in spec.modes else list(filter(is_picture_codec, spec.codecs))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
