"""One client of the simulator under whoever calls `step`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from testbed.environment.reward import Tally
from testbed.environment.worlds import Named, loaded
from testbed.errors import TestbedError
from testbed.metrics.utility import Utility
from testbed.model import Ladder, Observation
from testbed.policies.features import Features, Vector
from testbed.records import RunRows
from testbed.simulate.stepwise import Stepwise

_SEEDS = 2**31


class SplitDetection(gymnasium.Env[Vector, np.int64]):
    """Choose the operating point of every frame that a camera captures.

    An episode is a run of a scenario of one client: `simulate` under a policy that chooses the same
    points gives the same frames. A step is a decision about a frame, at the instant the encoder is
    free for it; frames that are dropped before anybody decides about them make no step.

    - Observation: what a policy sees, as `testbed.policies.features.Features` lists it; float32 in
      [-1, 1], of shape (28 + points of the ladder,).
    - Action: the place of a point on the ladder, from 0, cheapest payload first.
    - Reward: the utility of the frames whose worth has become known since the last step (see
      `testbed.environment.reward.Tally`); over an episode it adds up to the utility of the run.
    - An episode is truncated when the camera has stopped and the run is over, and terminated when
      the battery is empty. The last observation is the one before with all news since.
    - `info` names what `simulate` needs to repeat the episode: `seed` and `scenario`, the place of
      the scenario; and, of the observation, `frame` and `now_ns`.

    The seed of a run, and with it the start in the trace where the scenario says `random`, is drawn
    from that of the environment; so is the scenario, if there are several.

    Args:
        scenario: A scenario of one client, its file or its name in the catalogue, or several, which
            must have the same ladder. `testbed.environment.worlds.on_traces` makes one of each
            trace.
        utility: What a frame is worth; by default what the first scenario says.

    Raises:
        TestbedError: A scenario has several clients, or another ladder than the first.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as Gymnasium has it)

    def __init__(
        self,
        scenario: Named | Sequence[Named] = "quickstart",
        utility: Utility | None = None,
    ) -> None:
        self.scenarios = loaded(scenario)
        first = self.scenarios[0]
        self.ladder: Ladder = first.clients[0].ladder
        for other in self.scenarios:
            if len(other.clients) != 1 or other.clients[0].spec.count != 1:
                raise TestbedError(f"{other.spec.name} has several clients; one can be decided for")
            if other.clients[0].ladder != self.ladder:
                raise TestbedError(f"{other.spec.name} has another ladder than {first.spec.name}")
        self.utility = first.spec.utility.weights if utility is None else utility
        size = Features(self.ladder).size
        self.observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Discrete(len(self.ladder))
        self._points = [rung.point for rung in self.ladder]
        self._run: Stepwise | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """Begin a run.

        Args:
            seed: Of the environment.
            options: `seed` and `scenario` of the run, which are drawn otherwise.

        Raises:
            TestbedError: The run ends before there is anything to decide.
        """
        super().reset(seed=seed)
        place = int(self.np_random.integers(len(self.scenarios)))
        run_seed = int(self.np_random.integers(_SEEDS))
        asked = options or {}
        self._place = int(asked.get("scenario", place))
        self._seed = int(asked.get("seed", run_seed))
        scenario = self.scenarios[self._place]
        self._run = run = Stepwise(scenario, self._seed)
        self._features = Features(self.ladder)
        self._tally = Tally(self.ladder, self.utility, scenario.spec.deadline_ns)
        seen = run.step()
        if seen is None:
            raise TestbedError(f"{scenario.spec.name}: the run ends before the first decision")
        self._seen = seen
        return self._features.encode(seen), self._info(seen)

    def step(self, action: np.int64) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Decide about the frame that was asked about, and go on to the next one."""
        run, features = self._run, self._features
        assert run is not None, "reset comes before step"
        place = int(action)
        features.chosen(place)
        seen = run.step(self._points[place])
        for outcome in run.outcomes:
            features.learn(outcome)
        ended = seen is None
        if seen is None:
            seen = self._seen
        self._seen = seen
        reward = self._tally.settle(run.client.frames, run.end_ns if ended else seen.now_ns, ended)
        stopped = run.client.stopped
        return (
            features.encode(seen),
            reward,
            ended and stopped,
            ended and not stopped,
            self._info(seen),
        )

    def rows(self, policy: str = "environment") -> RunRows:
        """Return everything that happened in the run that has just ended, as `simulate` does."""
        assert self._run is not None, "reset comes before rows"
        return self._run.rows(policy)

    @property
    def utilities(self) -> tuple[float, ...]:
        """The utility of each frame of the run whose worth is known, in the order of capture."""
        assert self._run is not None, "reset comes before utilities"
        return tuple(self._tally.each)

    def _info(self, seen: Observation) -> dict[str, Any]:
        return {
            "scenario": self._place,
            "seed": self._seed,
            "frame": seen.frame,
            "now_ns": seen.now_ns,
        }
