"""All clients of a run: what they are called, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.clients.client import Client
from testbed.records import RadioCounts, RunRows, rows_of
from testbed.scenario import Scenario


def client_names(scenario: Scenario) -> Iterator[tuple[str, int]]:
    """Yield the name of every client and the index of its group.

    The first of a group bears the group's name and the others a number, so that raising `count`
    leaves the names, and with them the random streams, of those that were there before.
    """
    for index, group in enumerate(scenario.clients):
        for name in group.spec.names:
            yield name, index


def gather(
    policy: str,
    seed: int,
    end_ns: int,
    clients: Sequence[Client],
    uplink_bytes: tuple[int, int],
) -> RunRows:
    """Close the ledgers of the clients and return the rows of their run.

    Args:
        policy: Name of it.
        seed: Of the run.
        end_ns: When the run stopped.
        clients: In the order of the scenario.
        uplink_bytes: Offered to the uplinks, and refused by their queues.
    """
    closed = {client.name: (client.frames, client.ledger.close(end_ns)) for client in clients}
    return rows_of(policy, seed, end_ns, closed, uplink_bytes, _radio_counts(clients))


def _radio_counts(clients: Sequence[Client]) -> dict[str, RadioCounts]:
    """Return, by the name of the radio, what its clients counted."""
    counts: dict[str, RadioCounts] = {}
    for client in clients:
        radio = client.radio
        own = RadioCounts(len(radio.transfers), radio.out_of_range, radio.unannounced)
        name = radio.profile.name
        known = counts.get(name, RadioCounts(0, 0, 0))
        counts[name] = RadioCounts(*map(sum, zip(known, own, strict=True)))
    return counts
