"""Charts of where the joules go: by component and state, and as power over time."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.devices.ledger import COMPONENTS
from testbed.devices.radio import CONNECTED
from testbed.model import NS_PER_S
from testbed.report.ledger import BUSY, PolicyLedger, ledgers
from testbed.report.plot import (
    Chart,
    Figure,
    area_style,
    axis,
    layout,
    plain,
    significant,
    stacked_bars,
)
from testbed.report.view import View

if TYPE_CHECKING:
    import pandas as pd

_BINS = 600  # of a policy's power over time
_ALL_BINS = 3000  # over all policies: keeps the page small

# As the components look in the bars; other states take what is left.
_LOOKS = {("compute", BUSY): 0, ("radio", CONNECTED): 1, ("idle", "on"): 2}


def charts(view: View) -> list[Chart]:
    """Return the charts of this subject."""
    return [_by_component(view), _over_time(view)]


def _by_component(view: View) -> Chart:
    """Return the chart of the energy per captured frame, by component, and by state below it."""
    marginal = ledgers(view.run, "marginal", policies=view.policies)
    proportional = ledgers(view.run, "proportional", policies=view.policies)
    parts = [
        (component, [_of(entry, component) / entry.captured for entry in marginal])
        for component in COMPONENTS
    ]
    found = [{state[:2]: state.joules for state in entry.states} for entry in marginal]
    known = dict.fromkeys(key for states in found for key in states)
    lines = [
        (*key, [states.get(key, 0.0) for states in found])
        for key in sorted(known, key=lambda key: COMPONENTS.index(key[0]))
    ]
    lines += [
        ("total", "", [entry.total_j for entry in marginal]),
        ("net of idle", "", [entry.net_j for entry in marginal]),
        ("of frames", "without tails", [entry.frames_j for entry in marginal]),
        ("of frames", "with tails", [entry.frames_j for entry in proportional]),
    ]
    rows = [
        [*names, *(significant(j / e.captured) for j, e in zip(drawn, marginal, strict=True))]
        for *names, drawn in lines
    ]
    return Chart(
        "energy",
        "Where the joules go",
        "Energy of the devices per captured frame, everything included: what the processor and "
        "the radio draw while they work, wait and linger, and what the idle device draws anyway. "
        "Frames pay for their encoding and their time on the air, or also for the promotions and "
        "tails of the radio that are there because of them; the rest is shared.",
        {"": stacked_bars(view.policies, parts, "J per captured frame")},
        table=(("component", "state", *(f"{policy}, J" for policy in view.policies)), rows),
    )


def _of(entry: PolicyLedger, component: str) -> float:
    return math.fsum(state.joules for state in entry.states if state.component == component)


def _over_time(view: View) -> Chart:
    """Return the chart of one client's power, stacked by state, with a variant for each policy."""
    seed = view.seeds[0]
    client = str(view.run.frames["client"].iloc[0])
    rows = view.run.energy
    rows = rows[(rows["seed"] == seed) & (rows["client"] == client)]
    bins = min(_BINS, _ALL_BINS // len(view.policies))
    end_ns = int(rows["end_ns"].max())
    edges = np.linspace(0, end_ns, bins + 1)
    states = list(dict.fromkeys(zip(rows["component"], rows["state"], strict=True)))
    # What runs throughout lies below what comes and goes.
    states.sort(key=lambda key: COMPONENTS[::-1].index(key[0]))
    variants, shares = {}, {}
    for policy in view.adaptive_first:
        mine = rows[rows["policy"] == policy]
        own = dict(iter(mine.groupby(["component", "state"], observed=True, sort=False)))
        variants[policy] = _figure(states, own, edges)
        shares[policy] = [
            float((own[key]["end_ns"] - own[key]["start_ns"]).sum()) / end_ns if key in own else 0
            for key in states
        ]
    table = [
        [*map(str, key), *(significant(100 * shares[policy][i]) for policy in view.policies)]
        for i, key in enumerate(states)
    ]
    return Chart(
        "power",
        "Power over time",
        f"Seed {seed}, client {client}: what each state draws, one on top of the other, as means "
        f"over {significant(end_ns / bins / NS_PER_S)} s. The area is the energy. Below: the share "
        "of the time that each component spends in each state.",
        variants,
        "policy",
        table=(("component", "state", *(f"{policy}, %" for policy in view.policies)), table),
    )


def _figure(
    states: list[tuple[str, str]],
    rows: dict[Any, pd.DataFrame],
    edges: NDArray[np.float64],
) -> Figure:
    at, width = edges[0], edges[1] - edges[0]
    others = itertools.count(len(_LOOKS))
    looks = {key: _LOOKS[key] if key in _LOOKS else next(others) for key in states}
    traces = []
    for component, state in states:
        if (component, state) not in rows:
            continue
        watts = _mean_w(rows[component, state], edges)
        if not watts.any():
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(f"{component}: {state}"),
                "x0": at / NS_PER_S,
                "dx": width / NS_PER_S,
                "y": [float(f"{value:.3g}") for value in watts],
                "stackgroup": "power",
                "hovertemplate": "%{y:.3~s}W",
            }
            | area_style(looks[component, state])
        )
    figure = layout(
        traces,
        x=axis("time (s)", range=[0, edges[-1] / NS_PER_S]),
        y=axis("W", rangemode="tozero"),
        height=430,
    )
    figure["layout"] |= {"hovermode": "x unified"}
    figure["layout"]["legend"]["traceorder"] = "normal"
    return figure


def _mean_w(spans: pd.DataFrame, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power of spans that do not overlap, between neighbouring edges."""
    start, end, joules = (
        spans[name].to_numpy(np.float64) for name in ("start_ns", "end_ns", "energy_j")
    )
    after = np.cumsum(joules)
    knots = np.column_stack((start, end)).ravel()
    drawn = np.column_stack((after - joules, after)).ravel()
    watts: NDArray[np.float64] = np.diff(np.interp(edges, knots, drawn)) / np.diff(edges) * NS_PER_S
    return watts
