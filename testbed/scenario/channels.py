"""One direction of the network of a scenario, opened: the links that both engines drive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.links import links
from testbed.links.cell import ProcessorSharing, SharedCell
from testbed.links.fifo import FifoLink
from testbed.links.link import Link, Medium, Path
from testbed.links.proportional_fair import ProportionalFair
from testbed.links.round_robin import RoundRobin
from testbed.parts import make
from testbed.scenario.schema import LinkSpec
from testbed.streams import stream

if TYPE_CHECKING:
    import numpy as np

CELL = "cell"
"""Owner of a link that all clients share; names its random stream."""


@dataclass(frozen=True, slots=True)
class OpenLinks:
    """A link for each client, or one first-in-first-out link for all of them.

    Args:
        links: From client to link; several clients may have the same one.
    """

    links: dict[str, FifoLink]


@dataclass(frozen=True, slots=True)
class OpenCell:
    """A capacity that clients share.

    Args:
        cell: Who gets how much, and when.
        paths: From client to what happens after a payload has left.
    """

    cell: SharedCell
    paths: dict[str, Path]


def open_channel(
    spec: LinkSpec, clients: Sequence[str], direction: str, seed: int
) -> OpenLinks | OpenCell:
    """Open one direction for some clients; the same arguments always give the same channel.

    Args:
        spec: The direction, as the scenario describes it.
        clients: Their names, which also name their random streams.
        direction: `uplink` or `downlink`; names the random stream as well.
        seed: Of the run.

    Raises:
        TestbedError: The link cannot be shared in the way that the scenario asks for.
    """
    part: Link = make(links, spec)
    delay_ns, limit = spec.delay_ns, spec.queue_bytes

    def draws(owner: str) -> np.random.Generator:
        return stream(seed, owner, direction)

    if spec.sharing == "none":
        return OpenLinks({name: part.open(draws(name), delay_ns, limit) for name in clients})
    if spec.sharing == "fifo" or len(clients) == 1:  # alone in a cell nobody shares
        return OpenLinks(dict.fromkeys(clients, part.open(draws(CELL), delay_ns, limit)))
    shared = part.medium(draws(CELL))
    media = {name: part.medium(draws(name)) for name in clients}
    if shared.wake is not None or shared.queue is not None:
        raise TestbedError(
            f"network.{direction}: sleep and queue management are of one sender's link; "
            "use them with sharing: none or sharing: fifo"
        )
    cell: SharedCell
    if spec.sharing == "proportional-fair":
        cell = ProportionalFair({name: each.capacity for name, each in media.items()}, limit)
    elif spec.sharing == "round-robin":
        cell = RoundRobin(shared.capacity, limit)
    else:
        cell = ProcessorSharing(shared.capacity, limit, shared.efficiency)
    return OpenCell(cell, {name: Path(each, delay_ns) for name, each in media.items()})


def open_medium(spec: LinkSpec, clients: Sequence[str], direction: str, seed: int) -> Medium:
    """Return what one direction consists of, for a shaper that has one queue and one rate.

    The draws are those of `open_channel`.

    Raises:
        TestbedError: The direction needs more than that.
    """
    own = spec.sharing == "none"
    if len(clients) > 1 and spec.sharing != "fifo":
        raise TestbedError(
            f"network.{direction}.sharing: '{spec.sharing}' needs a queue for each client, and "
            "this backend has one; allowed: fifo, or a single client"
        )
    part: Link = make(links, spec)
    medium = part.medium(stream(seed, clients[0] if own else CELL, direction))
    if medium.wake is not None or medium.queue is not None:
        raise TestbedError(
            f"network.{direction}: sleep and queue management are not what this backend can shape"
        )
    return medium
