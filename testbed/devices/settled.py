"""Spans of a radio's states that are settled: a few at a time as they come, or many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int, str, float]
"""start_ns, end_ns, state, power_w"""

Block = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8], NDArray[np.float64]]
"""The same as columns; a state is its place among the names."""


class Settled:
    """Spans in order, without gap or overlap.

    Args:
        states: Names of the states.

    Attributes:
        recent: The last of them, to append to and to mend.
    """

    __slots__ = ("_blocks", "_states", "recent")

    def __init__(self, states: tuple[str, ...]) -> None:
        self.recent: list[Span] = []
        self._blocks: list[Block] = []  # all before those
        self._states = states

    def add(self, block: Block) -> None:
        """Append many spans at once."""
        self._pack()
        self._blocks.append(block)

    def columns(self) -> Block:
        """Return all spans as columns."""
        self._pack()
        if not self._blocks:
            none = np.empty(0, np.int64)
            return none, none, none.astype(np.int8), none.astype(np.float64)
        if len(self._blocks) > 1:
            start, end, state, power = (
                np.concatenate(parts) for parts in zip(*self._blocks, strict=True)
            )
            self._blocks = [(start, end, state, power)]
        return self._blocks[0]

    def spans(self) -> list[Span]:
        """Return all spans one by one."""
        start, end, state, power = self.columns()
        names = [self._states[place] for place in state.tolist()]
        return list(zip(start.tolist(), end.tolist(), names, power.tolist(), strict=True))

    def _pack(self) -> None:
        if self.recent:
            start, end, state, power = zip(*self.recent, strict=True)
            place = {name: i for i, name in enumerate(self._states)}
            self._blocks.append(
                (
                    np.array(start, np.int64),
                    np.array(end, np.int64),
                    np.array([place[name] for name in state], np.int8),
                    np.array(power, np.float64),
                )
            )
            self.recent.clear()
