import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed import catalog
from testbed.devices.account import account
from testbed.devices.attribution import attribute
from testbed.devices.ledger import Ledger
from testbed.devices.profile import load_radio
from testbed.devices.radio import Radio

S = 10**9
MS = 10**6
RADIOS = [load_radio(path) for _, path in catalog.entries("devices/radios")]


def two_bursts(radio) -> Radio:
    """Two uploads of one burst, and one much later."""
    lte = radio("lte-2012-aro")
    for at, size in ((0, 100_000), (S, 300_000), (60 * S, 100_000)):
        ready = lte.wake(at)
        lte.use(ready, ready + size * 800, up_bytes=size)  # 10 Mbit/s
    lte.advance(100 * S)
    return lte


def test_marginal_leaves_promotions_and_tails_to_nobody(radio):
    lte = two_bursts(radio)
    shares = attribute(lte, "marginal")

    alone = [0.08 * 5.5839, 0.24 * 5.5839, 0.08 * 5.5839]
    assert shares.transfers == pytest.approx(alone, abs=1e-9)
    assert shares.shared_j == pytest.approx(lte.joules - sum(alone), abs=1e-9)


def test_proportional_divides_them_within_the_burst(radio):
    lte = two_bursts(radio)
    shares = attribute(lte, "proportional")
    idle_j = sum(p * (end - start) / S for start, end, state, p in lte.spans if state == "idle")

    assert shares.shared_j == pytest.approx(idle_j, abs=1e-9)
    assert shares.transfers[1] == pytest.approx(3 * shares.transfers[0])
    assert shares.transfers[2] == pytest.approx(0.3146 + 0.08 * 5.5839 + 11.05244, abs=1e-9)


def test_transfers_that_share_the_air_share_the_base(radio):
    lte = radio("lte-2012-aro")
    lte.use(0, S, up_bytes=125_000)
    lte.use(0, S, down_bytes=125_000)
    lte.advance(S)

    assert attribute(lte).transfers == pytest.approx([0.43839 + 0.6, 0.05197 + 0.6])
    assert attribute(lte).shared_j == pytest.approx(0, abs=1e-9)


def test_a_capped_sum_is_divided_in_proportion(radio):
    lte = radio("lte-2012")
    lte.use(0, S, up_bytes=500_000)
    lte.use(0, S, up_bytes=500_000)
    lte.advance(S)

    assert attribute(lte).transfers == pytest.approx([2.0, 2.0])


def test_an_unknown_convention_is_refused(radio):
    with pytest.raises(ValueError, match="'fair'; it is marginal or proportional"):
        attribute(radio("lte-2012"), "fair")


CALLS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 40 * MS, 3 * S, 20 * S]),
        st.integers(0, 3 * S),
        st.integers(0, 400_000),
        st.integers(0, 3_000),
    ),
    max_size=10,
)


@given(st.sampled_from(RADIOS), CALLS, st.sampled_from(["marginal", "proportional"]))
@settings(max_examples=150, deadline=None)
def test_shares_are_never_negative_and_make_the_total(profile, calls, convention):
    radio = Radio(profile)
    now = 0
    for pause, duration, up, down in calls:
        now += pause
        ready = radio.wake(now)
        radio.use(ready, ready + duration, up, down)
    radio.advance(50 * S)
    shares = attribute(radio, convention)

    assert all(joules >= 0 for joules in shares.transfers)
    assert shares.shared_j >= -1e-9
    assert sum(shares.transfers) + shares.shared_j == pytest.approx(radio.joules, abs=1e-9)


def test_an_account_sums_by_state_and_reports_total_and_net(radio):
    lte = radio("lte-2012-aro")
    ledger = Ledger(2.5, lte)
    ledger.compute(0, S, 3.0)
    ready = lte.wake(S)
    lte.use(ready, ready + S, up_bytes=100_000)
    sums = account(ledger.close(10 * S))

    assert sums.total_j == pytest.approx(25 + 3 + lte.joules, abs=1e-9)
    assert sums.net_j == pytest.approx(sums.total_j - 25, abs=1e-9)
    assert [(line.component, line.state) for line in sums.lines] == [
        ("compute", "busy"),
        ("compute", "off"),
        ("radio", "idle"),
        ("radio", "promotion"),
        ("radio", "connected"),
        ("radio", "inactivity"),
        ("radio", "drx_short"),
        ("radio", "drx_long"),
        ("idle", "on"),
    ]
    assert sum(line.duration_s for line in sums.lines) == pytest.approx(30)
