"""The referee of links."""

from __future__ import annotations

from collections.abc import Callable

from testbed.links.capacity import Capacity
from testbed.links.link import Link
from testbed.model import NS_PER_MS, NS_PER_S, LinkModel
from testbed.streams import stream

_PACKETS = 400
_DELAY_NS = 25 * NS_PER_MS


def check_link(make: Callable[[], Link] | Callable[[], LinkModel]) -> None:
    """Hold a link part, or a link model, to the promises that both engines rely on.

    Times are whole nanoseconds and never run backwards; what is refused or lost is so only on a
    link that says it may drop; a backlog is what has been accepted and not released; the same
    random stream and the same packets give the same times; openings of a part share nothing; and
    its capacity curve and the inverse of it fit together.

    Args:
        make: Returns a link part with the same options, or a fresh link model, each time.

    Raises:
        AssertionError: The message says which promise was broken.
    """
    made = make()
    if not isinstance(made, Link):
        first = _play(made, 1)
        again = make()
        assert not isinstance(again, Link), "`make` returns different kinds of things"
        assert _play(again, 1) == first, "same packets, other times"
        return
    for queue_bytes in (None, 40_000):
        for seed in (1, 2):
            played = _play(_open(made, seed, queue_bytes), seed)
            assert _play(_open(made, seed, queue_bytes), seed) == played, (
                "same random stream and packets, other times: opening a part must change nothing"
            )
    one, other = _open(made, 1, None), _open(made, 1, None)
    alone = _play(_open(made, 1, None), 1)
    _play(other, 2)
    assert _play(one, 1) == alone, "two openings of a part share state"
    _check_curve(made.medium(stream(1, "check_link")).capacity)


def _open(part: Link, seed: int, queue_bytes: int | None) -> LinkModel:
    return part.open(stream(seed, "check_link"), _DELAY_NS, queue_bytes)


def _play(link: LinkModel, seed: int) -> list[tuple[int | None, int | None]]:
    """Send packets in bursts and after silences; return releases and arrivals, all checked."""
    world = stream(seed, "check_link", "world")
    assert link.backlog_bytes(0) == 0, "a fresh link has a backlog"
    now, last_release, last_arrival = 0, 0, 0
    accepted = 0
    out: list[tuple[int | None, int | None]] = []
    for _ in range(_PACKETS):
        if world.random() < 0.3:
            now += int(world.exponential(30 * NS_PER_MS))
        size = int(world.integers(40, 1501))
        release_ns = link.send(now, size)
        if release_ns is None:
            assert link.may_drop, "refused a packet although `may_drop` says it never does"
            out.append((None, None))
            continue
        accepted += size
        assert type(release_ns) is int, "a release is not a whole number of nanoseconds"
        assert release_ns >= now, "a packet left before it came"
        assert release_ns >= last_release, "a packet left before an earlier one"
        assert link.free_ns == release_ns, "`free_ns` is not when the last byte leaves"
        backlog = link.backlog_bytes(now)
        assert 0 <= backlog <= accepted, "a backlog of what was never accepted"
        assert backlog >= size or release_ns == now, "a packet that waits is not in the backlog"
        assert link.backlog_bytes(release_ns) == 0, "a backlog when everything has left"
        arrival_ns = link.arrive(release_ns)
        if arrival_ns is None:
            assert link.may_drop, "lost a packet although `may_drop` says it never does"
        else:
            assert type(arrival_ns) is int, "an arrival is not a whole number of nanoseconds"
            assert arrival_ns >= release_ns + link.delay_ns, "arrived faster than propagation"
            assert arrival_ns >= last_arrival, "a packet overtook an earlier one"
            last_arrival = arrival_ns
        last_release = release_ns
        out.append((release_ns, arrival_ns))
    assert any(release_ns is not None for release_ns, _ in out), "nothing ever gets through"
    return out


def _check_curve(curve: Capacity) -> None:
    assert curve.offered(0) == 0, "something has been offered before time zero"
    last = 0
    for at_ns in range(0, 60 * NS_PER_S, 731 * NS_PER_MS):
        units = curve.offered(at_ns)
        assert type(units) is int, "an offer is not a whole number of units"
        assert units >= last, "the curve falls"
        last = units
    for number in range(1, 200):
        wanted = number * 1500 * curve.units_per_byte
        at_ns = curve.when(wanted)
        assert curve.offered(at_ns) >= wanted, "`when` returns an instant that is too early"
        assert curve.offered(at_ns - 1) < wanted, "`when` returns an instant that is too late"
