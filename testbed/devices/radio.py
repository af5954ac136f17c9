"""The radio at run time: which state it is in at every instant, and what that draws.

Transfers are told as intervals whose ends are known, so nothing is stepped: settling n transfers
costs O(n log n), most of it a sort of what is sorted already.

State machine and figures: Huang et al., A Close Examination of Performance and Power
Characteristics of 4G LTE Networks, MobiSys 2012 (connected power alpha · rate + beta, promotion,
tail); 3GPP TS 36.321 section 5.7 (DRX: a device that has data to send may leave it at once, data
for the device waits for the next on-duration).
"""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush

import numpy as np

from testbed.devices.on_air import Rows, Transfer, power_of
from testbed.devices.profile import RadioProfile, whole_ns
from testbed.devices.radio_units import Line, Phase, PowerLine, phases_of
from testbed.devices.settled import Block, Settled, Span
from testbed.model import NS_PER_S

IDLE = "idle"
PROMOTION = "promotion"
SWITCH = "switch"
RESUME = "resume"
CONNECTED = "connected"

BLOCK_FROM = 64
"""From how many transfers on it pays to settle them all at once with numpy."""


class Radio:
    """One device's radio: told of transfers, it accounts for every instant from 0 on.

    Precedence at an instant: a transfer, then a promotion under way, then the tail of whatever
    ended last, then idle. Transfers that overlap add their rate terms but pay the base power once,
    the larger of theirs; the sum is capped.

    Args:
        profile: Powers and timers.

    Attributes:
        states: The names of its states.
        transfers: Every transfer in the order of the `use` calls.
        out_of_range: Transfers whose rate lies outside the range the power line was fitted on.
        unannounced: Transfers that began while the radio slept, because nobody called `wake`.
    """

    __slots__ = """
        _active _alert_ns _amid _background _down _held _idle_w _last_end _later _now _page_ns
        _pending _phases _promoting _promotion _reach _recent _resumes _settled _steps _switch
        _tail_ns _up _watt_ns out_of_range profile states transfers unannounced
    """.split()

    def __init__(self, profile: RadioProfile) -> None:
        sheet = profile.sheet
        self.profile = profile
        self.transfers: list[Transfer] = []
        self.out_of_range = 0
        self.unannounced = 0
        self._up = PowerLine(sheet.up)
        self._down = PowerLine(sheet.down)
        self._idle_w = profile.idle_w
        cycle = sheet.idle.cycle_s
        self._page_ns = 0 if cycle is None else whole_ns(cycle.value)
        self._promotion, self._switch = (
            (0, 0.0) if step is None else (whole_ns(step.duration_s.value), step.power_w.value)
            for step in (sheet.promotion, sheet.switch)
        )
        self._phases = phases_of(profile)
        self._steps = [(phase.end_ns, phase.state, phase.power_w) for phase in self._phases]
        tail = dict.fromkeys(phase.state for phase in self._phases)
        self.states = (CONNECTED, *tail, IDLE, PROMOTION, SWITCH, RESUME)
        self._settled = Settled(self.states)
        self._recent = self._settled.recent
        asleep = [phase.begin_ns for phase in self._phases if phase.cycle_ns or phase.resume_ns]
        self._tail_ns = profile.tail_ns
        self._alert_ns = min(asleep, default=self._tail_ns)  # it listens for so long in any case
        self._resumes = any(phase.resume_ns for phase in self._phases)
        self._now = 0
        self._reach = -self._tail_ns - 1  # when the last activity before `_now` ended: never
        self._watt_ns = 0.0
        self._pending: list[Transfer] = []  # begin at or after `_now`
        self._active: list[Transfer] = []  # under way at `_now`
        self._amid = False  # whether one state goes on at `_now`
        self._background: list[Span] = []  # promotions and the like, in order
        # What `wake` and `hear` must know without settling anything: when the last activity ends of
        # those begun by now, those that begin later, and the promotion under way.
        self._last_end = self._reach
        self._later: list[tuple[int, int]] = []
        self._promoting = (0, 0)
        self._held: list[int] = []

    @property
    def now_ns(self) -> int:
        """Up to where everything is settled."""
        return self._now

    @property
    def spans(self) -> list[Span]:
        """Settled spans, in order, without gap or overlap, from 0 to the last `advance`."""
        return self._settled.spans()

    def columns(self) -> Block:
        """Return the settled spans as columns; a state is its place in `states`."""
        return self._settled.columns()

    @property
    def joules(self) -> float:
        """Energy from 0 to the last `advance`."""
        return self._watt_ns * 1e-9

    def wake(self, now_ns: int) -> int:
        """Return from when the device can send if it wants to at `now_ns`.

        At once while connected or in DRX, after the promotion when idle, after the resumption in a
        tail phase that has one. Calls come in order of time, none before the last `advance`.
        """
        begun, ready = self._promoting
        if begun <= now_ns < ready:
            return ready
        if begun > now_ns:  # something was to wake it later; it need not wait for that now
            self._background = [span for span in self._background if span[0] <= now_ns]
            self._promoting = (0, 0)
        since = self._since_activity(now_ns)
        if since >= self._tail_ns:
            return self._promote(now_ns)
        if self._resumes and since > 0 and self._phase_at(since).resume_ns:
            ready = now_ns + self._phase_at(since).resume_ns
            return self._pass(now_ns, ready, RESUME, self._promotion[1])
        return now_ns

    def hear(self, at_ns: int) -> int:
        """Return from when data that waits for the device from `at_ns` on can begin to reach it.

        At once while connected, at the next on-duration in DRX, and when idle at the next page
        and after the promotion. `at_ns` may lie ahead of the present, by the time that the data
        takes to where the radio is heard, but not before the last `advance`.
        """
        if at_ns < self._promoting[1]:
            return self._promoting[1]
        last_end = self._last_end
        for start, end in self._later:
            if start <= at_ns and end > last_end:
                last_end = end
        since = at_ns - last_end
        if since < self._alert_ns or since <= 0 < self._tail_ns:
            return at_ns
        if self._held and self._held[0] <= at_ns:
            return at_ns
        if since >= self._tail_ns:
            return self._promote(at_ns + (-at_ns % self._page_ns if self._page_ns else 0))
        phase = self._phase_at(since)
        if phase.cycle_ns:
            into = (since - phase.begin_ns) % phase.cycle_ns
            if into < phase.on_ns:
                return at_ns
            wait = min(phase.cycle_ns - into, phase.end_ns - since)
            return at_ns + wait if since + wait < self._tail_ns else self.hear(at_ns + wait)
        if phase.resume_ns:
            return self._pass(at_ns, at_ns + phase.resume_ns, RESUME, self._promotion[1])
        return at_ns

    def use(self, start_ns: int, end_ns: int, up_bytes: int = 0, down_bytes: int = 0) -> float:
        """Book a transfer that is on the air from `start_ns` to `end_ns`; return its joules.

        The joules are those of the transfer alone on the air, min(alpha · rate + beta, cap) times
        duration, at its mean rate (the line being straight, only the mean matters). What transfers
        cost that share the air, and tails, is for `testbed.devices.attribution` to say afterwards.
        A transfer of no duration has no energy but keeps the radio awake.

        Raise a `ValueError` if it ends before it begins or begins before the last `advance`.
        """
        if end_ns < start_ns or start_ns < self._now:
            raise ValueError(
                f"a transfer from {start_ns} to {end_ns} ns, with all settled up to {self._now}"
            )
        if up_bytes and down_bytes:
            up = self._line(self._up, up_bytes, end_ns - start_ns)
            down = self._line(self._down, down_bytes, end_ns - start_ns)
            rate_w, beta_w, cap_w = up[0] + down[0], max(up[1], down[1]), max(up[2], down[2])
        else:
            line, size_bytes = (self._down, down_bytes) if down_bytes else (self._up, up_bytes)
            rate_w, beta_w, cap_w = self._line(line, size_bytes, end_ns - start_ns)
        transfer = (start_ns, end_ns, rate_w, beta_w, cap_w)
        self._pending.append(transfer)
        self.transfers.append(transfer)
        heappush(self._later, (start_ns, end_ns))
        power_w = rate_w + beta_w
        return (power_w if power_w < cap_w else cap_w) * (end_ns - start_ns) * 1e-9

    def _line(self, line: PowerLine, size_bytes: int, duration_ns: int) -> Line:
        if not (size_bytes and duration_ns):
            return 0.0, line.beta_w, line.cap_w
        rate = size_bytes / duration_ns
        if not line.low <= rate <= line.high:
            self.out_of_range += 1
        return line.slope_w * rate, line.beta_w, line.cap_w

    def hold(self, start_ns: int) -> None:
        """Say that a transfer begins at `start_ns` whose end is not known yet.

        It keeps the radio awake until `release`, which comes with the same instant, just before
        the transfer is told to `use`. Until then nothing after `start_ns` can be settled. Raise a
        `ValueError` if that has happened already.
        """
        if start_ns < self._now:
            raise ValueError(f"a transfer held from {start_ns} ns, with all settled to {self._now}")
        insort(self._held, start_ns)

    def release(self, start_ns: int) -> None:
        """End a hold. Raise a `ValueError` if there is none of this instant."""
        self._held.remove(start_ns)

    def finish(self, end_ns: int) -> None:
        """Settle up to `end_ns`, the run's end; what is held still draws base power to there."""
        for start_ns in self._held:
            if start_ns < end_ns:
                self.use(start_ns, end_ns)
        self._held.clear()
        self.advance(end_ns)

    def joules_by(self, now_ns: int) -> float:
        """Settle what is certain and return the energy up to `now_ns`.

        Exact unless a transfer is held; from where the first held one began, the base power of
        sending stands for what is not known yet.
        """
        certain_ns = max(self._now, min(now_ns, self._held[0])) if self._held else now_ns
        self.advance(certain_ns)
        return self.joules + self._up.beta_w * (now_ns - certain_ns) / NS_PER_S

    def advance(self, to_ns: int) -> None:
        """Settle everything up to `to_ns`. Raise a `ValueError` if that is before the last time."""
        if to_ns < self._now:
            raise ValueError(f"settled up to {self._now} ns already, asked to go back to {to_ns}")
        if self._held and to_ns > self._held[0]:
            raise ValueError(f"the transfer held since {self._held[0]} ns is not known yet")
        pending = self._pending
        pending.sort()
        count, taken, now, recent = len(pending), 0, self._now, self._recent
        tail_ns = self._tail_ns
        # A state that two calls settle piecewise is one span all the same.
        amid = self._amid and not (pending and pending[0][0] == now)
        seam = len(recent) if amid and recent else None
        rows = Rows(pending) if count >= BLOCK_FROM else None
        while now < to_ns or (taken < count and pending[taken][0] < to_ns):
            if seam is not None and len(recent) > seam:
                _join(recent, seam)
                seam = None
            if not self._active:
                if taken == count or pending[taken][0] >= to_ns:
                    self._rest(now, to_ns)
                    self._amid = True
                    break
                first = pending[taken]
                taken += 1
                start, end, rate_w, beta_w, cap_w = first
                if now < start:
                    self._rest(now, start)
                if start - self._reach > tail_ns and not self._woken(start):
                    self.unannounced += 1
                if rows and seam is None and (many := self._apart(rows, taken - 1, to_ns)):
                    self._settle(rows, taken - 1, many)
                    taken += many - 1
                    now = self._reach
                    self._amid = False
                    continue
                # Alone on the air from its first byte to its last: the case that must be fast.
                if end <= to_ns and (taken == count or end <= pending[taken][0]):
                    if end > start:
                        power_w = rate_w + beta_w
                        if power_w > cap_w:
                            power_w = cap_w
                        recent.append((start, end, CONNECTED, power_w))
                        self._watt_ns += power_w * (end - start)
                    if end > self._reach:
                        self._reach = end
                    now = end
                    self._amid = False
                    continue
                self._active.append(first)
                now = start
            while taken < count and pending[taken][0] <= now:
                self._active.append(pending[taken])
                taken += 1
            now = self._share(now, min(to_ns, pending[taken][0]) if taken < count else to_ns)
        self._now = to_ns
        del pending[:taken]
        if seam is not None and len(recent) > seam:
            _join(recent, seam)

    def _apart(self, rows: Rows, first: int, to_ns: int) -> int:
        """Count the transfers from `first` on between which nothing happens but timers running out.

        All begin before the next promotion to be settled, and end by `to_ns`, as do those that
        overlap them. 0 if they are too few to settle at once.
        """
        last = int(np.searchsorted(rows.reach, to_ns, "right"))
        if self._background:
            begin = self._background[0][0]
            last = min(last, int(np.searchsorted(rows.start, begin, "left")))
        if last < len(rows.head):
            last = int(rows.head[last])
        return last - first if last - first >= BLOCK_FROM else 0

    def _settle(self, rows: Rows, first: int, count: int) -> None:
        """Settle transfers, and the timers that run out between them, all at once.

        A row per stretch on the air: its own span, the phases of the tail, idle; each cut where
        the next stretch begins, and left out if that leaves nothing of it.
        """
        start, end, power_w = rows.stretches(first, first + count)
        next_start = np.append(start[1:], end[-1])
        after = np.array([0, *(step[0] for step in self._steps)])
        begins = np.minimum(end[:, None] + after, next_start[:, None])
        ends = np.minimum(end[:, None] + after[1:], next_start[:, None])
        starts = np.column_stack([start, begins]).ravel()
        stops = np.column_stack([end, ends, next_start]).ravel()
        names = [CONNECTED, *(step[1] for step in self._steps), IDLE]
        state = np.tile(
            np.array([self.states.index(name) for name in names], np.int8), (len(start), 1)
        )
        power = np.tile(
            np.array([0.0, *(step[2] for step in self._steps), self._idle_w]), (len(start), 1)
        )
        power[:, 0] = power_w
        kept = stops > starts
        block = (starts[kept], stops[kept], state.ravel()[kept], power.ravel()[kept])
        self._settled.add(block)
        if len(block[0]):
            self._watt_ns += float(np.add.accumulate(block[3] * (block[1] - block[0]))[-1])
        self._reach = int(end[-1])
        self.unannounced += int(np.count_nonzero(start[1:] - end[:-1] > self._tail_ns))

    def _share(self, now: int, limit: int) -> int:
        """Settle the active transfers up to the first that ends, at most to `limit`."""
        active = self._active
        edge = min(limit, min(transfer[1] for transfer in active))
        if edge > now:
            power_w = power_of(active)
            self._recent.append((now, edge, CONNECTED, power_w))
            self._watt_ns += power_w * (edge - now)
        ended = [transfer[1] for transfer in active if transfer[1] <= edge]
        self._amid = not ended
        if ended:
            self._reach = max(self._reach, *ended)
            active[:] = [transfer for transfer in active if transfer[1] > edge]
        return edge

    def _rest(self, now: int, to_ns: int) -> None:
        """Settle a stretch without transfers: promotions, tail, idle."""
        background = self._background
        while background and background[0][0] < to_ns:
            start, end, state, power_w = background[0]
            if start > now:
                self._sleep(now, start)
                now = start
            edge = min(end, to_ns)
            if edge > now:
                self._recent.append((now, edge, state, power_w))
                self._watt_ns += power_w * (edge - now)
                now = edge
            if edge > self._reach:
                self._reach = edge
            if end > to_ns:
                break
            del background[0]
        if now < to_ns:
            self._sleep(now, to_ns)

    def _sleep(self, now: int, to_ns: int) -> None:
        """Settle a stretch in which nothing happens but timers running out."""
        reach, spans = self._reach, self._recent
        watt_ns = 0.0
        for after_ns, state, power_w in self._steps:
            end = reach + after_ns
            if now < end:
                if end > to_ns:
                    end = to_ns
                spans.append((now, end, state, power_w))
                watt_ns += power_w * (end - now)
                now = end
                if now == to_ns:
                    break
        else:
            spans.append((now, to_ns, IDLE, self._idle_w))
            watt_ns += self._idle_w * (to_ns - now)
        self._watt_ns += watt_ns

    def _promote(self, start: int) -> int:
        ready = self._pass(start, start + self._promotion[0], PROMOTION, self._promotion[1])
        if self._switch[0]:
            self._pass(ready, ready + self._switch[0], SWITCH, self._switch[1])
            self._promoting = (start, ready)
        return ready

    def _pass(self, start: int, end: int, state: str, power_w: float) -> int:
        """Note a state the radio passes through on its way to sending; return its end."""
        self._background.append((start, end, state, power_w))
        heappush(self._later, (start, end))
        self._promoting = (start, end)
        return end

    def _woken(self, start: int) -> bool:
        return any(begin <= start <= end for begin, end, _, _ in self._background)

    def _since_activity(self, now_ns: int) -> int:
        """Time since the last activity ended, of those begun by now; negative while one lasts."""
        if self._held and self._held[0] <= now_ns:
            return -1
        later = self._later
        while later and later[0][0] <= now_ns:
            end = heappop(later)[1]
            if end > self._last_end:
                self._last_end = end
        return now_ns - self._last_end

    def _phase_at(self, since: int) -> Phase:
        return next(phase for phase in self._phases if since < phase.end_ns)


def _join(spans: list[Span], place: int) -> None:
    """Make one span of the one at `place` and the one before it if their states are the same."""
    if spans[place - 1][2:] == spans[place][2:]:
        spans[place - 1 : place + 1] = [(spans[place - 1][0], *spans[place][1:])]
