"""Where a client's joules went: every component in exactly one state at every instant.

The components are the board's idle power, what the encoder adds to it, and the radio. Whatever a
report says about energy is a sum over these spans.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testbed.devices.radio import Radio
from testbed.model import NS_PER_S
from testbed.records import COMPONENTS, Span, Spans

__all__ = ["COMPONENTS", "Ledger", "Span", "Spans"]

OFF = "off"
WAITING = "waiting"
BUSY = "busy"
ON = "on"
STATES = (OFF, WAITING, BUSY, ON)
"""Of the components that are no radio."""

Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8], NDArray[np.float64]]
"""start_ns, end_ns, place of the state, power_w"""


class Ledger:
    """Gathers what one client draws, and closes over the whole run.

    Args:
        idle_w: What the board draws throughout.
        radio: The client's radio; None for a client without one.
        waiting_w: What a loaded runtime adds to that while no encoding runs.
    """

    __slots__ = ("_booked_j", "_busy", "_off_ns", "idle_w", "radio", "waiting_w")

    def __init__(self, idle_w: float, radio: Radio | None = None, waiting_w: float = 0.0) -> None:
        self.idle_w = idle_w
        self.radio = radio
        self.waiting_w = waiting_w
        self._busy: list[tuple[int, int, float]] = []
        self._booked_j = 0.0  # encodings, above waiting
        self._off_ns: int | None = None

    def compute(self, start_ns: int, end_ns: int, power_w: float) -> float:
        """Book an encoding that draws `power_w` above idle; return its joules.

        Encodings of one client follow each other. Raise a `ValueError` if this one begins before
        the last has ended, or ends before it begins.
        """
        free_ns = self._busy[-1][1] if self._busy else 0
        if not free_ns <= start_ns <= end_ns:
            raise ValueError(
                f"an encoding from {start_ns} to {end_ns} ns on an encoder busy until {free_ns}"
            )
        self._busy.append((start_ns, end_ns, power_w))
        self._booked_j += (power_w - self.waiting_w) * (end_ns - start_ns) / NS_PER_S
        return power_w * (end_ns - start_ns) / NS_PER_S

    def stop(self, now_ns: int) -> float:
        """Switch everything off at `now_ns`, as an empty battery does.

        Return the joules of encodings that were booked beyond that and are not drawn.
        """
        self._off_ns = now_ns
        return self._ahead_j(now_ns, 0.0)

    def _ahead_j(self, now_ns: int, base_w: float) -> float:
        """Return what encodings draw above `base_w` after `now_ns`."""
        ahead_j = 0.0
        for start, end, power_w in reversed(self._busy):
            if end <= now_ns:
                break
            ahead_j += (power_w - base_w) * (end - max(start, now_ns)) / NS_PER_S
        return ahead_j

    def joules_by(self, now_ns: int) -> float:
        """Return what the client has drawn up to `now_ns`.

        Settles the radio up to there: exact, unless the radio holds a transfer of unknown end.
        """
        ahead_j = self._ahead_j(now_ns, self.waiting_w)
        radio_j = self.radio.joules_by(now_ns) if self.radio else 0.0
        steady_j = (self.idle_w + self.waiting_w) * now_ns / NS_PER_S
        return steady_j + self._booked_j - ahead_j + radio_j

    def close(self, end_ns: int) -> Spans:
        """Return the spans of every component over [0, `end_ns`], in order, without gap or overlap.

        What goes on beyond the end is cut there; from `stop` on, everything is off.
        """
        on_ns = end_ns if self._off_ns is None else min(self._off_ns, end_ns)
        parts = {"compute": self._compute_rows(on_ns)}
        states: tuple[str, ...] = STATES
        if self.radio is not None:
            self.radio.finish(max(on_ns, self.radio.now_ns))
            start, end, state, power_w = self.radio.columns()
            parts["radio"] = (start, end, (state + len(STATES)).astype(np.int8), power_w)
            states += self.radio.states
        parts["idle"] = _rows([0], [on_ns], [STATES.index(ON)], [self.idle_w])
        closed = {name: _closed(rows, on_ns, end_ns) for name, rows in parts.items()}
        component = [
            np.full(len(rows[0]), COMPONENTS.index(name), np.int8) for name, rows in closed.items()
        ]
        start, end, state, power_w = map(np.concatenate, zip(*closed.values(), strict=True))
        return Spans(np.concatenate(component), state, states, start, end, power_w)

    def _compute_rows(self, on_ns: int) -> Rows:
        """Return the encodings and what lies between them, some of it of no length."""
        busy = np.array(self._busy, [("start", "i8"), ("end", "i8"), ("power_w", "f8")])
        count = len(busy)
        rest = WAITING if self.waiting_w else OFF
        rows = _rows(
            np.zeros(2 * count + 1),
            np.zeros(2 * count + 1),
            np.full(2 * count + 1, STATES.index(rest)),
            np.full(2 * count + 1, self.waiting_w),
        )
        start, end, state, power_w = rows
        start[1::2], end[1::2] = busy["start"], busy["end"]
        start[2::2], end[0:-1:2] = busy["end"], busy["start"]
        end[-1] = max(on_ns, start[-1])
        state[1::2], power_w[1::2] = STATES.index(BUSY), busy["power_w"]
        return rows


def _rows(start: ArrayLike, end: ArrayLike, state: ArrayLike, power_w: ArrayLike) -> Rows:
    return (
        np.asarray(start, np.int64),
        np.asarray(end, np.int64),
        np.asarray(state, np.int8),
        np.asarray(power_w, np.float64),
    )


def _closed(rows: Rows, on_ns: int, end_ns: int) -> Rows:
    """Cut rows at `on_ns`, leave out those of no length, and add what is off until `end_ns`."""
    start, end, state, power_w = rows
    end = np.minimum(end, on_ns)
    kept = end > start
    start, end, state, power_w = start[kept], end[kept], state[kept], power_w[kept]
    off = STATES.index(OFF)
    if on_ns < end_ns:
        if len(state) and state[-1] == off:
            end[-1] = end_ns
        else:
            start, end = np.append(start, on_ns), np.append(end, end_ns)
            state, power_w = np.append(state, np.int8(off)), np.append(power_w, 0.0)
    return start, end, state, power_w
