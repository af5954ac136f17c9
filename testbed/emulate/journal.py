"""What a server says about misbehaving peers: once, then now and then how often again."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

from testbed.emulate.protocol import Fault
from testbed.model import NS_PER_S

QUIET_NS = 60 * NS_PER_S
MOST_REMEMBERED = 1024


class Journal:
    """Writes a line for the first fault of its kind by a peer, then at most one a minute.

    It remembers 1024 pairs of peer and fault; the one that was quiet for longest is forgotten.

    Args:
        say: Takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.faults: Counter[Fault] = Counter()
        self._told: OrderedDict[tuple[str, Fault], list[int]] = OrderedDict()  # when; since then

    def fault(self, now_ns: int, host: str, fault: Fault, message: str) -> None:
        """Note what a peer did wrong."""
        self.faults[fault] += 1
        entry = self._told.get((host, fault))
        if entry is None:
            self._told[host, fault] = [now_ns, 0]
            self.say(f"{host}: {fault}: {message}")
            if len(self._told) > MOST_REMEMBERED:
                self._told.popitem(last=False)
            return
        self._told.move_to_end((host, fault))
        entry[1] += 1
        if now_ns - entry[0] >= QUIET_NS:
            self.say(f"{host}: {fault}: {message} (and {entry[1] - 1} more since the last line)")
            entry[:] = now_ns, 0
