import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed import catalog
from testbed.devices.profile import load_radio
from testbed.devices.radio import Radio

S = 10**9
MS = 10**6
ARO = load_radio(catalog.find("devices/radios", "lte-2012-aro"))
WHOLE, NARROW = 442_368, 73_728  # bytes of EfficientDet-D2 at α = 1 and 0.167


def upload(radio: Radio, at_ns: int, size_bytes: int, mbps: float = 10.0) -> int:
    """Send when the radio is ready; return when the last byte has left."""
    start = radio.wake(at_ns)
    end = start + round(size_bytes * 8e3 / mbps)
    radio.use(start, end, up_bytes=size_bytes)
    return end


def joules(radio: Radio, *states: str) -> float:
    """Energy in some states, or in all but idle."""
    return sum(
        power_w * (end - start) / S
        for start, end, state, power_w in radio.spans
        if (state in states if states else state != "idle")
    )


def test_an_isolated_upload_costs_its_tail_many_times_over(radio):
    lte = radio("lte-2012-aro")
    upload(lte, 0, WHOLE)
    lte.advance(20 * S)

    assert joules(lte, "connected") == pytest.approx(1.976, abs=5e-4)
    assert joules(lte, "promotion") == pytest.approx(0.3146, abs=5e-5)
    assert joules(lte, "inactivity") == pytest.approx(0.12, abs=1e-12)
    assert joules(lte, "drx_short") == pytest.approx(0.02244, abs=1e-9)
    assert joules(lte, "drx_long") == pytest.approx(10.910, abs=1e-9)
    assert joules(lte) == pytest.approx(13.343, abs=5e-4)


def test_a_sixth_of_the_bytes_saves_an_eighth_of_the_energy(radio):
    lte = radio("lte-2012-aro")
    upload(lte, 0, NARROW)
    lte.advance(20 * S)

    assert joules(lte) == pytest.approx(11.696, abs=5e-4)


def test_ten_uploads_a_second_apart_pay_nine_pauses_that_a_burst_does_not(radio):
    apart, burst = radio("lte-2012-aro"), radio("lte-2012-aro")
    begin = apart.wake(0)
    for second in range(10):
        upload(apart, begin + second * S, NARROW)
    end = 0
    for _ in range(10):
        end = upload(burst, end, NARROW)
    apart.advance(40 * S)
    burst.advance(40 * S)

    assert joules(apart) == pytest.approx(24.00, abs=5e-3)
    assert joules(burst) == pytest.approx(14.66, abs=5e-3)


def test_an_idle_radio_draws_the_mean_of_its_pages_and_not_the_power_of_a_page(radio):
    lte = radio("lte-2012-aro")
    lte.advance(1280 * S)

    assert lte.joules == pytest.approx(1000 * 0.043 * 0.594, rel=1e-12)


def test_one_frame_of_the_line_that_huang_et_al_fitted(radio):
    """440 kB at 6 Mbit/s: 0.586667 s at 3.91838 W."""
    assert radio("lte-2012").use(0, 586_666_667, up_bytes=440_000) == pytest.approx(
        2.29878, abs=5e-6
    )


def test_promotion_and_tail_of_huang_et_al(radio):
    lte = radio("lte-2012")
    ready = lte.wake(0)
    lte.use(ready, ready, up_bytes=1)
    lte.advance(20 * S)

    assert joules(lte) == pytest.approx(12.585, abs=5e-4)


def test_the_slope_of_wifi(radio):
    """283.17 nJ per bit of 442 368 bytes; the base is what is left without a rate."""
    wifi = radio("wifi-2012")
    second = wifi.use(0, S, up_bytes=WHOLE) - wifi.use(S, 2 * S)

    assert second == pytest.approx(1.0021, abs=5e-5)


def test_beyond_its_range_the_line_is_capped_and_counted(radio):
    lte = radio("lte-2012")
    joule = lte.use(0, S, up_bytes=2_500_000)  # 20 Mbit/s, on a line known up to 6

    assert joule == pytest.approx(4.0, abs=1e-12)
    assert lte.out_of_range == 1
    lte.use(S, 2 * S, up_bytes=750_000)
    assert lte.out_of_range == 1


def test_waking_from_idle_takes_the_promotion_and_while_awake_nothing(radio):
    lte = radio("lte-2012-aro")

    assert lte.wake(S) == S + 260 * MS
    assert lte.wake(S + 100 * MS) == S + 260 * MS, "a promotion under way is not begun again"
    end = upload(lte, S + 260 * MS, WHOLE)
    assert lte.wake(end + 10 * S) == end + 10 * S, "a device leaves DRX at once when it has data"
    assert lte.wake(end + 11 * S) == end + 11 * S + 260 * MS


def test_data_for_the_device_waits_for_an_on_duration_or_a_page(radio):
    lte = radio("lte-2012-aro")
    end = upload(lte, 0, WHOLE)
    long_drx = end + 120 * MS

    assert lte.hear(end - 1) == end - 1
    assert lte.hear(end + 50 * MS) == end + 50 * MS, "still listening all the time"
    assert lte.hear(long_drx + 81 * MS) == long_drx + 81 * MS, "in an on-duration"
    assert lte.hear(long_drx + 83 * MS) == long_drx + 120 * MS
    asleep = end + 20 * S
    page = -(-asleep // (1280 * MS)) * 1280 * MS
    assert lte.hear(asleep) == page + 260 * MS


def test_a_device_that_must_send_does_not_wait_for_a_page(radio):
    lte = radio("lte-2012-aro")
    later = lte.hear(1 * MS)

    assert later == 1540 * MS
    assert lte.wake(2 * MS) == 262 * MS
    lte.use(262 * MS, 300 * MS, up_bytes=1000)
    lte.use(later, later + MS, down_bytes=1000)
    lte.advance(2 * S)
    assert [state for _, _, state, _ in lte.spans].count("promotion") == 1


def test_transfers_that_overlap_add_their_rates_and_pay_one_base(radio):
    lte = radio("lte-2012-aro")
    ready = lte.wake(0)
    lte.use(ready, ready + 4 * MS, up_bytes=4000)  # 8 Mbit/s
    lte.use(ready + 2 * MS, ready + 5 * MS, down_bytes=1500)  # 4 Mbit/s
    lte.advance(ready + 5 * MS)

    up_w, down_w = 0.43839 * 8, 0.05197 * 4
    assert lte.spans[1:] == [
        (ready, ready + 2 * MS, "connected", pytest.approx(1.2 + up_w)),
        (ready + 2 * MS, ready + 4 * MS, "connected", pytest.approx(1.2 + up_w + down_w)),
        (ready + 4 * MS, ready + 5 * MS, "connected", pytest.approx(1.2 + down_w)),
    ]


def test_the_larger_of_two_bases_is_paid(radio):
    lte = radio("lte-2021")
    lte.use(0, S, up_bytes=0)
    lte.use(0, S, down_bytes=125_000)
    lte.advance(S)

    assert lte.joules == pytest.approx(0.44 + 0.01455, abs=1e-9)


def test_who_sends_without_waking_the_radio_is_counted(radio):
    lte = radio("lte-2012-aro")
    lte.use(S, 2 * S, up_bytes=1000)
    lte.use(3 * S, 4 * S, up_bytes=1000)
    lte.advance(5 * S)

    assert lte.unannounced == 1


def test_a_promotion_without_a_transfer_has_its_tail(radio):
    lte = radio("lte-2012-aro")
    lte.wake(0)
    lte.advance(20 * S)

    assert [state for _, _, state, _ in lte.spans] == [
        "promotion",
        "inactivity",
        "drx_short",
        "drx_long",
        "idle",
    ]


def test_wifi_sleeps_again_after_its_tail_and_wakes_without_promotion(radio):
    wifi = radio("wifi-modern")
    assert wifi.wake(0) == 0
    wifi.use(0, 100 * MS, up_bytes=100_000)
    wifi.advance(S)

    assert wifi.spans == [
        (0, 100 * MS, "connected", 0.7),
        (100 * MS, 320 * MS, "psm_tail", 0.25),
        (320 * MS, S, "idle", 0.004),
    ]
    assert wifi.unannounced == 0


def test_the_past_is_settled(radio):
    lte = radio("lte-2012-aro")
    lte.advance(S)

    with pytest.raises(ValueError, match="settled up to 1000000000"):
        lte.use(S - 1, 2 * S)
    with pytest.raises(ValueError, match="asked to go back"):
        lte.advance(S - 1)
    with pytest.raises(ValueError, match="held from 999999999 ns"):
        lte.hold(S - 1)
    with pytest.raises(ValueError, match="from 3000000000 to 2000000000"):
        lte.use(3 * S, 2 * S)


def test_a_held_transfer_keeps_the_radio_awake_until_its_end_is_known(radio):
    """
    In a shared cell a transfer's end is known when it has left; meanwhile the radio does not sleep.
    """
    wifi = radio("wifi-2012")
    start = wifi.wake(0)
    wifi.hold(start)

    assert wifi.wake(5 * S) == 5 * S
    assert wifi.hear(5 * S) == 5 * S
    with pytest.raises(ValueError, match="held since 79000000 ns is not known yet"):
        wifi.advance(S)
    wifi.release(start)
    wifi.use(start, 6 * S, up_bytes=300_000)
    wifi.advance(7 * S)
    assert [state for _, _, state, _ in wifi.spans] == [
        "promotion",
        "connected",
        "psm_tail",
        "idle",
    ]
    assert wifi.unannounced == 0


def test_energy_so_far_takes_the_base_power_for_what_is_held(radio):
    lte = radio("lte-2021")
    start = lte.wake(0)
    lte.hold(start)

    assert lte.joules_by(start + S) == pytest.approx(0.28 * 0.44 + 0.44)
    assert lte.now_ns == start, "the rest is not settled"
    lte.release(start)
    lte.use(start, start + 2 * S, up_bytes=500_000)
    assert lte.joules_by(start + 2 * S) == pytest.approx(0.28 * 0.44 + 2 * (0.44 + 2 * 0.08021))


def test_what_is_held_when_the_run_ends_has_the_base_power(radio):
    lte = radio("lte-2021")
    start = lte.wake(0)
    lte.hold(start)
    lte.hold(9 * S)
    lte.finish(3 * S)

    assert lte.spans[-1] == (start, 3 * S, "connected", 0.44)


def check_spans(radio: Radio, end_ns: int) -> None:
    """Spans follow each other from 0 to the end, and their energies make the total."""
    assert radio.spans[0][0] == 0
    assert radio.spans[-1][1] == end_ns
    for before, after in itertools.pairwise(radio.spans):
        assert before[1] == after[0]
    assert all(start < end and power_w >= 0 for start, end, _, power_w in radio.spans)
    total = sum(power_w * (end - start) for start, end, _, power_w in radio.spans) / S
    assert radio.joules == pytest.approx(total, rel=1e-9, abs=1e-9)


def test_thousands_of_transfers_settle_exactly(radio):
    rng = random.Random(7)
    lte = radio("lte-2012-aro")
    now = 0
    for _ in range(5000):
        now += rng.choice([1, 20, 33, 200, 15_000]) * MS
        start = lte.wake(now)
        end = start + rng.randrange(1, 60) * MS
        lte.use(start, end, up_bytes=rng.randrange(1, 500_000))
        lte.use(end + 5 * MS, end + 6 * MS, down_bytes=rng.randrange(1, 2000))
        if rng.random() < 0.3:
            lte.advance(now)
    lte.advance(now + 30 * S)

    check_spans(lte, now + 30 * S)
    assert lte.unannounced == 0


NAMES = [name for name, _ in catalog.entries("devices/radios")]
PROFILES = {name: load_radio(path) for name, path in catalog.entries("devices/radios")}
# pause before, delay after waking, duration, bytes up, bytes down
CALLS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 7 * MS, 110 * MS, 600 * MS, 13 * S]),
        st.sampled_from([0, 1, 30 * MS, 2 * S]),
        st.integers(0, 2 * S),
        st.integers(0, 500_000),
        st.integers(0, 5_000),
    ),
    max_size=12,
)


def play(profile, calls, *, cuts=(), extra_bytes=0, end_ns=200 * S) -> Radio:
    radio = Radio(profile)
    cuts = sorted(cuts)
    now = 0
    for pause, delay, duration, up, down in calls:
        now += pause
        while cuts and cuts[0] <= now:
            radio.advance(cuts.pop(0))
        start = radio.wake(now) + delay
        radio.use(start, start + duration, up + extra_bytes, down)
    for cut in cuts:
        radio.advance(cut)
    radio.advance(end_ns)
    return radio


@given(st.sampled_from(NAMES), CALLS)
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_transfers_closes(name, calls):
    radio = play(PROFILES[name], calls)

    check_spans(radio, 200 * S)


@given(st.sampled_from(NAMES), CALLS, st.integers(1, 400_000))
@settings(max_examples=100, deadline=None)
def test_more_bytes_never_cost_less(name, calls, extra):
    fewer, more = play(PROFILES[name], calls), play(PROFILES[name], calls, extra_bytes=extra)

    assert more.joules >= fewer.joules - 1e-9


@given(st.sampled_from(NAMES), CALLS, st.lists(st.integers(0, 200 * S), max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_run_settled_in_pieces_is_the_same_run(name, calls, cuts):
    whole, pieces = play(PROFILES[name], calls), play(PROFILES[name], calls, cuts=cuts)

    assert pieces.spans == whole.spans
    assert pieces.joules == pytest.approx(whole.joules, rel=1e-12)
    assert pieces.unannounced == whole.unannounced


@pytest.mark.parametrize("name", ["lte-2012-aro", "lte-2021", "wifi-modern"])
def test_many_transfers_settled_at_once_are_those_settled_one_by_one(radio, name, monkeypatch):
    """Blocks and single steps are one state machine, whatever lies between the transfers."""
    rng = np.random.default_rng(5)
    gaps = rng.choice(
        [0, 1, 10**6, 5 * 10**7, 2 * 10**8, 15 * S], 600, p=[0.1, 0.1, 0.4, 0.2, 0.18, 0.02]
    )
    lengths = rng.choice([0, 1, 10**6, 7 * 10**7], 600)
    overlap = rng.random(600) < 0.01

    def drive(block_from):
        monkeypatch.setattr("testbed.devices.radio.BLOCK_FROM", block_from)
        driven = radio(name)
        now = 0
        for gap, length, over in zip(gaps.tolist(), lengths.tolist(), overlap, strict=True):
            now += gap
            start = driven.wake(now) if gap % 7 else now
            driven.use(start, start + length, up_bytes=length // 1000)
            if over:
                driven.use(start + length // 2, start + 2 * length, down_bytes=length // 100)
            now = start + length
        driven.finish(now + 60 * S)
        return driven

    at_once, one_by_one = drive(4), drive(10**9)

    assert at_once.spans == one_by_one.spans
    assert at_once.unannounced == one_by_one.unannounced
    assert at_once.joules == pytest.approx(one_by_one.joules, rel=1e-12)
