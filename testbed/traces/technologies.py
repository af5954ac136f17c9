"""What the synthesiser knows of each technology, and where it was measured."""

from __future__ import annotations

from dataclasses import dataclass

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
        title: For people.
        folder: Under which its traces are shipped; also the name of the technology.
        direction: `up` or `down`.
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

    title: str
    folder: str
    direction: Direction
    mean_mbps: float
    mean_spread: float
    quantiles: tuple[float, ...]
    fast_share: float
    fast: float
    slow: float
    outages: Outages
    batch: float = 1.5
    window_spread: float = 0.3
    stalls_per_min: float = 10.0


TECHNOLOGIES: dict[str, Technology] = {
    "lte-driving-up": Technology(
        title="LTE uplink, driving",
        folder="lte",
        direction="up",
        mean_mbps=5.9,
        mean_spread=0.5,
        quantiles=(0.05, 0.22, 0.55, 1.0, 1.35, 2.2, 2.9, 3.6),
        fast_share=0.4,
        fast=0.45,
        slow=0.972,
        outages=Outages(0.025, 1.6, 9.0, 0.2),
        batch=1.5,
        window_spread=0.3,
        stalls_per_min=10.0,
    ),
    "lte-driving-down": Technology(
        title="LTE downlink, driving",
        folder="lte",
        direction="down",
        mean_mbps=5.2,
        mean_spread=0.54,
        quantiles=(0.06, 0.2, 0.5, 0.92, 1.4, 2.12, 3.0, 3.8),
        fast_share=0.1,
        fast=0.3,
        slow=0.87,
        outages=Outages(0.013, 1.5, 8.0, 0.12),
        batch=1.7,
        window_spread=0.45,
        stalls_per_min=12.0,
    ),
    "wifi-walking-up": Technology(
        title="Wi-Fi, walking out of coverage and back",
        folder="wifi",
        direction="up",
        mean_mbps=25.0,
        mean_spread=0.79,
        quantiles=(0.02, 0.12, 0.5, 1.1, 1.5, 2.2, 2.6, 3.0),
        fast_share=0.0,
        fast=0.0,
        slow=0.89,
        outages=Outages(0.032, 3.0, 13.0, 0.34),
        batch=3.0,
        window_spread=0.4,
        stalls_per_min=5.0,
    ),
}
