"""What it costs to run with other weights than the last frame's.

A slimmable network has one set of weights, whose prefixes are its narrow versions: changing the
width costs nothing. A set per width must be fetched from where it lies, which is cheap from DRAM
and dear from storage or over the bus of an accelerator whose own memory is small.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from testbed.devices.sheets import WeightsSheet
from testbed.model import NS_PER_S


class Residency(StrEnum):
    """Where the weights lie before the switch."""

    SLIMMABLE = "slimmable"  # they are part of what is loaded already
    SRAM = "sram"  # in the accelerator's own memory, as far as they fit
    DRAM = "dram"  # in the memory the processor reads from anyway
    STORAGE = "storage"  # in a file


class Cost(NamedTuple):
    """Time and energy of one switch; the energy is that of moving bits, without idle power."""

    ns: int
    joules: float


def switch_cost(
    weight_bytes: int, residency: Residency, sheet: WeightsSheet | None, *, restart: bool = False
) -> Cost:
    """Return what switching to a set of `weight_bytes` costs.

    Time is W / bandwidth, energy W · 8 · energy per bit. With `restart` the runtime is set up anew
    for the new weights, which on small devices takes longer than anything else. Raise a
    `ValueError` that names the figure a device lacks.
    """
    if residency is Residency.SLIMMABLE:
        return Cost(0, 0.0)
    if sheet is None:
        raise ValueError(
            f"the device says nothing of weights; '{residency}' needs its key 'weights'"
        )
    if residency is Residency.SRAM:
        return Cost(streaming_ns(weight_bytes, sheet), 0.0)
    # Whatever comes from DRAM passes the caches once, at the memory's bandwidth.
    seconds = weight_bytes / _needed(sheet, "dram_mb_per_s") / 1e6
    joules = weight_bytes * 8 * _needed(sheet, "dram_pj_per_bit") * 1e-12
    if residency is Residency.STORAGE:
        seconds += weight_bytes / _needed(sheet, "storage_mb_per_s") / 1e6
        seconds += sheet.open_s.value if sheet.open_s else 0.0
        joules *= 2  # written to DRAM, then read from it
    if restart:
        seconds += _needed(sheet, "first_inference_s")
    return Cost(round(seconds * NS_PER_S), joules)


def streaming_ns(weight_bytes: int, sheet: WeightsSheet) -> int:
    """Return what every inference waits for weights that do not fit the accelerator's memory."""
    beyond = max(0.0, weight_bytes - _needed(sheet, "sram_mb") * 1e6)
    return round(beyond / (_needed(sheet, "stream_mb_per_s") * 1e6) * NS_PER_S)


def _needed(sheet: WeightsSheet, key: str) -> float:
    figure = getattr(sheet, key)
    if figure is None:
        raise ValueError(f"the device's weights lack '{key}'")
    return float(figure.value)
