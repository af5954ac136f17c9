"""The table of metrics: names, units and definitions, once and for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from testbed.model import Fate

STAGES: dict[str, tuple[str, str]] = {
    "queue": ("captured_ns", "encode_start_ns"),
    "encode": ("encode_start_ns", "encode_end_ns"),
    "uplink_wait": ("encode_end_ns", "send_start_ns"),
    "transfer": ("send_start_ns", "arrived_ns"),
    "server_wait": ("arrived_ns", "batch_start_ns"),
    "decode": ("batch_start_ns", "decoded_ns"),
    "downlink": ("decoded_ns", "answered_ns"),
}
"""Stage -> the two instants it lies between; they add up to the latency of an answer."""

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Metric:
    """The definition of one metric.

    Args:
        label: For table heads, without the unit.
        unit: `1` for a share, a probability or an mAP.
        meaning: One line: the formula in words.
        better: Which way is an improvement; None where neither is.
        most: The largest value it can have.
        least: The smallest.
    """

    label: str
    unit: str
    meaning: str
    better: Literal["higher", "lower"] | None = None
    most: float = math.inf
    least: float = 0.0

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value it can have."""
        return self.least, self.most

    def show(self, value: float | None, *, signed: bool = False) -> str:
        """Return a value as a person reads it, without its unit; `-` where it is undefined."""
        if value is None or math.isnan(value):
            return "-"
        sign = "−" if value < 0 else "+" if signed else ""
        size = abs(value)
        if math.isinf(size):
            return f"{sign}∞"
        if size == 0:
            return "0"
        first = -math.floor(math.log10(size))  # the decimal of the first digit that is not 0
        decimals = max(3, first) if self.unit == "1" else max(0, first + 2)
        return f"{sign}{size:,.{min(decimals, 6)}f}".replace(",", " ")


def _table() -> dict[str, Metric]:
    fates: dict[Fate, tuple[str, str, Literal["higher", "lower"] | None]] = {
        Fate.ON_TIME: ("on time", "answered by the server within the deadline", "higher"),
        Fate.LATE: ("late", "answered by the server after the deadline", "lower"),
        Fate.SKIPPED: ("skipped", "the policy chose not to process", None),
        Fate.DROPPED_QUEUE: ("queue full", "refused by a full queue", "lower"),
        Fate.DROPPED_DEADLINE: ("given up", "given up because their deadline had passed", "lower"),
        Fate.LOST: ("lost", "lost on the link", "lower"),
        Fate.LOCAL: ("local", "answered by the device itself", None),
        Fate.UNFINISHED: ("unfinished", "still under way when the run ended", "lower"),
    }
    table = {"captured": Metric("captured", "frames", "frames the cameras captured")}
    for fate, (label, meaning, better) in fates.items():
        table[fate.value] = Metric(label, "frames", f"captured frames {meaning}", better)
    table["deadline_miss_rate"] = Metric(
        "deadline misses",
        "1",
        "share of the captured frames without an answer within the deadline, whatever the reason",
        "lower",
        1.0,
    )
    for q in PERCENTILES:
        table[f"latency_p{q}_ms"] = Metric(
            f"latency p{q}",
            "ms",
            f"p{q} of answered - captured over all captured frames; no answer counts as infinite",
            "lower",
        )
    for stage, (start, end) in STAGES.items():
        for q in PERCENTILES:
            table[f"{stage}_p{q}_ms"] = Metric(
                f"{stage.replace('_', ' ')} p{q}",
                "ms",
                f"p{q} of {end[:-3]} - {start[:-3]} over the frames that completed the stage",
                "lower",
            )
    table |= {
        "age_mean_ms": Metric(
            "age of information, mean",
            "ms",
            "mean over time of t - capture time of the newest frame answered by t",
            "lower",
        ),
        "age_p95_ms": Metric(
            "age of information, p95",
            "ms",
            "the age that is not exceeded for 95 % of the time",
            "lower",
        ),
        "correct_age_mean_ms": Metric(
            "age of correct information, mean",
            "ms",
            "mean over time of t - capture time of the newest frame answered by t whose F1 is 0.5 "
            "at least; needs recorded detections",
            "lower",
        ),
        "offline_map": Metric(
            "offline mAP",
            "1",
            "mAP of the boxes of the frames decided about, as if every answer came at once; with a "
            "published table the mean mAP of the operating points chosen; skip is 0",
            "higher",
            1.0,
        ),
        "streaming_map": Metric(
            "streaming mAP",
            "1",
            "mAP of the boxes shown at each ground-truth instant; needs recorded detections",
            "higher",
            1.0,
        ),
        "streaming_map50": Metric(
            "streaming mAP50",
            "1",
            "the same, an overlap of one half being enough",
            "higher",
            1.0,
        ),
        "streaming_map_small": Metric(
            "streaming mAP, small",
            "1",
            "streaming mAP of objects up to 32² pixels",
            "higher",
            1.0,
        ),
        "streaming_map_medium": Metric(
            "streaming mAP, medium",
            "1",
            "streaming mAP of objects from 32² to 96² pixels",
            "higher",
            1.0,
        ),
        "streaming_map_large": Metric(
            "streaming mAP, large",
            "1",
            "streaming mAP of objects from 96² pixels",
            "higher",
            1.0,
        ),
        "on_time_map": Metric(
            "on-time mAP",
            "1",
            "mAP over the captured frames of the boxes that came within the deadline; with a "
            "published table the mean mAP of their operating points, 0 without an answer in time",
            "higher",
            1.0,
        ),
        "correct": Metric(
            "found in time",
            "objects",
            "objects found within the deadline: IoU and score high enough; needs recorded "
            "detections",
            "higher",
        ),
        "utility": Metric(
            "utility",
            "1",
            "mean over the captured frames of what they are worth: mAP if in time, less switching, "
            "encoding energy, age and misses, as the scenario's `utility` weighs them",
            "higher",
            1.0,
            -math.inf,
        ),
        "energy_j": Metric(
            "energy", "J", "energy of all devices over the run: compute + radio + idle", "lower"
        ),
        "energy_per_frame_j": Metric(
            "energy per frame", "J", "energy_j over the captured frames", "lower"
        ),
        "energy_per_correct_j": Metric(
            "energy per object found in time",
            "J",
            "energy_j over correct; infinite where nothing was",
            "lower",
        ),
        "compute_j": Metric("compute energy", "J", "the ledger's `compute` component", "lower"),
        "radio_j": Metric("radio energy", "J", "the ledger's `radio` component", "lower"),
        "idle_j": Metric("idle energy", "J", "the ledger's `idle` component", "lower"),
        "payload_bytes_mean": Metric(
            "payload", "B", "mean payload_bytes of the frames that had a payload", "lower"
        ),
        "wire_bytes": Metric(
            "bytes on the wire", "B", "payloads and headers that crossed the uplink", "lower"
        ),
        "width_mean": Metric("mean α", "1", "mean width of the frames in mode `split`", None, 1.0),
        "switches_per_s": Metric(
            "switches",
            "1/s",
            "changes of (width, bits, mode) from one decided frame of a client to its next, "
            "per client and second",
            "lower",
        ),
    }
    return table


METRICS: dict[str, Metric] = _table()
"""Name -> definition, in the order of `summary.json`."""
