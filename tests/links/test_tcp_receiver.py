"""When a receiver acknowledges: counted on Linux 6.18 with a receive buffer of 4 MB."""

from __future__ import annotations

from testbed.links.tcp.receiver import GROWING_SEGMENTS, QUICK_ACKS, Receiver

MS = 1_000_000


def arrivals(receiver, count, *, start_ns=0, step_ns=1 * MS, ends=None):
    """Let segments arrive in order; return how many each acknowledgement covers."""
    covered, last = [], receiver.following
    for i in range(count):
        number = receiver.following
        at_ns = start_ns + i * step_ns
        last_of_all = i == count - 1
        ack = receiver.arrive(
            at_ns, number, at_ns, ends=number == ends, more=not (step_ns or last_of_all)
        )
        if ack is not None:
            covered.append(ack.following - last)
            last = ack.following
    return covered


def talking(count=0):
    """Return a receiver whose application has answered, after `count` more segments."""
    receiver = Receiver(50 * MS)
    receiver.arrive(0, 0, 0, ends=True)
    arrivals(receiver, count, start_ns=1 * MS)
    return receiver


def test_the_first_segments_are_acknowledged_singly():
    """All that make the window grow, and 16 more; then every second one."""
    singly = GROWING_SEGMENTS + QUICK_ACKS
    covered = arrivals(Receiver(50 * MS), singly + 20)
    assert covered[:singly] == [1] * singly
    assert set(covered[singly:]) == {2}


def test_an_application_that_answers_ends_that():
    receiver = Receiver(50 * MS)
    assert arrivals(receiver, 51, ends=50) == [1] * 51
    assert arrivals(receiver, 10, start_ns=400 * MS) == [2] * 5


def test_what_ends_a_message_is_acknowledged_at_once():
    assert arrivals(talking(), 3, start_ns=9 * MS, ends=3) == [2, 1]


def test_segments_of_one_instant_are_read_together_once_the_window_is_full():
    """The first as it comes, then all the others."""
    young, old = talking(2), talking(GROWING_SEGMENTS)
    assert arrivals(young, 4, start_ns=900 * MS, step_ns=0) == [2, 2]
    assert arrivals(old, 4, start_ns=900 * MS, step_ns=0) == [4]
    assert arrivals(old, 1, start_ns=910 * MS) == []
    assert arrivals(old, 4, start_ns=911 * MS, step_ns=0) == [1, 3]  # the first of them for two


def test_a_lone_segment_waits_some_forty_milliseconds():
    receiver = talking()
    assert receiver.arrive(10 * MS, 1, 0, ends=False) is None
    assert 40 * MS <= receiver.timer_ns - 10 * MS <= 44 * MS
    ack = receiver.ring()
    assert (ack.following, ack.sacked) == (2, ())
    assert receiver.timer_ns is None


def test_the_next_one_waits_as_long_again_in_a_dialogue_and_twice_as_long_without_one():
    for receiver, longest_ms in ((talking(), 44), (Receiver(90 * MS), 84)):
        receiver._quick = receiver._growing = 0
        first = receiver.following
        assert receiver.arrive(10 * MS, first, 0, ends=False) is None
        receiver.ring()
        assert receiver.arrive(150 * MS, first + 1, 0, ends=False) is None
        assert (longest_ms - 4) * MS <= receiver.timer_ns - 150 * MS <= longest_ms * MS


def test_segments_out_of_order_are_acknowledged_three_times_at_once_and_then_together():
    receiver = talking()
    acks = [receiver.arrive(10 * MS, number, 0, ends=False) for number in range(2, 9)]
    assert [ack.sacked for ack in acks[:3]] == [(2,), (3,), (4,)]
    assert acks[3:] == [None] * 4
    assert receiver.timer_ns == 11 * MS
    assert receiver.ring().sacked == (5, 6, 7, 8)


def test_what_fills_a_hole_is_acknowledged_at_once():
    receiver = talking()
    receiver.arrive(10 * MS, 2, 0, ends=False)
    ack = receiver.arrive(11 * MS, 1, 5, ends=False)
    assert (ack.following, ack.echo_ns) == (3, 5)


def test_a_repeated_segment_is_reported_as_such():
    receiver = talking()
    ack = receiver.arrive(10 * MS, 0, 0, ends=False)
    assert (ack.duplicate, ack.following) == (True, 1)
