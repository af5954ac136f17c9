"""The figures of the study of policies, from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import policy_tables as tables

Rows = Sequence[Mapping[str, Any]]
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#97bbf5")
PIXELS_PER_INCH = 110


def draw(rows: Rows, folder: Path, half: tables.Half = tables.TABLE) -> None:
    """Write every figure as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    for name, figure in (
        ("captured", _captured(rows, half)),
        ("technologies", _technologies(rows)),
        ("energy", _energy(rows, half)),
        ("knobs", _knobs(rows, half)),
    ):
        # Without a date or a version, the same table gives the same bytes.
        figure.savefig(
            folder / f"{name}.png",
            dpi=PIXELS_PER_INCH,
            bbox_inches="tight",
            metadata={"Software": None},
        )


def _devices(rows: Rows) -> list[str]:
    return list(dict.fromkeys(str(row["device"]) for row in rows))


def _captured(rows: Rows, half: tables.Half) -> Any:
    """Draw the share of the head-room that each policy captures, by device, with intervals."""
    from matplotlib.figure import Figure

    board = [row for row in tables.leaderboard(rows, half) if row["metric"] == "utility"]
    devices = _devices(rows)
    order = [r["policy"] for r in board if r["device"] == board[-1]["device"]][::-1]
    figure = Figure(figsize=(3.1 * len(devices) + 1.5, 0.27 * len(order) + 1))
    axes = figure.subplots(1, len(devices), sharey=True, squeeze=False)[0]
    for axis, device in zip(axes, devices, strict=True):
        mine = {row["policy"]: row for row in board if row["device"] == device}
        floor = -2.0
        for y, policy in enumerate(order):
            row = mine[policy]
            if row["captured"] is None:
                continue
            value = max(row["captured"], floor)
            low, high = row["captured_low"], row["captured_high"]
            if low is not None:
                axis.plot([max(low, floor), max(high, floor)], [y, y], color="#9aa0a6", lw=2)
            beyond = row["captured"] < floor
            axis.plot(value, y, "<" if beyond else "o", color=COLOURS[2 if value < 0 else 0], ms=5)
        axis.axvline(0, color="#444", lw=0.8)
        axis.axvline(1, color="#444", lw=0.8, ls=":")
        axis.set_xlim(floor - 0.1, 1.1)
        axis.set_title(device, fontsize=10)
        axis.grid(axis="x", color="#e5e5e5")
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(order)), order)
    figure.supxlabel(
        "captured head-room: 0 is the best static point of each world, 1 the optimum; "
        "a triangle lies further left",
        fontsize=9,
        y=-0.01,
    )
    return figure


def _technologies(rows: Rows) -> Any:
    """Draw the mean gain in utility of each policy on each technology and device."""
    import numpy as np
    from matplotlib.figure import Figure

    worlds, devices = tables.by_world(rows), _devices(rows)
    kinds = list(dict.fromkeys(key[1] for key in worlds))
    columns = [(device, kind) for device in devices for kind in kinds]
    policies = tables.adaptive(rows)
    gains = np.zeros((len(policies), len(columns)))
    for j, (device, kind) in enumerate(columns):
        some = [w for key, w in worlds.items() if key[:2] == (device, kind)]
        for i, policy in enumerate(policies):
            each = [
                w[policy]["utility"] - tables.best_static(w, "utility")["utility"] for w in some
            ]
            gains[i, j] = sum(each) / len(each)
    order = np.argsort(-gains.mean(axis=1), kind="stable")
    gains = gains[order]
    figure = Figure(figsize=(0.62 * len(columns) + 2, 0.3 * len(policies) + 1.4))
    axis = figure.subplots()
    shown = axis.imshow(gains, cmap="RdBu", vmin=-0.2, vmax=0.2, aspect="auto")
    for i, j in np.ndindex(*gains.shape):
        dark = abs(gains[i, j]) > 0.13
        text = f"{100 * gains[i, j]:+.0f}".replace("-", "−").replace("+0", "0").replace("−0", "0")
        axis.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if dark else "k")
    axis.set_yticks(range(len(policies)), [policies[i] for i in order])
    axis.set_xticks(range(len(columns)), [kind for _, kind in columns], rotation=45, ha="right")
    for k, device in enumerate(devices):
        axis.text((k + 0.5) * len(kinds) - 0.5, -0.9, device, ha="center", fontsize=10)
        if k:
            axis.axvline(k * len(kinds) - 0.5, color="k", lw=1)
    axis.tick_params(length=0)
    figure.colorbar(shown, ax=axis, label="utility less that of the best static point", pad=0.015)
    axis.set_xlabel("figures in hundredths")
    return figure


def _energy(rows: Rows, half: tables.Half) -> Any:
    """Draw mAP against energy per frame, static points and policies, by device."""
    from matplotlib.figure import Figure

    from testbed.compare import front
    from testbed.metrics import METRICS

    devices = _devices(rows)
    figure = Figure(figsize=(4.1 * len(devices), 3.9))
    axes = figure.subplots(1, len(devices), squeeze=False)[0]
    for axis, device in zip(axes, devices, strict=True):
        points: dict[str, tuple[float, float]] = {}
        for policy in dict.fromkeys(str(row["policy"]) for row in rows):
            mine = [r for r in rows if (r["policy"], r["device"]) == (policy, device)]
            gain, cost = (
                sum(r[m] for r in mine) / len(mine) for m in (half.accuracy, "energy_per_frame_j")
            )
            points[policy] = (gain, cost)
        ahead = front(points)
        for policy, (gain, cost) in points.items():
            static = policy.startswith("fixed-")
            marker, colour = ("s", "#9aa0a6") if static else ("o", COLOURS[0])
            axis.plot(cost, gain, marker, color=colour, ms=4.5)
        axis.plot(
            [points[p][1] for p in ahead], [points[p][0] for p in ahead], color="#444", lw=0.8
        )
        # Names would cover each other: numbers along the front, and the names below the panel.
        for k, policy in enumerate(ahead, start=1):
            gain, cost = points[policy]
            axis.annotate(
                str(k), (cost, gain), xytext=(-3, 5), textcoords="offset points", fontsize=7,
                ha="right",
            )  # fmt: skip
        names = "\n".join(f"{k} {policy}" for k, policy in enumerate(ahead, start=1))
        axis.text(0, -0.18, names, transform=axis.transAxes, fontsize=7, va="top")
        axis.set_title(device, fontsize=10)
        axis.set_xlabel("energy per frame, J")
        axis.margins(0.08, 0.08)
        axis.grid(color="#eeeeee")
        axis.set_axisbelow(True)
    axes[0].set_ylabel(METRICS[half.accuracy].label)
    figure.legend(
        handles=[
            axes[0].plot([], [], "o", color=COLOURS[0], ms=5, label="policy")[0],
            axes[0].plot([], [], "s", color="#9aa0a6", ms=5, label="static point")[0],
            axes[0].plot([], [], color="#444", lw=0.8, label="front")[0],
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.97),
        ncols=3,
        frameon=False,
    )
    figure.subplots_adjust(wspace=0.22)
    return figure


def _knobs(rows: Rows, half: tables.Half) -> Any:
    """Draw what each knob adds to the gain of the policies that were taken apart."""
    from matplotlib.figure import Figure

    taken = [row for row in rows if row[f"knob_{half.knobs[0]}"] != ""]
    policies = list(dict.fromkeys(str(row["policy"]) for row in taken))
    devices = _devices(taken)
    kinds = list(dict.fromkeys(str(row["technology"]) for row in rows))
    step, middle = 0.78 / len(half.knobs), (len(half.knobs) - 1) / 2
    figure = Figure(figsize=(4.4 * len(devices), 2.6 * len(policies)))
    axes = figure.subplots(len(policies), len(devices), sharex=True, sharey=True, squeeze=False)
    for axis_row, policy in zip(axes, policies, strict=True):
        for axis, device in zip(axis_row, devices, strict=True):
            for x, kind in enumerate(kinds):
                mine = [
                    r
                    for r in taken
                    if (r["policy"], r["device"], r["technology"]) == (policy, device, kind)
                ]
                for k, knob in enumerate(half.knobs):
                    value = sum(r[f"knob_{knob}"] for r in mine) / len(mine)
                    label = knob if x == 0 else None
                    axis.bar(
                        x + step * (k - middle), value, 0.92 * step, color=COLOURS[k], label=label
                    )
            axis.axhline(0, color="#444", lw=0.8)
            axis.set_xticks(range(len(kinds)), kinds)
            axis.set_title(f"{policy}, {device}", fontsize=9)
            axis.grid(axis="y", color="#eeeeee")
            axis.set_axisbelow(True)
        axis_row[0].set_ylabel("share of the gain")
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.subplots_adjust(wspace=0.08, hspace=0.3)
    return figure
