"""What the synthesiser knows of each technology, and where it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from testbed.traces.trace import Direction


@dataclass(frozen=True)
class Outages:
    """Spells without service: a good state and two bad ones.

    Args:
        enter_per_s: Probability of an outage beginning in a good second.
        short_s: Mean length of the short ones.
        long_s: Mean length of the long ones.
        long_share: Share of outages that are long.
    """

    enter_per_s: float
    short_s: float
    long_s: float
    long_share: float


@dataclass(frozen=True)
class Technology:
    """How one technology behaves in one direction and mobility.

    Args:
        name: Key in `TECHNOLOGIES`; also names the random streams.
        title: For people.
        folder: Under which its traces are shipped; also the name of the technology.
        direction: `up` or `down`.
        source: The recordings whose statistics it has.
        kind: What `synthesise` makes by itself: `opportunities`, or `rate` where those would be
            hundreds of thousands a minute.
        mean_mbps: Median over runs of the mean rate.
        mean_spread: Standard deviation over runs of ln(mean rate).
        quantiles: Rate over the mean of its run at the probabilities 0, .05, .25, .5, .75, .95,
            .99 and 1, outages left out.
        fast_share: Share of the variance of the latent process that forgets within seconds.
        fast: Its autocorrelation at 1 s.
        slow: Autocorrelation at 1 s of the rest.
        outages: Spells without service.
        batch: Mean number of packets that leave in one millisecond when one leaves at all.
        window_spread: Standard deviation over mean of the rate in 20 ms within a second.
        stalls_per_min: Silences of 40 ms and more within seconds that have service.
    """

    name: str
    title: str
    folder: str
    direction: Direction
    source: str
    kind: Literal["opportunities", "rate"]
    mean_mbps: float
    mean_spread: float
    quantiles: tuple[float, ...]
    fast_share: float
    fast: float
    slow: float
    outages: Outages
    batch: float
    window_spread: float
    stalls_per_min: float


TECHNOLOGIES: dict[str, Technology] = {
    tech.name: tech
    for tech in (
        Technology(
            name="lte-driving-up",
            title="LTE uplink, driving",
            folder="lte",
            direction="up",
            source="LTE UL driving, saturator (5 traces, 0.6 h)",
            kind="opportunities",
            mean_mbps=5.9,
            mean_spread=0.99,
            quantiles=(0.103, 0.142, 0.362, 0.98, 1.019, 2.484, 2.523, 2.724),
            fast_share=0.17,
            fast=0.295,
            slow=0.9858,
            outages=Outages(0.0242, 2.2, 30.0, 0.11),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
        Technology(
            name="lte-driving-down",
            title="LTE downlink, driving",
            folder="lte",
            direction="down",
            source="LTE DL driving, saturator 2012-16 (5 traces, 0.5 h)",
            kind="opportunities",
            mean_mbps=5.2,
            mean_spread=0.54,
            quantiles=(0.095, 0.2, 0.479, 0.9, 1.434, 1.949, 3.166, 3.929),
            fast_share=0.567,
            fast=0.717,
            slow=0.9752,
            outages=Outages(0.0133, 1.4, 6.0, 0.2),
            batch=1.35,
            window_spread=0.52,
            stalls_per_min=4.88,
        ),
        Technology(
            name="lte-static-up",
            title="LTE uplink, static",
            folder="lte",
            direction="up",
            source="LTE UL static, Orange A (1 trace, 0.2 h)",
            kind="opportunities",
            mean_mbps=2.4,
            mean_spread=0.2,
            quantiles=(0.107, 0.704, 0.892, 1.01, 1.133, 1.261, 1.439, 1.799),
            fast_share=0.045,
            fast=0.016,
            slow=0.9011,
            outages=Outages(0.0, 1.0, 1.0, 0.0),
            batch=1.33,
            window_spread=0.26,
            stalls_per_min=0.0,
        ),
        Technology(
            name="lte-walking-down",
            title="LTE downlink, walking",
            folder="lte",
            direction="down",
            source="4G DL Minneapolis walking, Lumos5G (119 traces, 26.2 h)",
            kind="rate",
            mean_mbps=35.4,
            mean_spread=0.53,
            quantiles=(0.089, 0.131, 0.351, 0.85, 1.189, 2.328, 4.182, 5.186),
            fast_share=0.076,
            fast=0.424,
            slow=0.9823,
            outages=Outages(0.0106, 1.5, 8.8, 0.16),
            batch=1.35,
            window_spread=0.52,
            stalls_per_min=4.88,
        ),
        Technology(
            name="5g-sa-walking-up",
            title="5G SA low-band uplink, walking",
            folder="5g",
            direction="up",
            source="5G walking T-Mobile SA uplink, counters (5 traces, 1.4 h)",
            kind="rate",
            mean_mbps=27.9,
            mean_spread=0.06,
            quantiles=(0.162, 0.336, 0.941, 0.98, 1.426, 1.805, 1.844, 1.965),
            fast_share=0.081,
            fast=0.512,
            slow=0.9836,
            outages=Outages(0.0105, 1.8, 8.0, 0.3),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
        Technology(
            name="5g-nsa-walking-up",
            title="5G NSA uplink, walking",
            folder="5g",
            direction="up",
            source="5G walking T-Mobile NSA+LTE uplink, counters (5 traces, 1.4 h)",
            kind="rate",
            mean_mbps=72.8,
            mean_spread=0.12,
            quantiles=(0.135, 0.543, 0.887, 1.01, 1.271, 1.452, 1.493, 1.548),
            fast_share=0.157,
            fast=0.242,
            slow=0.9931,
            outages=Outages(0.0031, 1.3, 30.0, 0.11),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
        Technology(
            name="mmwave-walking-down",
            title="5G mmWave NSA downlink, walking",
            folder="mmwave",
            direction="down",
            source="5G mmWave NSA DL walking, Lumos5G (75 traces, 16.6 h)",
            kind="rate",
            mean_mbps=558.6,
            mean_spread=0.21,
            quantiles=(0.094, 0.131, 0.184, 0.9, 1.315, 2.046, 2.455, 2.995),
            fast_share=0.014,
            fast=0.51,
            slow=0.9595,
            outages=Outages(0.0329, 2.6, 14.0, 0.06),
            batch=1.35,
            window_spread=0.52,
            stalls_per_min=4.88,
        ),
        Technology(
            name="mmwave-driving-down",
            title="5G mmWave NSA downlink, driving",
            folder="mmwave",
            direction="down",
            source="5G mmWave NSA DL driving, Lumos5G (46 traces, 3.1 h)",
            kind="rate",
            mean_mbps=336.3,
            mean_spread=0.46,
            quantiles=(0.067, 0.101, 0.315, 0.59, 1.821, 3.2, 4.171, 5.136),
            fast_share=0.012,
            fast=0.791,
            slow=0.9122,
            outages=Outages(0.0269, 2.1, 2.1, 0.0),
            batch=1.35,
            window_spread=0.52,
            stalls_per_min=4.88,
        ),
        Technology(
            name="wifi-static-up",
            title="Wi-Fi uplink, static in an office",
            folder="wifi",
            direction="up",
            source="Wi-Fi static office, sender side (20 traces, 1.1 h)",
            kind="opportunities",
            mean_mbps=14.6,
            mean_spread=0.42,
            quantiles=(0.117, 0.249, 0.786, 0.95, 1.334, 1.781, 2.726, 3.362),
            fast_share=0.642,
            fast=0.24,
            slow=0.92,
            outages=Outages(0.0312, 1.9, 1.9, 0.0),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
        Technology(
            name="wifi-walking-up",
            title="Wi-Fi, walking out of coverage and back",
            folder="wifi",
            direction="up",
            source="Wi-Fi walking, SBU/FSC (30 traces, 0.7 h); its direction is not stated",
            kind="opportunities",
            mean_mbps=25.0,
            mean_spread=0.79,
            quantiles=(0.104, 0.144, 0.316, 0.99, 1.03, 1.859, 3.722, 4.466),
            fast_share=0.0,
            fast=0.0,
            slow=0.95,
            outages=Outages(0.032, 5.0, 18.0, 0.25),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
        Technology(
            name="3g-driving-up",
            title="3G UMTS and EVDO uplink, driving",
            folder="3g",
            direction="up",
            source="3G UMTS/EVDO UL driving, saturator (2 traces, 0.6 h)",
            kind="opportunities",
            mean_mbps=0.9,
            mean_spread=0.06,
            quantiles=(0.12, 0.261, 0.814, 1.14, 1.319, 1.429, 1.474, 1.754),
            fast_share=0.127,
            fast=0.23,
            slow=0.9397,
            outages=Outages(0.0195, 1.4, 7.0, 0.29),
            batch=1.91,
            window_spread=0.39,
            stalls_per_min=4.54,
        ),
    )
}
"""Every technology that can be made, by name."""
