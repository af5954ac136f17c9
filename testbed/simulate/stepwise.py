"""A run whose decisions are made from outside, one by one."""

from __future__ import annotations

from testbed.clients.client import Client, Undecided
from testbed.clients.gather import client_names
from testbed.errors import TestbedError
from testbed.model import Ladder, Observation, OperatingPoint, Outcome, Policy
from testbed.records import RunRows
from testbed.scenario import Scenario
from testbed.simulate.run import World


class _Asks(Policy):
    """Decides nothing: remembers what it was asked, and what it was told since."""

    def __init__(self) -> None:
        self.seen: Observation | None = None
        self.told: list[Outcome] = []

    def choose(self, seen: Observation, ladder: Ladder) -> OperatingPoint:
        self.seen = seen
        raise Undecided

    def feedback(self, outcome: Outcome) -> None:
        self.told.append(outcome)


class Stepwise:
    """One run of a scenario of one client, whose policy is whoever calls `step`.

    What happens is what `simulate` makes happen under a policy that chooses the same points.

    Args:
        scenario: What runs.
        seed: Of every random stream.

    Raises:
        TestbedError: The scenario has several clients.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        if len(list(client_names(scenario))) != 1:
            raise TestbedError(
                f"{scenario.spec.name} has several clients; a run can be decided from outside "
                "for a scenario of one"
            )
        self._asks = _Asks()
        self._world = World(scenario, seed, lambda: self._asks)

    @property
    def client(self) -> Client:
        """The client, with its frames so far."""
        return self._world.clients[0]

    @property
    def end_ns(self) -> int:
        """When the run ends."""
        return self._world.end_ns

    @property
    def outcomes(self) -> list[Outcome]:
        """What the device has learned since the last decision, in order."""
        return self._asks.told

    def step(self, point: OperatingPoint | None = None) -> Observation | None:
        """Take a point for the frame that was asked about, and go on to the next question.

        Args:
            point: Of the ladder; None at the very beginning, when nothing was asked yet.

        Returns:
            What is to be decided about next; None when the run has ended.
        """
        asks = self._asks
        asks.told.clear()
        try:
            if asks.seen is not None:
                assert point is not None, "a decision is due"
                asks.seen = None
                self.client.decide(point)
            self._world.run()
        except Undecided:
            return asks.seen
        return None

    def rows(self, policy: str) -> RunRows:
        """Return everything that happened in a run that has ended, under a policy's name."""
        return self._world.rows(policy)
