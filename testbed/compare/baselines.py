"""The simple rivals that a policy has to beat, each by name: what was run, and what was not.

A comparison without them flatters whoever writes it. Those that the run has are set against the
best adaptive policy; for those that it lacks it says what to add.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from testbed.compare.within import (
    NOT_ADAPTIVE,
    Kinds,
    best_fixed,
    difference,
    direction,
    mean_of,
    paired,
    primary,
    shown,
)
from testbed.metrics import METRICS, Figures, Interval, way
from testbed.model import Mode

if TYPE_CHECKING:
    from testbed.records import Run

Options = Mapping[str, Any]
"""A policy as it stands in a scenario."""

Rung = Mapping[str, Any]
"""An operating point as it stands in the provenance of a run."""


class Baseline(TypedDict):
    """One rival.

    Attributes:
        baseline: What it is.
        policy: Which policy of the run it is; None if none.
        against: The policy it is set against; None if there is no other.
        difference: That policy minus the rival, in the metric of the verdict; None if not run.
        wins: Whether the rival is shown to be the better one of the two.
        message: All of it in a sentence.
    """

    baseline: str
    policy: str | None
    against: str | None
    difference: Interval | None
    wins: bool
    message: str


def contender(figures: Figures, kinds: Kinds, metric: str) -> str | None:
    """Return the policy that the rivals are set against: the best one that adapts; None if none."""
    sign = -1 if direction(metric) == "higher" else 1
    moving = [
        policy
        for policy, seeds in figures.items()
        if kinds.get(policy) not in ("fixed", *NOT_ADAPTIVE)
        and not math.isnan(mean_of(seeds, metric))
    ]
    return min(moving, key=lambda p: (sign * mean_of(figures[p], metric), p), default=None)


def baselines(run: Run, figures: Figures, kinds: Kinds) -> list[Baseline]:
    """Return the rivals of a run: the best static point, the device alone, pictures, and so on."""
    metric = primary(figures)
    policies: Mapping[str, Options] = run.scenario["policies"]
    ladder: Sequence[Rung] = next(iter(run.provenance.get("ladders", {}).values()), [])
    ours = contender(figures, kinds, metric)
    best = best_fixed(figures, kinds, metric)
    rivals: list[Baseline] = []
    for name, matches, missing in _roles(ladder):
        mine = [p for p, options in policies.items() if p in figures and matches(options)]
        policy = best_fixed({p: figures[p] for p in mine}, dict.fromkeys(mine, "fixed"), metric)
        if policy is None and missing:
            rivals.append(_absent(name, missing))
        elif policy is not None:
            rivals.append(_set_against(name, policy, ours, figures, metric))
    if best is not None:
        rivals.insert(0, _set_against("best static point", best, ours, figures, metric))
    else:
        add = "add a policy {kind: fixed} for each point of the ladder"
        rivals.insert(0, _absent("best static point", f"no static policy was run; {add}"))
    return rivals


def at_matched_map(ladder: Sequence[Rung]) -> str | None:
    """Return how a whole picture compares with the most accurate split point, in words.

    The picture is the smallest one that is at least as accurate. None without such modes.
    """
    split = [rung for rung in ladder if rung["mode"] == Mode.SPLIT]
    pictures = [rung for rung in ladder if rung["mode"] == Mode.OFFLOAD]
    if not split or not pictures:
        return None
    best = max(split, key=lambda rung: (rung["accuracy"], -rung["payload_bytes"]))
    matched = _matched(ladder)
    told = f"{_named(best)} sends {_kb(best)} a frame for mAP {best['accuracy']:.3f}"
    if matched is None:
        most = max(pictures, key=lambda rung: float(rung["accuracy"]))
        return (
            f"No picture on the ladder is as accurate as the most accurate split point: {told}, "
            f"{_named(most)} reaches {most['accuracy']:.3f} with {_kb(most)}."
        )
    smaller = matched["payload_bytes"] <= best["payload_bytes"]
    outcome = (
        "the whole picture is the smaller payload, so that splitting saves no bytes there"
        if smaller
        else "the split sends less"
    )
    return (
        f"At matched mAP: {told}; {_named(matched)} sends {_kb(matched)} for mAP "
        f"{matched['accuracy']:.3f}: {outcome}."
    )


def beside_one_picture(ladder: Sequence[Rung], jpeg95_bytes: int) -> str | None:
    """Return how the split points compare with one photo that somebody compressed, in words.

    That is all there is of pictures where a detector is a published table: a size, and no mAP, so
    that no point of the ladder can stand for it. None without split points.
    """
    split = sorted(
        (rung for rung in ladder if rung["mode"] == Mode.SPLIT), key=lambda rung: rung["width"]
    )
    if not split:
        return None
    told = (
        f"One stock photo of the detector's size is a JPEG of {jpeg95_bytes:,} bytes at quality 95"
    )
    larger = [rung for rung in split if rung["payload_bytes"] > jpeg95_bytes]
    if not larger:
        return f"{told}, more than any split point of the ladder sends."
    listed = ", ".join(f"{_named(rung)} ({rung['payload_bytes']:,} bytes)" for rung in larger)
    return (
        f"{told}: sending the whole picture beats {listed} on bytes. What mAP it would have is not "
        "published, so it is no point of the ladder."
    )


def _roles(ladder: Sequence[Rung]) -> Iterator[tuple[str, Any, str]]:
    """Yield each rival's name, what tells its policies, and what to do if there are none.

    Nothing need be done where that is empty.
    """
    modes = {rung["mode"] for rung in ladder}

    def listed(mode: Mode, policy: str) -> str:
        if mode not in modes:
            return f"'{mode}' is not among the modes of the ladder"
        return f"not run; add a policy {policy}"

    yield (
        "device alone",
        lambda options: _fixed(options) and options.get("mode") == Mode.LOCAL,
        listed(Mode.LOCAL, "{kind: fixed, mode: local}"),
    )
    matched = _matched(ladder) or {}
    codec = str(matched.get("codec", "jpeg-75"))
    yield (
        "whole picture at matched mAP" if matched else "whole picture",
        lambda options: (
            _fixed(options)
            and options.get("mode") == Mode.OFFLOAD
            and (not matched or options.get("codec") == codec)
        ),
        listed(Mode.OFFLOAD, f"{{kind: fixed, mode: offload, codec: {codec}}}"),
    )
    if matched:
        yield (
            "whole picture, at another mAP",
            lambda options: (
                _fixed(options)
                and options.get("mode") == Mode.OFFLOAD
                and options.get("codec") != codec
            ),
            "",
        )
    yield (
        "fewer frames",
        lambda options: (
            options["kind"] == "frame-filter"
            and not options.get("outstanding")
            and _fixed(options.get("policy", {"kind": "goodput"}))
        ),
        listed(Mode.SKIP, "{kind: frame-filter, every: 2, policy: {kind: fixed}}"),
    )
    split = [rung for rung in ladder if rung["mode"] == Mode.SPLIT]
    widest = max((rung["width"] for rung in split), default=1.0)
    depths = sorted({rung["bits"] for rung in split if rung["width"] == widest})
    few, most = (depths[0], depths[-1]) if len(depths) > 1 else (None, 0)
    add = f"not run; add a policy {{kind: fixed, width: {widest:g}, bits: {few}}}"
    yield (
        "fewer bits alone",
        lambda options: (
            _fixed(options)
            and options.get("mode", Mode.SPLIT) == Mode.SPLIT
            and options.get("width", 1.0) == widest
            and options.get("bits", 8) < most
        ),
        add if few else "the ladder has one number of bits at its full width",
    )


def _matched(ladder: Sequence[Rung]) -> Rung | None:
    """Return the smallest picture that is as accurate as every split point."""
    goal = max((r["accuracy"] for r in ladder if r["mode"] == Mode.SPLIT), default=math.inf)
    enough = [r for r in ladder if r["mode"] == Mode.OFFLOAD and r["accuracy"] >= goal]
    return min(enough, key=lambda rung: int(rung["payload_bytes"]), default=None)


def _fixed(options: Options) -> bool:
    return bool(options["kind"] == "fixed")


def _absent(name: str, why: str) -> Baseline:
    return {
        "baseline": name,
        "policy": None,
        "against": None,
        "difference": None,
        "wins": False,
        "message": f"{name}: {why}",
    }


def _set_against(
    name: str, policy: str, ours: str | None, figures: Figures, metric: str
) -> Baseline:
    label = METRICS[metric].label
    found: Baseline = {
        "baseline": name,
        "policy": policy,
        "against": ours,
        "difference": None,
        "wins": False,
        "message": f"{name} ({policy}): {label} {shown(figures[policy], metric)}; nothing adapts",
    }
    if ours is None:
        return found
    gap = paired(figures[ours], figures[policy], metric)
    low, high = gap["low"], gap["high"]
    if low is None or high is None or low <= 0 <= high:
        said = f"no difference from {ours} shown"
    else:
        found["wins"] = (low > 0) != (direction(metric) == "higher")
        said = f"beats {ours}" if found["wins"] else f"{ours} is better"
    found["difference"] = gap
    found["message"] = (
        f"{name} ({policy}): {said}; {label} {shown(figures[ours], metric)} of {ours} vs "
        f"{shown(figures[policy], metric)}: {difference(gap, metric)}"
    )
    return found


def _named(rung: Rung) -> str:
    if rung["mode"] == Mode.SPLIT:
        codec = "" if rung.get("codec", "raw") == "raw" else f" {rung['codec']}"
        return f"α = {rung['width']:g} at {rung['bits']} bit{codec}"
    return way(str(rung["mode"]), rung.get("codec"))


def _kb(rung: Rung) -> str:
    return f"{rung['payload_bytes'] / 1e3:.3g} kB"
