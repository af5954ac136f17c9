"""Statistics of public recordings, which the synthesiser is held against.

Computed over whole public datasets in bins of 1 s, in Mbit/s: Mahimahi's saturator traces (Winstein
et al., NSDI 2013, and the 2016 set), the Orange traces, Lumos5G (Narayanan et al., IMC 2020), the
walks of Narayanan et al. (SIGCOMM 2021; byte counters), Solis Wi-Fi, and the Wi-Fi walks of Aydin
et al. (INFOCOM CNERT 2023). "x/mean" is the pooled rate over the mean of its own trace; an
autocorrelation is the mean over traces of the plain one, so that short traces bias it low.
"""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True)
class Measured:
    """What recordings of one technology say.

    Args:
        traces, seconds: How many recordings, and about how long each.
        mean_mbps: Median of their means.
        mean_spread: Standard deviation of ln(mean); NaN for a single one.
        cv: Median of standard deviation over mean.
        quantiles: x/mean at 5, 25, 50, 75, 95 and 99 %.
        acf: Autocorrelation at 1, 2, 5, 10, 30 and 60 s.
        outages: Of spells below a tenth of the trace's median: per hour, share of time, and mean,
            median and 90th percentile of their length in seconds.
        bursts: CV at 1, 20, 100 and 1000 ms of one recording with its mean rate; None where only
            seconds were recorded.
    """

    traces: int
    seconds: int
    mean_mbps: float
    mean_spread: float
    cv: float
    quantiles: tuple[float, ...]
    acf: tuple[float, ...]
    outages: tuple[float, ...]
    bursts: tuple[float, tuple[float, ...]] | None = None


MEASURED = {
    "lte-driving-up": Measured(
        5,
        430,
        5.9,
        0.99,
        0.60,
        (0.00, 0.36, 0.98, 1.34, 2.78, 3.73),
        (0.77, 0.62, 0.55, 0.45, 0.32, 0.14),
        (79.3, 0.116, 5.3, 2, 9),
        (5.95, (2.13, 0.68, 0.60, 0.52)),
    ),
    "lte-driving-down": Measured(
        5,
        360,
        5.2,
        0.54,
        0.64,
        (0.16, 0.48, 0.90, 1.40, 2.12, 3.01),
        (0.78, 0.61, 0.37, 0.19, 0.11, 0.10),
        (45.5, 0.029, 2.3, 1, 5),
        (5.03, (2.13, 0.85, 0.71, 0.64)),
    ),
    "lte-static-up": Measured(
        1,
        604,
        2.4,
        NAN,
        0.19,
        (0.70, 0.89, 1.01, 1.13, 1.28, 1.43),
        (0.84, 0.75, 0.53, 0.32, 0.05, -0.01),
        (0.0, 0.0, 0.0, 0, 0),
        (2.44, (2.62, 0.39, 0.22, 0.19)),
    ),
    "lte-walking-down": Measured(
        119,
        792,
        35.4,
        0.53,
        0.75,
        (0.11, 0.41, 0.85, 1.34, 2.55, 3.76),
        (0.89, 0.85, 0.77, 0.66, 0.41, 0.15),
        (42.3, 0.032, 2.7, 1, 5),
    ),
    "5g-sa-walking-up": Measured(
        5,
        1000,
        27.9,
        0.06,
        0.42,
        (0.18, 0.78, 0.98, 1.29, 1.69, 1.86),
        (0.88, 0.81, 0.71, 0.60, 0.38, 0.16),
        (38.1, 0.040, 3.8, 2, 10),
    ),
    "5g-nsa-walking-up": Measured(
        5,
        1000,
        72.8,
        0.12,
        0.25,
        (0.50, 0.85, 1.01, 1.19, 1.42, 1.53),
        (0.81, 0.73, 0.66, 0.59, 0.46, 0.34),
        (10.8, 0.013, 4.5, 1, 3),
    ),
    "mmwave-walking-down": Measured(
        75,
        797,
        558.6,
        0.21,
        0.82,
        (0.02, 0.21, 0.90, 1.60, 2.53, 3.23),
        (0.92, 0.84, 0.70, 0.53, 0.18, 0.06),
        (105.3, 0.098, 3.3, 2, 6),
    ),
    "mmwave-driving-down": Measured(
        46,
        243,
        336.3,
        0.46,
        0.97,
        (0.04, 0.27, 0.59, 1.59, 2.95, 3.95),
        (0.88, 0.75, 0.49, 0.30, -0.01, -0.08),
        (101.9, 0.060, 2.1, 2, 4),
    ),
    "wifi-static-up": Measured(
        20,
        200,
        14.6,
        0.42,
        0.54,
        (0.06, 0.68, 0.95, 1.29, 1.88, 2.61),
        (0.45, 0.27, 0.16, 0.09, 0.03, NAN),
        (101.7, 0.054, 1.9, 2, 3),
    ),
    "wifi-walking-up": Measured(
        30,
        84,
        25.0,
        0.79,
        0.73,
        (0.00, 0.32, 0.99, 1.40, 2.48, 3.71),
        (0.88, 0.75, 0.50, 0.23, NAN, NAN),
        (93.9, 0.167, 6.4, 4, 13),
    ),
    "3g-driving-up": Measured(
        2,
        1080,
        0.9,
        0.06,
        0.44,
        (0.09, 0.74, 1.14, 1.34, 1.51, 1.62),
        (0.79, 0.67, 0.51, 0.37, 0.13, 0.00),
        (68.5, 0.057, 3.0, 1, 5),
    ),
}
