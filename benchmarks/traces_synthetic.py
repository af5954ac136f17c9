"""Synthetic traces against measured ones: figure | measured | synthetic | ratio.

    python benchmarks/traces_synthetic.py [TECHNOLOGY ...] [--runs 60] [--json]

Every run is as long as the recordings were, and is treated as they were. A ratio is given where the
measured figure is at least 0.05 in size; below that look at the two figures.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator

import numpy as np
from traces_measured import MEASURED, Measured

from testbed.traces.statistics import autocorrelation, binned
from testbed.traces.synthesise import rates_mbps, synthesise
from testbed.traces.technologies import TECHNOLOGIES, Technology

LAGS_S = (1, 2, 5, 10, 30, 60)
PERCENT = (5, 25, 50, 75, 95, 99)
WIDTHS_MS = (1, 20, 100, 1000)


def compare(name: str, measured: Measured, runs: int) -> Iterator[tuple[str, float, float]]:
    """Yield figure, measured and synthetic."""
    tech = TECHNOLOGIES[name]
    series = [rates_mbps(tech, measured.seconds, seed, None) for seed in range(runs)]
    means = np.array([each.mean() for each in series])
    yield "median of means, Mbit/s", measured.mean_mbps, float(np.median(means))
    yield "sd of ln(mean)", measured.mean_spread, float(np.log(means).std())
    yield "CV, median", measured.cv, float(np.median([each.std() / each.mean() for each in series]))
    pooled = np.concatenate([each / each.mean() for each in series])
    for percent, want in zip(PERCENT, measured.quantiles, strict=True):
        yield f"x/mean p{percent}", want, float(np.percentile(pooled, percent))
    for lag, want in zip(LAGS_S, measured.acf, strict=True):
        found = [autocorrelation(each, lag) for each in series] if lag < measured.seconds else []
        yield f"autocorrelation {lag} s", want, float(np.mean(found)) if found else math.nan
    yield from _outages(series, measured)
    if measured.bursts is not None:
        yield from _bursts(tech, *measured.bursts)


def _outages(series: list[np.ndarray], measured: Measured) -> Iterator[tuple[str, float, float]]:
    lengths: list[int] = []
    for rates in series:
        out = np.concatenate(([0], rates < 0.1 * np.median(rates), [0])).astype(int)
        edges = np.flatnonzero(np.diff(out))
        lengths += (edges[1::2] - edges[::2]).tolist()
    seconds = sum(map(len, series))
    found = [len(lengths) * 3600 / seconds, sum(lengths) / seconds]
    found += [float(np.mean(lengths)), *np.percentile(lengths, [50, 90])] if lengths else [0, 0, 0]
    names = ("per hour", "share of time", "mean length, s", "median length, s", "p90 length, s")
    for figure, want, has in zip(names, measured.outages, found, strict=True):
        yield f"outages {figure}", want, float(has)


def _bursts(
    tech: Technology, mean_mbps: float, wanted: tuple[float, ...]
) -> Iterator[tuple[str, float, float]]:
    found = []
    for seed in range(12):
        trace = synthesise(tech.name, 140, seed, mean_mbps=mean_mbps, kind="opportunities")
        rates = [binned(trace, width * 1_000_000).mbps for width in WIDTHS_MS]
        found.append([each.std() / each.mean() for each in rates])
    for width, want, has in zip(WIDTHS_MS, wanted, np.mean(found, axis=0), strict=True):
        yield f"CV at {width} ms", want, float(has)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("technologies", nargs="*", default=list(MEASURED))
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for name in given.technologies:
        if not given.json:
            print(f"\n{name}: {TECHNOLOGIES[name].source}")
            print(f"{'figure':<26} {'measured':>9} {'synthetic':>9} {'ratio':>6}")
        for figure, want, has in compare(name, MEASURED[name], given.runs):
            ratio = has / want if abs(want) >= 0.05 else math.nan
            rows.append((name, figure, want, has, ratio))
            if not given.json:
                cells = ["" if math.isnan(each) else f"{each:.2f}" for each in (want, has, ratio)]
                print(f"{figure:<26} {cells[0]:>9} {cells[1]:>9} {cells[2]:>6}")
    if given.json:
        keys = ("technology", "figure", "measured", "synthetic", "ratio")
        clean = [[None if each != each else each for each in row] for row in rows]  # NaN
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in clean], indent=1))


if __name__ == "__main__":
    main()
