"""A cell that serves its clients in turn, a packet each."""

from __future__ import annotations

from collections import deque

from testbed.links.capacity import Capacity
from testbed.links.cell import SharedCell


class RoundRobin(SharedCell):
    """Clients take turns; a turn is a packet, or the rest of a payload that is shorter.

    The next departure is found by counting turns, not by taking them: it is the first in the ring
    of those who need the fewest.

    Args:
        capacity: What the cell offers to all together.
        queue_bytes: Drop-tail limit on what waits for each client; None for unlimited queues.
        packet_bytes: Length of a turn.
    """

    def __init__(
        self, capacity: Capacity, queue_bytes: int | None = None, packet_bytes: int = 1500
    ) -> None:
        super().__init__(queue_bytes)
        self.capacity = capacity
        self._turn = packet_bytes * capacity.units_per_byte
        self._ring: deque[str] = deque()  # who is busy; the first one has the turn
        self._needs: dict[str, int] = {}  # units left of the head of each
        self._turn_left = 0
        self._units = 0  # of the curve, accounted for

    def _begin(self, now_ns: int, client: str, size_bytes: int) -> None:
        if not self._ring:
            self._turn_left = self._turn
        self._ring.append(client)
        self._needs[client] = size_bytes * self.capacity.units_per_byte

    def _next_departure(self) -> tuple[str, int]:
        """Return who leaves next and how many units are served until then."""
        turn, first = self._turn, self._ring[0]
        fewest, leaver = 0, first
        for client in self._ring:
            need = self._needs[client]
            if client is first:
                need += turn - self._turn_left  # as if its turn had just begun
            turns = -(-need // turn)
            if not fewest or turns < fewest:
                fewest, leaver = turns, client
        served = 0
        before = True
        for client in self._ring:
            if client is leaver:
                served += self._needs[client]
                before = False
                continue
            turns = fewest if before else fewest - 1
            served += turns * turn
            if client is first:
                served -= turn - self._turn_left
        return leaver, served

    def _upcoming(self) -> tuple[str, int] | None:
        if not self._ring:
            return None
        client, served = self._next_departure()
        return client, self.capacity.when(self._units + served)

    def _finish(self, now_ns: int, client: str) -> None:
        _, served = self._next_departure()
        self._take(served - 1)  # the last unit ends the turn of the one that leaves
        assert self._ring[0] == client
        self._units += served
        self._ring.popleft()
        del self._needs[client]
        self._turn_left = self._turn

    def _serve(self, now_ns: int) -> None:
        units = self.capacity.offered(now_ns)
        if units > self._units:
            if self._ring:
                self._take(units - self._units)
            self._units = units

    def _take(self, units: int) -> None:
        """Serve so many units, with which nobody is done."""
        while units:
            taken = min(units, self._turn_left)
            self._needs[self._ring[0]] -= taken
            self._turn_left -= taken
            units -= taken
            if not self._turn_left:
                self._ring.rotate(-1)
                self._turn_left = self._turn
                rounds = units // (self._turn * len(self._ring))
                if rounds:
                    for client in self._ring:
                        self._needs[client] -= rounds * self._turn
                    units -= rounds * self._turn * len(self._ring)

    def _head_bytes(self, client: str) -> int:
        return -(-self._needs[client] // self.capacity.units_per_byte)
