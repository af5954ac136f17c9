"""Rules between keys, which no single key can keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.errors import did_you_mean
from testbed.model import NS_PER_S
from testbed.scenario.resolve import Resolver
from testbed.scenario.schema import (
    BEST_FIXED,
    Count,
    LinkSpec,
    Name,
    Positive,
    SourceSpec,
    client_names,
    to_ns,
)
from testbed.scenario.source import KeyPath
from testbed.streams import stream

if TYPE_CHECKING:
    from testbed.links.link import Link

MAX_FRAMES = 50_000_000
"""Most frames of one run, all of which are held in memory until it ends."""


def check(resolver: Resolver) -> None:
    """Report every broken rule whose keys are sound in themselves."""
    groups = resolver.source.children(("clients",))
    _client_names_differ(resolver, groups)
    for group in groups:
        _something_is_captured(resolver, (*group, "source"))
    _fits_in_memory(resolver, groups)
    _claims_name_policies(resolver)


def check_link(resolver: Resolver, path: KeyPath, link: Link) -> None:
    """Report why the link at `path` cannot be opened, or not be shared as the scenario says."""
    try:
        medium = link.medium(stream(0, "check", *map(str, path)))
    except ValueError as error:
        resolver.report(path, str(error))
        return
    default = LinkSpec.model_fields["sharing"].default
    sharing = resolver.source.get((*path, "sharing")) or default
    clients = sum(_count(resolver, group) for group in resolver.source.children(("clients",)))
    if clients < 2 or sharing in ("none", "fifo"):
        return
    if medium.wake is not None or medium.queue is not None:
        what = "sleeps" if medium.queue is None else "manages its queue"
        message = (
            f"a link that {what} is one sender's, so {clients} clients cannot share it by "
            f"{sharing}; allowed: none, fifo"
        )
        resolver.report((*path, "sharing"), message)


def _count(resolver: Resolver, group: KeyPath) -> int:
    count: int | None = resolver.sound(Count, (*group, "count"))
    return count or 1


def _client_names_differ(resolver: Resolver, groups: list[KeyPath]) -> None:
    taken: dict[str, str] = {}
    for group in groups:
        name = resolver.sound(Name, (*group, "name"))
        if name is None:
            continue
        names = client_names(name, _count(resolver, group))
        for client in names:
            if client in taken:
                message = f"there is a client '{client}' already, of group '{taken[client]}'"
                resolver.report((*group, "name"), message)
                break
        taken |= dict.fromkeys(names, name)


def _something_is_captured(resolver: Resolver, path: KeyPath) -> None:
    duration_s = resolver.sound(Positive, ("duration_s",))
    camera = resolver.sound(SourceSpec, path)
    if duration_s is None or camera is None:
        return
    if camera.phase_ns is None:
        if duration_s * camera.fps < 1:
            message = f"captures less than one frame in the {duration_s:g} s of a run"
            resolver.report((*path, "fps"), message)
    elif camera.phase_ns >= to_ns(duration_s, NS_PER_S):
        message = f"the first capture would be after the end of the run, {duration_s:g} s"
        resolver.report((*path, "phase"), message)


def _fits_in_memory(resolver: Resolver, groups: list[KeyPath]) -> None:
    duration_s = resolver.sound(Positive, ("duration_s",))
    if duration_s is None:
        return
    per_s = 0.0
    for group in groups:
        camera = resolver.sound(SourceSpec, (*group, "source"))
        if camera is not None:
            per_s += camera.fps * _count(resolver, group)
    frames = duration_s * per_s
    if frames > MAX_FRAMES:
        number = f"{frames:,.0f}" if frames < 1e15 else f"{frames:.3g}"
        message = (
            f"{number} frames would be captured for each policy and seed (duration_s × fps × "
            f"count); at most {MAX_FRAMES:,} fit, which is {MAX_FRAMES / per_s:g} s here"
        )
        resolver.report(("duration_s",), message)


def _claims_name_policies(resolver: Resolver) -> None:
    source = resolver.source
    policies = source.get(("policies",))
    if not isinstance(policies, dict):
        return
    fixed = any(isinstance(p, dict) and p.get("kind") == "fixed" for p in policies.values())
    if BEST_FIXED in policies:
        message = "is what claims call the best policy of kind 'fixed'; choose another name"
        resolver.report(("policies", BEST_FIXED), message)
    for claim in source.children(("claims",)):
        better = resolver.sound(str, (*claim, "better"))
        than = resolver.sound(str, (*claim, "than"))
        for key, name, known in (
            ("better", better, list(policies)),
            ("than", than, [*policies, BEST_FIXED]),
        ):
            if name is not None and name not in known:
                hint = did_you_mean(name, known)
                resolver.report((*claim, key), f"no policy '{name}'{hint}")
        if than == BEST_FIXED and not fixed:
            message = "there is no policy of kind 'fixed' to be better than"
            resolver.report((*claim, "than"), message)
        if better is not None and better == than:
            resolver.report((*claim, "than"), "is the same policy; name another one")
