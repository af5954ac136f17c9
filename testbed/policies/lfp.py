"""The best stationary policy of a learnt Markov model, from a linear-fractional programme."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from testbed.estimators.estimator import Estimator, goodput_bps
from testbed.estimators.ewma import Ewma
from testbed.model import Mode, Observation, Outcome, Rung
from testbed.parts import Nested
from testbed.policies.menu import Menu, Outlook, Rated

Floats = NDArray[np.float64]

_RESTART = 0.01  # share of the frames that begin in a state drawn at random
_LATE = 1e3  # what a late frame costs where the limit on them cannot be kept


@dataclass(kw_only=True)
class Lfp(Rated):
    """Solve for the stationary policy with the least cost per frame kept, few enough being late.

    Callegaro, Matsubara and Levorato (GLOBECOM 2020). A state is a bin of the channel and a bin of
    the wait for the uplink. With x(s, a) the share of time in state s under action a, Σ x · cost
    over Σ x · kept is minimised under the balance equations and Σ x · late ≤ `late_limit`; the
    substitution of Charnes and Cooper (1962) makes that one linear programme, for HiGHS. The policy
    takes a in s with probability x(s, a) / Σ x(s, ·). Where the limit cannot be kept, as few frames
    are late as can be. The channel's bins (equally many uploads in each) and its transitions from
    upload to upload are learnt on line; the programme is solved after `learn` uploads and then
    after every `solve_every`; before, the smallest payload goes. One frame in a hundred begins in a
    state drawn at random, so that every state is visited and has its answer.

    State: the last uploads and the policy. Cost of a decision: a draw; of a solution, tens of
    milliseconds.
    """

    estimator: Annotated[
        Estimator, Nested("estimator"), Field(description="What tells the state of the channel.")
    ] = field(default_factory=lambda: Ewma(gain=1.0))
    minimise: Annotated[
        Literal["accuracy-loss", "latency"],
        Field(description="Cost of a frame in time: the mAP it falls short of the best, or time."),
    ] = "accuracy-loss"
    late_limit: Annotated[float, Field(gt=0, le=1, description="Share that may be late.")] = 0.05
    channel_bins: Annotated[int, Field(ge=1, le=32, description="Bins of the channel.")] = 8
    wait_bins: Annotated[
        int, Field(ge=2, le=64, description="Bins of the wait, to the deadline.")
    ] = 12
    learn: Annotated[int, Field(ge=2, description="Uploads before the first solution.")] = 30
    solve_every: Annotated[int, Field(ge=1, description="Uploads between two solutions.")] = 150
    memory: Annotated[int, Field(ge=10, description="Uploads to learn from.")] = 600

    def reset(self, rng: np.random.Generator) -> None:
        """Forget every sample; take the run's random stream."""
        super().reset(rng)
        self._rng = rng
        self._samples: deque[float] = deque(maxlen=self.memory)
        self._due = self.learn
        self._edges: list[float] = []
        self._policy: Floats | None = None

    def arrange(self, menu: Menu) -> None:
        """Forget what was solved for another ladder."""
        self._policy = None
        self._due = min(self._due, max(self.learn - len(self._samples), 0))

    def feedback(self, outcome: Outcome) -> None:
        """Take the goodput of an upload that got through."""
        super().feedback(outcome)
        if outcome.busy_ns:
            self._samples.append(goodput_bps(outcome.payload_bytes, outcome.busy_ns))
            self._due -= 1

    def pick(self, seen: Observation, menu: Menu, bps: float) -> Rung:
        """Draw a point from the policy of the present state."""
        if self._due <= 0:
            self._solve(seen, menu)
            self._due = self.solve_every
        if self._policy is None:
            return menu.smallest
        wait_ns = Outlook.of(seen, bps).wait_ns
        step_ns = (seen.deadline_ns - seen.captured_ns) / (self.wait_bins - 1)
        wait = min(int(np.ceil(wait_ns / step_ns)), self.wait_bins - 1)
        chances = self._policy[bisect_right(self._edges, bps), wait]
        total = chances.sum()
        if total <= 0:
            return menu.smallest
        drawn = np.searchsorted(np.cumsum(chances), self._rng.random() * total, side="right")
        return menu.rungs[min(int(drawn), len(menu.rungs) - 1)]

    def _channel(self) -> tuple[Floats, Floats]:
        """Return the median rate of each bin and the matrix of transitions; set the edges."""
        samples = np.array(self._samples)
        cuts = np.quantile(samples, np.arange(1, self.channel_bins) / self.channel_bins)
        self._edges = np.unique(cuts).tolist()
        bins = np.searchsorted(self._edges, samples, side="right")
        count = len(self._edges) + 1
        counts = np.full((count, count), 1 / count)
        np.add.at(counts, (bins[:-1], bins[1:]), 1.0)
        rates = np.array(
            [np.median(samples[bins == i] if (bins == i).any() else samples) for i in range(count)]
        )
        return rates, counts / counts.sum(axis=1, keepdims=True)

    def _solve(self, seen: Observation, menu: Menu) -> None:
        """Work the policy out anew from what the last uploads say of the channel."""
        rates, moves = self._channel()
        allowed = float(seen.deadline_ns - seen.captured_ns)
        payload, encode, decode, accuracy = np.array(
            [(r.payload_bytes, r.encode_ns, r.decode_ns, r.accuracy) for r in menu.rungs], float
        ).T
        runs = np.array([r.point.mode is not Mode.SKIP for r in menu.rungs])
        sends = payload > 0
        shape = (len(rates), self.wait_bins, len(menu.rungs))
        step = allowed / (self.wait_bins - 1)
        waits = (np.arange(self.wait_bins) * step)[None, :, None]
        sent = np.maximum(waits, encode) + payload * 8e9 / rates[:, None, None]
        fixed = seen.rtt_ns + self.estimator.overhead_ns
        answer = np.where(sends, sent + fixed + decode, encode + 0 * sent)
        kept = (answer <= allowed) & runs
        cost = answer / allowed if self.minimise == "latency" else menu.best - accuracy + 0 * answer
        held = np.maximum(encode, seen.period_ns)
        after = np.maximum(np.where(sends, sent, waits + 0 * sent) - held, 0.0)
        # What waits is bytes: at another rate it waits for another time.
        ratio = rates[:, None] / rates[None, :]  # from, to
        to = np.ceil(after[..., None] * ratio[:, None, None, :] / step - 1e-9)
        to = np.minimum(to, self.wait_bins - 1).astype(int)
        solution = _programme(kept, cost, to, moves, self.late_limit, _RESTART)
        self._policy = None if solution is None else solution.reshape(shape)


def _programme(
    kept: NDArray[np.bool_],
    cost: Floats,
    to: NDArray[np.int_],
    moves: Floats,
    late_limit: float,
    restart: float,
) -> Floats | None:
    """Return x(s, a) up to a factor; None if HiGHS finds nothing.

    Args:
        kept: By channel, wait and action: whether the frame is in time.
        cost: Of the same shape: what it costs if it is.
        to: By channel, wait, action and next channel: bin of the next wait.
        moves: By channel and next channel: probability.
        late_limit: Share of the frames that may be late.
        restart: Share of the frames that begin in a state drawn at random.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, hstack, vstack

    channels, waits, actions = kept.shape
    count = kept.size
    column = np.arange(count).reshape(kept.shape)
    came = np.arange(channels)[None, None, None, :] * waits + to
    rows = [came.ravel(), np.repeat(np.arange(channels * waits), actions)]
    columns = [np.broadcast_to(column[..., None], to.shape).ravel(), column.ravel()]
    values = [
        -(1 - restart) * np.broadcast_to(moves[:, None, None, :], to.shape).ravel(),
        np.ones(count),
    ]
    balance = coo_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(channels * waits, count),
    )
    worth, paid = kept.ravel().astype(float), (kept * cost).ravel()
    # y = k · x with k = 1 / Σ x · kept, and k itself as the last variable.
    total = coo_array(np.append(np.ones(count), -1.0)[None, :])
    scale = coo_array(np.append(worth, 0.0)[None, :])
    anywhere = np.full(channels * waits, restart / (channels * waits))
    got = linprog(
        np.append(paid, 0.0),
        A_ub=coo_array(np.append(1.0 - worth, -late_limit)[None, :]),
        b_ub=[0.0],
        A_eq=vstack([hstack([balance, coo_array(-anywhere[:, None])]), total, scale]),
        b_eq=np.append(np.zeros(channels * waits + 1), 1.0),
        method="highs",
    )
    if got.status == 0:
        return np.maximum(np.asarray(got.x, np.float64)[:-1], 0.0)
    got = linprog(
        paid + _LATE * (1.0 - worth),
        A_eq=vstack([balance, coo_array(np.ones((1, count)))]),
        b_eq=np.append(anywhere, 1.0),
        method="highs",
    )
    return np.maximum(np.asarray(got.x, np.float64), 0.0) if got.status == 0 else None
