"""Charts of where the time goes: the distribution of latency, and its stages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testbed.metrics import STAGES
from testbed.model import NS_PER_MS
from testbed.report.plot import (
    INK,
    NAMED,
    Chart,
    Figure,
    axis,
    decades,
    layout,
    line_style,
    number,
    numbers,
    plain,
    short,
    significant,
    stacked_bars,
)
from testbed.report.view import View

_POINTS = 400  # of a line; more cannot be told apart on a screen


def charts(view: View) -> list[Chart]:
    """Return the charts of this subject."""
    return [_distribution(view), _stages(view)]


def latency_ms(view: View, policy: str) -> NDArray[np.float64]:
    """Return the latency of every captured frame; inf without an answer."""
    frames = view.frames(policy)
    waited = frames["answered_ns"] - frames["captured_ns"]
    return waited.to_numpy(np.float64, na_value=np.inf) / NS_PER_MS


def _distribution(view: View) -> Chart:
    samples = {policy: np.sort(latency_ms(view, policy)) for policy in view.policies}
    finite = [values[np.isfinite(values)] for values in samples.values()]
    longest = max((float(values[-1]) for values in finite if len(values)), default=view.deadline_ms)
    log = longest > 8 * view.deadline_ms
    shortest = min((float(values[0]) for values in finite if len(values)), default=1.0)
    right = max(longest, 1.2 * view.deadline_ms)
    traces = []
    for i, (policy, values) in enumerate(samples.items()):
        answered = int(np.isfinite(values).sum())
        ranks = np.unique(np.linspace(0, max(answered - 1, 0), _POINTS).astype(int))
        ranks = ranks[: answered and len(ranks)]
        share = (ranks + 1) / len(values)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(policy),
                "x": [*numbers(values[ranks]), number(right)],
                "y": [*numbers(share), number(answered / len(values))],
                "line": line_style(i) | {"shape": "hv"},
                "hovertemplate": "%{y:.1%} within %{x:.1f} ms",
            }
        )
    title = "latency, capture to answer (ms)"
    x = axis(title, range=[0, number(right)])
    if log:
        low = max(0.8 * shortest, 0.1)
        x = axis(title, type="log") | decades(low, 1.1 * right)
        x["range"] = numbers([np.log10(low), np.log10(1.1 * right)])
    figure = layout(
        traces,
        x=x,
        y=axis("share of the captured frames", range=[0, 1.03], tickformat=".0%"),
        height=430,
        annotations=[*_on_the_lines(samples, log=log), _deadline_label(view, log=log)],
        shapes=[deadline_line(view, "x")],
    )
    rows = [
        [policy, *(significant(_quantile(values, q)) for q in (50, 90, 95, 99))]
        for policy, values in samples.items()
    ]
    return Chart(
        "latency-cdf",
        "Latency of every captured frame",
        "Share of the captured frames answered within a time, all seeds and clients together. A "
        "line that ends below 100 % belongs to a policy some of whose frames had no answer at all.",
        {"": figure},
        table=(("policy", "p50, ms", "p90, ms", "p95, ms", "p99, ms"), rows),
    )


def _on_the_lines(samples: dict[str, NDArray[np.float64]], *, log: bool) -> list[dict[str, object]]:
    """Return each policy's name on its own line, each at a height of its own."""
    if len(samples) > NAMED:
        return []
    labels: list[dict[str, object]] = []
    for i, (policy, values) in enumerate(samples.items()):
        height = 0.18 + 0.6 * i / max(len(samples) - 1, 1)
        height = min(height, 0.9 * float(np.isfinite(values).mean()))
        at = float(values[max(int(np.ceil(height * len(values))) - 1, 0)])
        if np.isfinite(at) and at > 0:
            labels.append(
                {
                    "name": "direct",
                    "x": number(float(np.log10(at)) if log else at),
                    "y": number(height),
                    "text": plain(short(policy)),
                    "xanchor": "left",
                    "xshift": 3,
                    "showarrow": False,
                    "bgcolor": "rgba(255,255,255,0.75)",
                    "borderpad": 1,
                    "font": {"color": line_style(i)["color"], "size": 12},
                }
            )
    return labels


def _quantile(values: NDArray[np.float64], q: int) -> float:
    return float(values[-(-len(values) * q // 100) - 1])


def deadline_line(view: View, along: str, *, ref: str = "") -> dict[str, object]:
    """Return a line at the deadline, upright (`x`) or level (`y`)."""
    other = "y" if along == "x" else "x"
    return {
        "type": "line",
        f"{along}0": view.deadline_ms,
        f"{along}1": view.deadline_ms,
        f"{along}ref": f"{along}{ref}",
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": f"{other}{ref} domain",
        "line": {"color": INK, "width": 1.2, "dash": "5px 3px"},
    }


def _deadline_label(view: View, *, log: bool) -> dict[str, object]:
    return {
        "x": number(float(np.log10(view.deadline_ms))) if log else view.deadline_ms,
        "y": 0.03,
        "text": f"deadline {view.deadline_ms:g} ms",
        "xanchor": "left",
        "xshift": 4,
        "showarrow": False,
        "bgcolor": "#ffffff",
    }


def _stages(view: View) -> Chart:
    means: dict[str, list[float]] = {stage: [] for stage in STAGES}
    shares = []
    for policy in view.policies:
        frames = view.frames(policy)
        answered = frames[frames["answered_ns"].notna() & frames["decoded_ns"].notna()]
        shares.append(len(answered) / len(frames))
        for stage, (start, end) in STAGES.items():
            spent = (answered[end] - answered[start]).to_numpy(np.float64)
            means[stage].append(float(spent.mean()) / NS_PER_MS if len(spent) else 0.0)
    names = {stage: stage.replace("_", " ") for stage in STAGES}
    figure: Figure = stacked_bars(
        view.policies, [(names[stage], values) for stage, values in means.items()], "ms"
    )
    rows = [
        [policy, f"{100 * shares[i]:.1f}", *(significant(means[stage][i]) for stage in STAGES)]
        for i, policy in enumerate(view.policies)
    ]
    return Chart(
        "stages",
        "Where the time goes",
        "Mean time in each stage of the frames that the server answered; the stages of a frame add "
        "up to its latency, so the bar is the mean latency of those frames. Frames without an "
        "answer are in no bar: read it beside the share that was answered.",
        {"": figure},
        table=(("policy", "answered, %", *(f"{name}, ms" for name in names.values())), rows),
    )
