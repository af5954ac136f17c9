"""When the kernel's timers ring: `kernel/time/timer.c`, and measured (`tests/validate`)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.links.tcp.rtt import TICK_NS, rings_ns

MS = 1_000_000


@pytest.mark.parametrize(
    ("wait_ms", "least_ms", "most_ms"),
    [
        (1, 4, 8),
        (40, 40, 44),
        (200, 200, 204),
        (252, 252, 284),
        (1000, 1000, 1032),
        (3000, 3000, 3256),
    ],
)
def test_a_wait_is_never_shorter_and_the_longer_the_less_exact(wait_ms, least_ms, most_ms):
    starts = np.arange(0, 1024 * MS, 997_331)
    waits = np.array([rings_ns(int(at), wait_ms * MS) - at for at in starts]) / MS
    assert least_ms < waits.min() < least_ms + 0.1 * (most_ms - least_ms)
    assert most_ms - 0.1 * (most_ms - least_ms) < waits.max() <= most_ms
    assert waits.mean() == pytest.approx((least_ms + most_ms) / 2, rel=0.03)


def test_a_timer_that_is_set_when_one_of_its_kind_rings_is_exact():
    """Every repetition of a SYN but the first came after 1.024 s."""
    first_ns = rings_ns(12_345_678, 1000 * MS)
    assert rings_ns(first_ns, 1000 * MS) - first_ns == 1024 * MS


@given(st.integers(0, 10**12), st.integers(1, 10**11))
def test_timers_ring_at_ticks_after_their_time(now_ns, wait_ns):
    at_ns = rings_ns(now_ns, wait_ns)
    assert at_ns % TICK_NS == 0
    assert at_ns > now_ns + wait_ns - TICK_NS
    assert at_ns <= now_ns + wait_ns * 9 // 8 + 2 * TICK_NS + wait_ns // 8
