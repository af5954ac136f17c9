"""Every published MAC, parameter and byte figure of the detectors beside ours.

    python analysis/published_macs.py [--out analysis/published_macs.md]

Ours are counted on the built networks; the published ones are the tables in
`testbed/detectors/published/`, where each names its source. Exit code 1 if any two differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from testbed.detectors import published
from testbed.detectors.configurations import SplitConfig, find
from testbed.detectors.macs import PartCount, count_detector
from testbed.detectors.quantise import packed_bytes
from testbed.detectors.split import build

Row = tuple[str, str, str, int, int]

CONFIGURABLE = [
    "efficientdet-d1-bw",
    "efficientdet-d2-bw",
    "efficientdet-d2-cp-c48-min25",
    "efficientdet-d2-cp-c48-min50",
    "efficientdet-d2-cp-c24-min50",
    "faster-rcnn-bw",
    "faster-rcnn-cp",
]
# One network per row of the table: its prefix.
BASELINES = {
    "efficientdet-d1-fixed": "efficientdet-d1-c{}",
    "efficientdet-d2-fixed": "efficientdet-d2-c{}",
    "faster-rcnn-ghnd": "faster-rcnn-b{}ch",
    "mask-rcnn-ghnd": "mask-rcnn-b{}ch",
}
# Parameters as the released tables give them: "base" there holds the compressor as well, and
# "decoder" is the total less base less compressor, so too small by one compressor.
PARAMETERS = {
    "efficientdet-d1-bw": (139_632, 31_290, 6_517_556),
    "efficientdet-d2-bw": (176_854, 43_308, 7_963_493),
    "efficientdet-d2-c12": (166_414, 32_868, 7_937_636),
    "efficientdet-d2-c24": (169_894, 36_348, 7_943_663),
    "efficientdet-d2-c36": (173_374, 39_828, 7_952_282),
    "efficientdet-d2-c48": (176_854, 43_308, 7_963_493),
    "faster-rcnn-bw": (160_704, 151_296, 41_812_078),
}
SIDE_DATA_ONLY = {"mask-rcnn-bw": "faster-rcnn-bw"}  # the same network up to the decoder

Parts = dict[str, PartCount]


def counted(config: SplitConfig) -> dict[float, Parts]:
    """Return {width: {part: count}}."""
    found: dict[float, Parts] = {}
    for one in count_detector(build(config)):
        found.setdefault(one.width, {})[one.part] = one
    return found


def rows_of(name: str, table: published.DetectorTable, width: float, parts: Parts) -> Iterator[Row]:
    """Yield what is published about one point beside what its network has."""
    point = table.at(width)
    at = f"{width:g}"
    encoder, compressor = parts["encoder"], parts["compressor"]
    server = parts["decompressor"], parts["decoder"]
    yield name, at, "channels", point.channels, compressor.shape[0]
    for bits in (8, 4):
        ours = packed_bytes(compressor.shape, bits)
        yield name, at, f"payload bytes, {bits} bit", table.payload_bytes_at(width, bits), ours
    clean = "-cp" in name or "ghnd" in name
    device = point.encoder_mac + point.compressor_mac
    if clean:
        yield name, at, "device MAC, clean", device, encoder.mac + compressor.mac
        if point.device_mac_biased is not None:
            ours = encoder.mac_published + compressor.mac_published
            yield name, at, "device MAC, released counter", point.device_mac_biased, ours
    else:
        yield name, at, "encoder MAC", point.encoder_mac, encoder.mac
        yield name, at, "compressor MAC", point.compressor_mac, compressor.mac_published
        if point.compressor_mac_clean is not None:
            yield name, at, "compressor MAC, clean", point.compressor_mac_clean, compressor.mac
    if not name.startswith("mask-rcnn"):  # its own count wanders with the number of proposals
        efficientdet_cp = clean and name.startswith("efficientdet")
        ours = sum(p.mac if efficientdet_cp else p.mac_published for p in server)
        yield name, at, "decoder MAC", point.decoder_mac, ours
        if point.decoder_mac_clean is not None:
            clean_mac = sum(p.mac for p in server)
            yield name, at, "decoder MAC, clean", point.decoder_mac_clean, clean_mac


def parameter_rows(name: str, parts: Parts) -> Iterator[Row]:
    """Yield the parameters, put together as the released tables do."""
    base, compressor, decoder = PARAMETERS[name]
    own = {part: one.parameters for part, one in parts.items()}
    total = sum(own.values())
    both = own["encoder"] + own["compressor"]
    yield name, "all", "parameters, base", base, both
    yield name, "all", "parameters, compressor", compressor, own["compressor"]
    yield name, "all", "parameters, decoder", decoder, total - both - own["compressor"]


def teacher_rows(name: str) -> Iterator[Row]:
    """Yield what is known of a network without a bottleneck."""
    parts = counted(find(name))[1.0]
    teacher = published.load(f"published/{name}-bw").teacher
    if teacher.mac is not None and teacher.parameters is not None:
        yield name, "1", "teacher MAC", teacher.mac, sum(p.mac for p in parts.values())
        ours = sum(p.parameters for p in parts.values())
        yield name, "1", "teacher parameters", teacher.parameters, ours


def rows() -> Iterator[Row]:
    """Yield every figure: network, width, what, published, ours."""
    for name in ("efficientdet-d1", "efficientdet-d2"):
        yield from teacher_rows(name)
    for name in (*CONFIGURABLE, *SIDE_DATA_ONLY):
        table = published.load(f"published/{name}")
        parts = counted(find(SIDE_DATA_ONLY.get(name, name)))
        for width in table.widths:
            yield from rows_of(name, table, width, parts[width])
        if name in PARAMETERS:
            yield from parameter_rows(name, parts[1.0])
    for name, pattern in BASELINES.items():
        table = published.load(f"published/{name}")
        for point in table.points:
            own = pattern.format(point.channels)
            parts = counted(find(own))[1.0]
            yield from rows_of(name, table, point.width, parts)
            if own in PARAMETERS:
                yield from parameter_rows(own, parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    out = parser.parse_args().out
    lines = [
        "# Published figures and ours",
        "",
        "Written by `python analysis/published_macs.py`. Published figures and their sources:",
        "`testbed/detectors/published/`; ours are counted on the built networks. What `published`",
        "and `clean` mean stands in `testbed/detectors/macs.py`.",
        "",
        "| network | α | figure | published | ours | difference |",
        "|---|--:|---|--:|--:|--:|",
    ]
    total = different = 0
    for network, width, what, theirs, ours in rows():
        total += 1
        different += ours != theirs
        lines.append(
            f"| {network} | {width} | {what} | {theirs:,} | {ours:,} | {ours - theirs:,} |"
        )
    verdict = f"{total} figures, {different} different"
    lines[5:5] = ["", f"**{verdict}.**"]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{verdict}: {out}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
