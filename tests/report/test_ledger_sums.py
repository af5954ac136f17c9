"""Sums over the ledger of a run: they close, and say the same as the split transfer by transfer."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.catalog import find
from testbed.devices.attribution import attribute
from testbed.devices.ledger import Ledger
from testbed.devices.profile import load_radio
from testbed.devices.radio import Radio
from testbed.errors import UnknownName
from testbed.model import NS_PER_S as S
from testbed.report.ledger import BUSY, ledgers

LTE = load_radio(find("devices/radios", "lte-2012-aro"))


def run_of(ledger_of):
    """Return a run of the spans that `ledger_of` has by (policy, seed, client)."""
    rows = [
        (*key, *span, span.energy_j)
        for key, (ledger, end_ns) in ledger_of.items()
        for span in ledger.close(end_ns)
    ]
    names = ["policy", "seed", "client", "component", "state", "start_ns", "end_ns", "power_w"]
    energy = pd.DataFrame(rows, columns=[*names, "energy_j"])
    frames = pd.DataFrame(list(ledger_of), columns=["policy", "seed", "client"])
    scenario = {"policies": {key[0]: {} for key in ledger_of}}
    return SimpleNamespace(energy=energy, frames=frames, scenario=scenario)


def working(busy_s, radio=None):
    """Return a board of 2 W that encodes at 5 W more for so long, in a run of 10 s."""
    ledger = Ledger(2.0, radio, 0.5)
    ledger.compute(0, round(busy_s * S), 5.0)
    return ledger, 10 * S


def test_figures_are_means_over_seeds_and_sums_over_clients():
    run = run_of(
        {
            ("a", 1, "one"): working(1),
            ("a", 1, "two"): working(2),
            ("a", 2, "one"): working(3),
            ("a", 2, "two"): working(4),
        }
    )

    (entry,) = ledgers(run)

    assert (entry.captured, entry.on_s) == (2, 20)
    assert [state[:4] for state in entry.states] == [
        ("compute", BUSY, 5, 25),
        ("compute", "waiting", 15, 7.5),
        ("idle", "on", 20, 40),
    ]
    assert (entry.total_j, entry.net_j) == (72.5, 32.5)
    assert (entry.frames_j, entry.shared_j) == (25, 47.5)
    assert entry.mean_w == 3.625


def test_policies_and_clients_can_be_chosen():
    run = run_of(
        {("a", 1, "one"): working(1), ("a", 1, "two"): working(2), ("b", 1, "one"): working(3)}
    )

    (entry,) = ledgers(run, policies=["a"], clients=["two"])

    assert (entry.policy, entry.captured, entry.frames_j) == ("a", 1, 10)


@pytest.mark.parametrize("asked", [{"policies": ["b"]}, {"clients": ["on"]}])
def test_what_the_run_does_not_have_is_refused_with_what_it_has(asked):
    run = run_of({("a", 1, "one"): working(1)})

    with pytest.raises(UnknownName, match=r"Known: (a|one)$"):
        ledgers(run, **asked)


def test_a_client_that_stopped_has_its_mean_power_while_it_was_on():
    ledger, end_ns = working(1)
    ledger.stop(4 * S)

    (entry,) = ledgers(run_of({("a", 1, "one"): (ledger, end_ns)}))

    assert entry.on_s == 4
    assert entry.mean_w == (4 * 2 + 5 + 3 * 0.5) / 4


TRANSFERS = st.lists(
    st.tuples(
        st.integers(0, 15 * S),
        st.integers(1000, 3 * S),
        st.integers(0, 300_000),
        st.integers(0, 300_000),
    ),
    min_size=1,
    max_size=12,
)


@given(st.lists(TRANSFERS, min_size=1, max_size=2), st.sampled_from(["marginal", "proportional"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_sums_over_spans_agree_with_the_split_among_transfers(clients, convention):
    """What all transfers pay together can be read off the states, whoever pays what of it."""
    radios, ledger_of = [], {}
    for number, transfers in enumerate(clients):
        radio, now = Radio(LTE), 0
        for pause, duration, up, down in transfers:
            now += pause
            ready = radio.wake(now)
            radio.use(ready, ready + duration, up, down)
        end_ns = now + 20 * S
        ledger_of["a", 1, f"client-{number}"] = Ledger(0.0, radio), end_ns
        radios.append(radio)

    (entry,) = ledgers(run_of(ledger_of), convention)

    shares = [attribute(radio, convention) for radio in radios]
    paid = sum(sum(share.transfers) for share in shares)
    assert entry.frames_j == pytest.approx(paid, rel=1e-9)
    assert entry.shared_j == pytest.approx(sum(share.shared_j for share in shares), abs=1e-9)
    assert entry.total_j == pytest.approx(sum(radio.joules for radio in radios), rel=1e-9)
