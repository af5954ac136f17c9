"""Synthetic traces with the statistics of measured ones.

A run is built from the slow to the fast: the mean of the run, a rate for each second (a latent
process of a fast and a slow part, mapped to the marginal distribution), outages of two kinds of
length on top, a rate for each 20 ms within the second, and packets in batches within these. The
same seed, duration and technology give the same bytes on every machine (see `draws`).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from testbed.errors import TestbedError, UnknownName
from testbed.traces.draws import Draws, Floats, share_below
from testbed.traces.technologies import TECHNOLOGIES, Technology
from testbed.traces.trace import OPPORTUNITY_BYTES, Trace

_PROBABILITIES = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0])
_WINDOW_MS = 20
_WINDOWS_PER_S = 1000 // _WINDOW_MS
_COMMON_ROOT, _OWN_ROOT = 0.6, 0.8  # roots of the common and the own share: 0.36 and 0.64
_OUTAGE_RATE = 0.01  # of the mean: a packet now and then gets through
# Length of a stall by uniform draw: a power tail with survival exponent near 1.7.
_STALL_AT = np.array([0.0, 0.5, 0.8, 0.95, 1.0])
_STALL_MS = np.array([40.0, 70.0, 130.0, 300.0, 900.0])
MAX_DURATION_S = 86_400
MAX_PACKETS = 10_000_000
_STEPS_PER_S = 10


def synthesise(
    technology: str,
    duration_s: int,
    seed: int,
    *,
    mean_mbps: float | None = None,
    kind: Literal["opportunities", "rate"] | None = None,
) -> Trace:
    """Return a synthetic trace.

    Args:
        technology: A key of `TECHNOLOGIES`.
        duration_s: Length in whole seconds, 2 to 86400; the period of the trace.
        seed: Non-negative; the same seed gives the same trace. Uplink and downlink of one folder
            with the same seed go together, as on one drive.
        mean_mbps: Mean rate of the trace; None draws it as runs differ.
        kind: Single opportunities, or rates of 100 ms; None for what suits the technology.

    Raises:
        UnknownName: There is no such technology.
        TestbedError: The duration, seed or mean cannot be.
    """
    if technology not in TECHNOLOGIES:
        raise UnknownName("technology", technology, TECHNOLOGIES)
    if not 2 <= duration_s <= MAX_DURATION_S:
        raise TestbedError(f"duration is {duration_s} s; allowed: 2 to {MAX_DURATION_S}")
    if not 0 <= seed < 2**63:
        raise TestbedError(f"seed is {seed}; allowed: 0 or more, below 2^63")
    if mean_mbps is not None and not 0.01 <= mean_mbps <= 10_000:
        raise TestbedError(f"mean is {mean_mbps:g} Mbit/s; allowed: 0.01 to 10000")
    tech = TECHNOLOGIES[technology]
    per_second = rates_mbps(tech, duration_s, seed, mean_mbps)
    kind = kind or tech.kind
    if kind == "opportunities":
        packets = math.fsum(per_second.tolist()) * 1e6 / (8 * OPPORTUNITY_BYTES)
        if packets > MAX_PACKETS:
            raise TestbedError(
                f"{packets:.0f} opportunities; at most {MAX_PACKETS}. Choose rates, a shorter "
                "duration or a lower mean"
            )
        stamps = opportunities_ms(tech, per_second, seed) * 1_000_000
        rates = None
    else:
        stamps = np.arange(duration_s * _STEPS_PER_S, dtype=np.int64) * (10**9 // _STEPS_PER_S)
        rates = step_rates_bps(tech, per_second, seed)
    return Trace(
        kind=kind,
        stamps_ns=stamps,
        rates_bps=rates,
        period_ns=duration_s * 10**9,
        measures="capacity",
        direction=tech.direction,
        technology=tech.folder,
        format="mahimahi" if rates is None else "rate-csv",
        samples=len(stamps),
        holds=None if rates is None else "after",
        notes=(f"synthetic: {technology}, seed {seed}",),
    )


def rates_mbps(tech: Technology, seconds: int, seed: int, mean_mbps: float | None) -> Floats:
    """Return the rate of each second, Mbit/s; their mean is `mean_mbps`, or as runs differ."""
    if mean_mbps is None:
        z = Draws(seed, f"{tech.name}/mean").normal(1)[0]
        # exp by its (1 + x/n)^n, which needs no function of the machine; x is at most a few.
        growth = 1.0 + tech.mean_spread * z / 1024.0
        for _ in range(10):
            growth = growth * growth
        mean_mbps = float(tech.mean_mbps * growth)
    shares = share_below(_latent(tech, seconds, seed))
    rates = np.interp(shares, _PROBABILITIES, np.array(tech.quantiles)) * mean_mbps
    rates = np.where(_in_outage(tech, shares, seed), _OUTAGE_RATE * mean_mbps, rates)
    # fsum rounds once, whatever the order in which a machine adds.
    scaled: Floats = rates * (mean_mbps * seconds / math.fsum(rates.tolist()))
    return scaled


def _latent(tech: Technology, seconds: int, seed: int) -> Floats:
    """Return a process of mean 0 and variance 1 with a fast and a slow part.

    A share of it is common to all technologies of one folder: with the same seed, uplink and
    downlink belong to the same drive.
    """
    parts = []
    for name, keep in (("fast", tech.fast), ("slow", tech.slow)):
        common = Draws(seed, f"{tech.folder}/{name}").normal(seconds)
        own = Draws(seed, f"{tech.name}/{name}").normal(seconds)
        shocks = (_COMMON_ROOT * common + _OWN_ROOT * own).tolist()
        fresh = math.sqrt(1.0 - keep * keep)
        level, levels = shocks[0], []
        for shock in shocks:
            level = keep * level + fresh * shock
            levels.append(level)
        parts.append(np.array(levels))
    share = tech.fast_share
    latent: Floats = math.sqrt(share) * parts[0] + math.sqrt(1.0 - share) * parts[1]
    return latent


def _in_outage(tech: Technology, shares: Floats, seed: int) -> NDArray[np.bool_]:
    """Return which seconds have no service; it is lost where the rate is low already."""
    seconds = len(shares)
    out = np.zeros(seconds, bool)
    draws, spells = Draws(seed, f"{tech.name}/outages"), tech.outages
    second = 0
    while second < seconds:
        begins, kind = draws.uniform(2)
        # Twice as likely at the bottom, never at the top, on average as stated.
        if begins < spells.enter_per_s * 2.0 * (1.0 - float(shares[second])):
            mean = spells.long_s if kind < spells.long_share else spells.short_s
            length = draws.geometric(mean)
            out[second : second + length] = True
            second += length
        second += 1
    return out


def opportunities_ms(tech: Technology, per_second: Floats, seed: int) -> NDArray[np.int64]:
    """Return the sorted milliseconds at which a packet may leave; the last is the period."""
    seconds = len(per_second)
    windows = seconds * _WINDOWS_PER_S
    weights = _weights(tech, seconds, seed)
    packets = per_second * (1e6 / (8.0 * OPPORTUNITY_BYTES))
    shares = np.cumsum(weights, axis=1)
    reached = shares / shares[:, -1:] * packets[:, None]
    reached += np.concatenate(([0.0], np.cumsum(packets)[:-1]))[:, None]
    cumulated = np.floor(reached.ravel()).astype(np.int64)
    counts = cumulated - np.concatenate(([0], cumulated[:-1]))

    window = np.repeat(np.arange(windows, dtype=np.int64), counts)
    first = np.diff(window, prepend=-1) != 0
    draws = Draws(seed, f"{tech.name}/batches")
    starts = first | (draws.uniform(len(window)) < 1.0 / tech.batch)
    offsets = (draws.uniform(int(starts.sum())) * _WINDOW_MS).astype(np.int64)
    stamps = window * _WINDOW_MS + offsets[np.cumsum(starts) - 1]
    stamps.sort()
    # The period of such a trace is its last stamp, so that one has to be at the end.
    return np.append(stamps, np.int64(seconds * 1000))


def step_rates_bps(tech: Technology, per_second: Floats, seed: int) -> NDArray[np.int64]:
    """Return the rate of each 100 ms, bit/s; each second keeps its mean."""
    seconds = len(per_second)
    weights = _weights(tech, seconds, seed).reshape(seconds, _STEPS_PER_S, -1)
    steps = weights[:, :, 0]
    for at in range(1, weights.shape[2]):
        steps = steps + weights[:, :, at]
    total = np.cumsum(steps, axis=1)[:, -1:]
    rates = steps / total * (per_second[:, None] * 1e6 * _STEPS_PER_S)
    return np.floor(rates.ravel() + 0.5).astype(np.int64)


def _weights(tech: Technology, seconds: int, seed: int) -> Floats:
    """Return what each 20 ms of a second gets of it, up to a factor for each second."""
    windows = seconds * _WINDOWS_PER_S
    weights = 1.0 + tech.window_spread * Draws(seed, f"{tech.name}/windows").normal(windows)
    weights = np.where(weights < 0.05, 0.05, weights)
    weights = np.where(_stalled(tech, windows, seed), 0.0, weights).reshape(seconds, -1)
    # A second that is all stall keeps its packets, in its last window.
    weights[:, -1] += np.where(weights.max(axis=1) == 0.0, 1.0, 0.0)
    return weights


def _stalled(tech: Technology, windows: int, seed: int) -> NDArray[np.bool_]:
    out = np.zeros(windows, bool)
    draws = Draws(seed, f"{tech.name}/stalls")
    begins = draws.uniform(windows) < tech.stalls_per_min * _WINDOW_MS / 60_000.0
    for at in np.flatnonzero(begins).tolist():
        length_ms = float(np.interp(draws.uniform(1), _STALL_AT, _STALL_MS)[0])
        out[at : at + max(1, round(length_ms / _WINDOW_MS))] = True
    return out
