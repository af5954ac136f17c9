"""What a network is, as data for people and programs; torch comes only with what it costs."""

from __future__ import annotations

import re
from typing import Any

from testbed.detectors import published
from testbed.detectors.configurations import SplitConfig
from testbed.detectors.quantise import packed_bytes

_FAMILIES = {"efficientdet": "EfficientDet", "faster-rcnn": "Faster R-CNN",
             "mask-rcnn": "Mask R-CNN"}  # fmt: skip
_KINDS = {
    "teacher": "no bottleneck",
    "fixed": "one width",
    "bw": "bandwidth-configurable",
    "cp": "computation-configurable",
}


def title(config: SplitConfig) -> str:
    """Return a line about a network."""
    name = _FAMILIES[config.family]
    if config.family == "efficientdet":
        half = "" if config.channel_multiplier is None else f" x {config.channel_multiplier:g}"
        name += f"-D{config.coefficient}{half}"
    told = [name, f"{config.side} px", _KINDS[config.kind]]
    if config.kind != "teacher":
        told.append(f"C = {config.channels}")
        if config.compressor not in ("mbconv", "stack") or config.kind == "fixed":
            told.append(f"compressor {config.compressor}")
    count = len(config.widths)
    return ", ".join(told) + (f"; a network of {count} widths" if count > 1 else "; a network")


def table_of(config: SplitConfig) -> str | None:
    """Return the name of the table that holds the published figures of a network, if any does."""
    name = re.sub(r"-c\d+$", "-fixed", config.name) if config.kind == "fixed" else config.name
    name = f"published/{re.sub(r'-b[0-9]+ch$', '-ghnd', name)}"
    return name if name in published.names() else None


def facts(config: SplitConfig) -> dict[str, Any]:
    """Return what is known of a network as a whole."""
    found: dict[str, Any] = {
        "name": config.name,
        "family": config.family,
        "kind": config.kind,
        "input_side_px": config.side,
        "classes": config.classes,
        "widths": list(config.widths),
    }
    if config.kind != "teacher":
        found |= {"channels": config.channels, "compressor": config.compressor}
    return found | {"published_table": table_of(config)}


def points(config: SplitConfig) -> list[dict[str, Any]]:
    """Return what crosses the link at every width, for a square picture; of a teacher nothing."""
    if config.kind == "teacher":
        return []
    rows, columns = config.grid(config.side, config.side)
    found: list[dict[str, Any]] = []
    for width in config.widths:
        channels = config.bottleneck(width)
        sizes = {
            f"payload_{bits}bit_bytes": packed_bytes((channels, rows, columns), bits)
            for bits in (8, 4, 2)
        }
        found.append({"width": width, "channels": channels, "rows": rows, "columns": columns}
                     | sizes)  # fmt: skip
    return found


def counts(config: SplitConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what the network costs per width and part, and per width and side of the link."""
    from testbed.detectors.macs import count_detector
    from testbed.detectors.split import build

    parts: list[dict[str, Any]] = []
    sides: dict[float, dict[str, Any]] = {}
    for one in count_detector(build(config)):
        parts.append(
            {
                "width": one.width,
                "part": one.part,
                "mac": one.mac,
                "mac_published": one.mac_published,
                "parameters": one.parameters,
                "active_parameters": one.active_parameters,
                "output": list(one.shape) or None,
            }
        )
        side = "device" if one.part in ("encoder", "compressor") else "server"
        total = sides.setdefault(one.width, {"width": one.width})
        for key, value in (("mac", one.mac), ("mac_published", one.mac_published),
                           ("parameters", one.active_parameters)):  # fmt: skip
            total[f"{side}_{key}"] = total.get(f"{side}_{key}", 0) + value
    return parts, list(sides.values())
